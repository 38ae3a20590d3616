"""The time until which a receiver has the metrics: what began later is new to it, and is pushed at zero first.

It is a gauge among the pushed metrics, so that each function knows it from the page that it pushes.
"""

from __future__ import annotations

from hashlib import blake2b
from urllib.parse import urlsplit

from ..config.push_settings import PushSettings
from ..exposition.page import Page
from ..instruments.delivery_instruments import PUSHED_UNTIL
from ..model.encoding import label_text

__all__ = ["new_since_ms", "receiver_name"]

# A receiver without the gauge has perhaps taken pushes of an earlier version. It refuses zeros before its last samples,
# and Prometheus refuses what is more than an hour old in any case.
_WITHOUT_GAUGE_MS = 3_600_000


def receiver_name(settings: PushSettings) -> str:
    """Return a name for a receiver and the labels that it is sent: its host, and a digest of the rest.

    Example:
        >>> receiver_name(PushSettings(url="https://prometheus.example.org/api/v1/write"))
        'prometheus.example.org-f2646af6'
    """
    parts = [settings.receiver_url, settings.username, *sorted(settings.labels.items())]
    digest = blake2b(repr(parts).encode(), digest_size=4).hexdigest()
    return f"{urlsplit(settings.receiver_url or '').hostname}-{digest}"


def new_since_ms(page: Page, receiver: str) -> int:
    """Return the time after which a series began if it is new to a receiver, in ms since 1970.

    Args:
        page: what is pushed.
        receiver: its name.

    Example:
        >>> new_since_ms(Page(at_ms=1764003600000), "prometheus.example.org-f2646af6")
        1764000000000
    """
    text = label_text(("receiver",), [receiver]).encode()
    for family in page.families:
        if family.schema.name == PUSHED_UNTIL and text in family.series:
            return round(float(family.series[text]) * 1000)
    return page.at_ms - _WITHOUT_GAUGE_MS
