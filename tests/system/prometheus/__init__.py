"""What the real Prometheus and promtool make of pages, pushes, rules and runbooks."""
