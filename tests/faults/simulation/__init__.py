"""The delivery protocol under a seeded virtual clock and network.

A schedule is drawn from its seed alone: instances, requests, a network with moods, a store that is restarted,
emptied or rolled back, and scrapes. What runs is the real recorder, outbox, flusher, breaker and collector, and the
memory store, which a test of its own holds to the script. After each step the books are compared with what an
observer who sees everything knows.
"""
