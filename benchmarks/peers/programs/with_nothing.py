"""The floor: one script with the four increments, by redis-py."""

import redis
from turns import URL, take_turns

SCRIPT = """
redis.call('HINCRBYFLOAT', KEYS[1], 'requests', 1)
redis.call('HINCRBYFLOAT', KEYS[1], 'count', 1)
redis.call('HINCRBYFLOAT', KEYS[1], 'sum', 0.25)
redis.call('HINCRBYFLOAT', KEYS[1], 'errors', 1)
"""
NAMES = {"requests": "peer_requests_total", "count": "peer_seconds_count", "errors": "peer_errors_total"}

client = redis.Redis.from_url(URL)
digest = client.script_load(SCRIPT)


def page():
    found = client.hgetall("{floor}")
    return "".join(f"{NAMES[key.decode()]} {found[key].decode()}\n" for key in found if key.decode() in NAMES)


take_turns(lambda: client.evalsha(digest, 1, "{floor}"), page)
