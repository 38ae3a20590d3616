"""Read street, first part: the ASGI apps of /api/metrics, /api/push and /api/health, and their access control."""
