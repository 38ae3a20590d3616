"""Outages, lost replies, killed processes and stores that go back in time: no count is lost and none is doubled."""
