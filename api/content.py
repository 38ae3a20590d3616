"""`/api/content`: the watched system, a content API. Its requests and its database queries are measured."""

from lib.kairo_cms import content_app
from lib.kairo_metrics import instrument, lambda_handler

app = instrument(content_app())
handler = lambda_handler(app)
