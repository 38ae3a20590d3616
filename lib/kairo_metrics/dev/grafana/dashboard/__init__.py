"""The dashboard, as JSON for Grafana: one module for each row."""
