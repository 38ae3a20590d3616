"""The file of the dashboard."""
