"""For Grafana and Prometheus: writes the dashboard, the rules and the runbooks of any system as files."""
