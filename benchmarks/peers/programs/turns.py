"""What every program here shares: it makes requests when it is told to, a line at a time, and answers in JSON.

A program runs in the environment of its library, so this module needs nothing but Python.
"""

import json
import os
import sys
import time

URL = os.environ.get("REDIS_URL", "")
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
ROUTE = "/items/{id}"
ERROR = "LookupError"


def take_turns(request, page):
    """Answer each line of the input until it ends.

    `requests 20` makes twenty, and answers with the seconds of each and with the number of those that failed; `page`
    answers with the text of the page.

    Args:
        request: counts one request, and returns when the count is where other processes see it.
        page: returns the text of the page, of all processes.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the library prints is no answer
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        answer = page() if word == "page" else _requests(request, int(number))
        print(json.dumps(answer), file=answers, flush=True)


def _requests(request, number):
    seconds, failed = [], 0
    for _ in range(number):
        started = time.perf_counter()
        try:
            request()
        except Exception as error:
            failed += 1
            print(repr(error), file=sys.stderr)
        seconds.append(time.perf_counter() - started)
    return {"seconds": seconds, "failed": failed}
