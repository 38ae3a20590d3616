"""The same Django project, as an ASGI app."""

import api.django_app  # type: ignore[import-not-found]  # noqa: F401  it sets the project up
from django.core.asgi import get_asgi_application

from lib.kairo_metrics import instrument

app = instrument(get_asgi_application())
