"""`doctor`, with deployments that have each fault that it reports."""
