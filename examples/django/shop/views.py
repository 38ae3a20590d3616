"""The pages of the shop."""

from django.http import Http404, HttpRequest, JsonResponse
from prometheus_client import Counter

VIEWS = Counter("product_views_total", "Products shown.", ["product"])
PRICES_CENTS = {"lamp": 4900, "chair": 12900}


def product(_request: HttpRequest, name: str) -> JsonResponse:
    """Return a product's price."""
    if name not in PRICES_CENTS:
        raise Http404(name)
    VIEWS.labels(name).inc()
    return JsonResponse({"product": name, "price_cents": PRICES_CENTS[name]})
