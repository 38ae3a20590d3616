"""`doctor`, on deployments that are wrong in every way that it names."""
