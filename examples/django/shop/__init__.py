"""The Django project: a small shop."""
