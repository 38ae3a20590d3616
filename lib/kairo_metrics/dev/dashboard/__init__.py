"""The dashboard of the dev server: the Grafana dashboard, drawn in the browser from live metrics."""
