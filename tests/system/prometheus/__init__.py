"""The real Prometheus and promtool, with pages, pushes, rules and runbooks."""
