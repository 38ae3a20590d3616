"""The shop, as the function that Vercel calls. One line measures all of Django's requests."""

import os

from django.core.wsgi import get_wsgi_application

from lib.kairo_metrics import instrument

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")

app = instrument(get_wsgi_application())
