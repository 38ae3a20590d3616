"""For developers and operators: the dev server of `make run` with its dashboard, and the files for Grafana."""
