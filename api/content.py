"""`/api/content`: the watched system, a content API whose requests and queries are measured."""

from mangum import Mangum

from lib.kairo_cms import content_app
from lib.kairo_metrics import instrument

app = instrument(content_app())
handler = Mangum(app, lifespan="off")
