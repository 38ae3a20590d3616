"""Versions in a project's list that are too old."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lib.kairo_metrics.cli.init.library import REQUIRED
from lib.kairo_metrics.cli.init.old_versions import too_old

OLDEST = {"redis": "5", "prometheus-client": "0.20"}


@pytest.mark.parametrize(
    "line",
    [
        "redis==4",
        "redis == 4.6.1 ; python_version > '3.8'",
        "redis[hiredis]===4.6",
        "redis<5",
        "redis>=4,<5.0",
        "redis (<=4.9)",
        "redis~=4.6",
        "redis ^4.2",
        "redis ~4.2",
        "redis==4.*",
        "Prometheus_Client==0.19.0",
        "prometheus-client<0.20",
        "prometheus-client~=0.19.0",
        "prometheus-client ^0.19",
    ],
)
def test_a_clause_that_allows_only_older_ones(line: str) -> None:
    """Whatever the operator, and with the two of Poetry."""
    assert [found for found, _ in too_old([line], OLDEST)] == [line]


@pytest.mark.parametrize(
    "line",
    [
        "redis",
        "redis>=4",
        "redis==5.*",
        "redis==5.0.1",
        "redis<=5",
        "redis<6",
        "redis~=4",
        "redis ^5",
        "redis>=4,!=5.0.2",
        "prometheus-client~=0.19",
        "prometheus-client==0.20",
        "prometheus-client ^0.20",
        "redis @ https://files.example/redis-4.6.whl",
        "# redis==4",
        "",
        "redis-om==0.1",
    ],
)
def test_a_clause_that_allows_a_newer_one(line: str) -> None:
    """It may install what works, so nothing is said."""
    assert list(too_old([line], OLDEST)) == []


def test_the_oldest_versions_are_those_of_the_wheel() -> None:
    """A copied package has the same needs."""
    wheel = tomllib.loads(Path("lib/pyproject.toml").read_text())["project"]["dependencies"]
    assert sorted(wheel) == sorted(f"{name}>={version}" for name, version in REQUIRED.items())
