"""What an operator sees of the metrics: the dashboard as code, the alert rules and the runbooks."""
