"""A Django app with models, migrations and views, and two databases."""
