"""The dashboard of the dev server: the one for Grafana, drawn in the browser from the live metrics."""
