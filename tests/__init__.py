"""The tests: each says in one sentence what a user gets. Redis, Prometheus and the dev server are real ones."""
