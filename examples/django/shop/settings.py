"""Django's settings."""

import os

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "only for a computer of your own")
ALLOWED_HOSTS = ["*"]  # Vercel passes on requests for the project's own domains alone
ROOT_URLCONF = "shop.urls"
