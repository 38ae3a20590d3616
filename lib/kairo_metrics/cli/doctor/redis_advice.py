"""What to do about an answer of Redis, or about none, by the words that it contains."""

from __future__ import annotations

import re

from ...config.settings import Settings

__all__ = ["REPLIES", "advice_on_reply", "how_to_reach"]

# By words of an error reply: what to do. Redis and Valkey begin a reply with a code. Older versions and hosted servers
# have words of their own; those of Upstash are at https://upstash.com/docs/redis/troubleshooting.
REPLIES = {
    "WRONGPASS|invalid username": "correct the user and the password in REDIS_URL; percent-encode special characters",
    "invalid password": "correct the password in REDIS_URL; percent-encode special characters",
    "without any password|no password is set": "leave the password out of REDIS_URL: this server has none",
    "NOAUTH|Authentication required": "put the password into REDIS_URL: redis://:password@host:port",
    "DB index|SELECT is not allowed": "correct the database number at the end of REDIS_URL; a cluster has only 0",
    "NOPERM|no permissions": "let the user in REDIS_URL run that: ACL SETUSER <user> +<command>",
    "max number of clients|max concurrent connections": "too many clients are connected: raise maxclients, "
    "take a larger plan, or let fewer instances run at once",
    "max request size|max key size": "the provider limits the size of commands: take a larger plan, or fewer series",
    "capacity quota|record size": "the plan's storage is full: take a larger one, or wipe what is large (see `series`)",
    "limit exceeded|rate limit|bandwidth|quota": "the limit of the provider's plan is used up: take a larger "
    "plan, or wait until its period is over; fewer scrapes need fewer commands",
    "LOADING|loading the dataset": "wait: after a start Redis loads its data; if it takes long, look at its log",
    "MASTERDOWN|Link with MASTER": "this replica has lost its master: look at the master, or name another server",
    "CLUSTERDOWN|cluster is down": "the cluster has lost nodes: start those that CLUSTER NODES shows as down",
    "READONLY|read only replica": "this is a replica, which can't be written to: let REDIS_URL name the master",
    "NOREPLICAS": "Redis writes only with more replicas: start them, or lower min-replicas-to-write",
    "MISCONF": "Redis can't save its data, so it refuses to write: look at its log, and for space on its disk",
    "OOM|maxmemory": "the memory of Redis is full: give it more, or wipe what is large (see `series`)",
    "BUSY": "a script of some program runs for too long and blocks Redis: wait, or end it with SCRIPT KILL",
}
# The same for what is no reply.
_NO_REPLY = {
    "is not installed": "pip install redis, and add it to what the deployment installs",
    "certificate": "put its CA into METRICS_REDIS_TLS_CA; on Heroku set METRICS_REDIS_TLS_VERIFY=false",
    "SSL": "this port does not speak TLS: use redis://, or the TLS port",
    "refused": "start Redis there, or correct host and port in REDIS_URL",
    "name": "correct the host in REDIS_URL: it has no address",
    "broke|closed": "if this is a server for TLS alone, use rediss://; else look at its log and at maxclients",
    "answer in time|no answer": "look for a firewall before Redis, and whether host and port in REDIS_URL are right",
}


def advice_on_reply(reason: str) -> str | None:
    """Return what to do about an error reply, or None if its words are unknown.

    Example:
        >>> advice_on_reply("Redis: READONLY You can't write against a read only replica.")
        "this is a replica, which can't be written to: let REDIS_URL name the master"
    """
    # A failed connection has the name of a host in its text, which may be any word.
    return None if "connecting to" in reason else _first(REPLIES, reason)


def how_to_reach(settings: Settings, reason: str) -> str:
    """Return what to do about a Redis that can't be used.

    Args:
        settings: the address.
        reason: the error reply, or the reason why there is none.
    """
    if settings.redis_url is None:
        return "connect a Redis: the Vercel marketplace sets REDIS_URL; elsewhere set it yourself"
    if "the sentinels" in reason:
        return (
            "look at them, and at the name of their service in REDIS_URL; a login for the sentinels "
            "goes to its end: ?sentinel_username=...&sentinel_password=..."
        )
    if re.search("NOPERM|no permissions", reason):
        return "let the user in REDIS_URL run PING: ACL SETUSER <user> +ping"
    if "answer" in reason and settings.redis_url.startswith("rediss://"):
        return "look for a firewall; and whether that port speaks TLS: one that does not stays silent (use redis://)"
    return (
        advice_on_reply(reason)
        or _first(_NO_REPLY, reason)
        or "Redis refuses: look for these words in its log, and in the documentation of its provider"
    )


def _first(table: dict[str, str], reason: str) -> str | None:
    found = (advice for words, advice in table.items() if re.search(rf"\b(?:{words})\b", reason, re.IGNORECASE))
    return next(found, None)
