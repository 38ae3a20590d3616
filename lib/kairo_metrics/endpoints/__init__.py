"""Read street, first part: the ASGI apps behind /api/metrics, /api/push and /api/health, and who may call them."""
