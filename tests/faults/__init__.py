"""Outages, lost replies, killed processes and stores reset to an older state: no count is lost, and none is doubled."""
