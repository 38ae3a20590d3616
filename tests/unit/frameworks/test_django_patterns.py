"""Django's patterns as templates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.kairo_metrics.frameworks.django_patterns import readable


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ("", "/"),
        ("items/<int:pk>/", "/items/<int:pk>/"),
        ("^$", "/"),
        (r"^items/(?P<pk>[0-9]+)/$", "/items/<pk>/"),
        (r"api/^items/(?P<pk>\d+)/(?P<rest>(a|b\))+)\Z", "/api/items/<pk>/<rest>"),
        (r"^items/(\d+)/$", r"/items/(\d+)/"),
        (r"^files/(?P<name>[()\]]+)\.(?:txt|csv)$", "/files/<name>.(txt|csv)"),
        (r"^(?i:about)/(?=x)(?!y)$", "/(about)/"),
        (r"^year/(?P<y>[0-9]{4})/?$", "/year/<y>/?"),
        (r"^broken/(", "/broken/()"),
    ],
)
def test_a_pattern_is_shown_as_a_path(route: str, shown: str) -> None:
    """A person reads which path it is, and two patterns are not shown as one without need."""
    assert readable(route) == shown


@given(st.text(alphabet="ab/()[]?P<>:^$\\.*", max_size=30))
def test_any_pattern_can_be_shown(route: str) -> None:
    """No pattern makes it fail, and the result begins with a slash."""
    assert readable(route).startswith("/")
