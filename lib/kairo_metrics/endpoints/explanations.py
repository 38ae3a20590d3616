"""Answers for people: what to do about a wrong setting, and what a browser has opened."""

from __future__ import annotations

from ..errors import SettingsError
from ..exposition.negotiate import header_ranges

__all__ = ["A_SETTING_IS_WRONG", "explained", "wrong_setting"]

# `doctor` knows the answer by these words.
A_SETTING_IS_WRONG = "a setting is wrong"
_WHAT_THIS_IS = """\

This is a metrics page for Prometheus, by Kairo Metrics. It is not for browsers, which can't send the token.

To look at it:
  curl -H "Authorization: Bearer $METRICS_AUTH_TOKEN" https://<this domain>/api/metrics

To scrape it, in prometheus.yml:
  scrape_configs:
    - job_name: kairo
      scheme: https
      metrics_path: /api/metrics
      authorization: {credentials: <METRICS_AUTH_TOKEN>}
      static_configs: [{targets: [<this domain>]}]

To find out why it can't be scraped:
  python -m lib.kairo_metrics doctor --url https://<this domain>
"""


def wrong_setting(problem: SettingsError) -> str:
    """Return what is wrong and what to do, without the value: anybody may ask.

    Example:
        >>> wrong_setting(SettingsError("METRICS_SHARDS", "must be a whole number from 1 to 1024", ", not 'many'"))
        'a setting is wrong: METRICS_SHARDS must be a whole number from 1 to 1024; correct it, and deploy again'
    """
    return f"{A_SETTING_IS_WRONG}: {problem.public_text}; correct it, and deploy again"


def explained(reason: str, accept: str) -> str:
    """Return the text of a refusal: the reason, and for a browser also what this is and how to scrape it.

    Args:
        reason: one sentence.
        accept: the request's `Accept` header; only browsers name `text/html` in it.
    """
    weights = {kind: weight for kind, _, weight in header_ranges(accept)}
    return f"{reason}\n{_WHAT_THIS_IS if weights.get('text/html', 0) > 0 else ''}"
