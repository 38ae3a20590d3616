"""The delivery protocol under a seeded virtual clock and network.

A schedule depends on its seed only: instances, requests, a network in changing states, a store that is restarted,
emptied or rolled back, and scrapes. It runs the real recorder, outbox, flusher, breaker and collector, and the
memory store, which another test compares with the script. After each step all sums are compared with those of an
observer who sees everything.
"""
