"""The dashboard as code, the alert rules and the runbooks."""
