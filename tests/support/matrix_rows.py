"""The rows of `make matrix`: a version of a library or of a server, and the tests that it could break."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a library, or of a server.

    Args:
        library: its name in the package index; of a server, that of its program.
        requirement: which version; empty for the newest.
        tests: files and folders of tests; a server's are those of `make test-store`.
        also: requirements on other libraries, which this version does not state itself.
        suite: of a server: the suite of Debian that has it.
    """

    library: str
    requirement: str
    tests: tuple[str, ...]
    also: tuple[str, ...] = ()
    suite: str = ""

    @property
    def name(self) -> str:
        """The name of the row's folder, and of the row on the command line.

        Example:
            >>> Row("redis", "==5.0.0", ()).name, Row("redis", "", ()).name
            ('redis==5.0.0', 'redis-newest')
        """
        return f"{self.library}{self.requirement or '-newest'}"


def _tests(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/{folder}/test_{name}.py" for name in names)


_CLIENT = (
    *("tests/unit/instruments", "tests/unit/exposition", "tests/unit/scrape"),
    *_tests("contracts", "client_library", "created_times", "differential", "exemplars", "gauge_modes"),
    *_tests("contracts", "metric_names", "native_histograms"),
)
_REDIS = ("tests/unit/store", *_tests("contracts", "store", "flushing"), *_tests("faults", "outage"))
_ANY_APP = (
    *_tests("unit/entrypoints", "interfaces", "in_place", "page_path", "outcomes"),
    *_tests("unit/frameworks", "adapters", "dispatchers", "hooks", "request_route", "watch"),
    *_tests("contracts", "entry_points"),
)
_ASGI = (
    *_ANY_APP,
    *_tests("unit/entrypoints", "asgi", "lifespan", "websocket_failures"),
    *_tests("unit/frameworks", "starlette_app", "starlette_hooks", "outer_mounts"),
    *_tests("unit/endpoints", "metrics_endpoint", "push_endpoint"),
)
_WSGI = (*_ANY_APP, *_tests("unit/entrypoints", "wsgi"))
_FLASK = (*_WSGI, *_tests("unit/frameworks", "flask_app"))
_TELEMETRY = ("tests/unit/integrations/opentelemetry", *_tests("faults", "opentelemetry_forks"))
_DJANGO = (*_WSGI, *_tests("unit/frameworks", "django_handler", "django_patterns"))

# Of each library the oldest version that is supported, the newest of each line since then, and the newest of all.
_VERSIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prometheus-client": (("==0.20.0", "<0.22", "<0.23", "<0.24", "<0.25", "<0.26", ""), _CLIENT),
    "redis": (("==5.0.0", "<6", "<7", "<8", ""), _REDIS),
    "starlette": (("==0.40.0", "<0.46", "<0.50", "<1", ""), _ASGI),
    "fastapi": (("==0.115.3", "<0.120", "<0.136", ""), _ASGI),
    # The test client of Flask 2.0 and 2.1 does not work with the Werkzeug that these ask for.
    "flask": (("==2.2.0", "==2.3.3", "<3.1", ""), _FLASK),
    "django": (("==4.2", "<5", "<5.1", "<6", ""), _DJANGO),
    "opentelemetry-sdk": (("==1.30.0", "<1.36", "<1.42", ""), _TELEMETRY),
}
# Flask 2 asks for any Werkzeug from 2.2, and can't be imported with 3.
_ALSO = {("flask", "==2.2.0"): ("werkzeug<3",), ("flask", "==2.3.3"): ("werkzeug<3",)}
_SERVERS = (("redis-server", "8.0", "trixie"), ("valkey-server", "8.1", "trixie"), ("valkey-server", "9.1", "forky"))
ROWS = (
    *(
        Row(library, requirement, tests, _ALSO.get((library, requirement), ()))
        for library, (requirements, tests) in _VERSIONS.items()
        for requirement in requirements
    ),
    *(Row(program, f"=={version}.*", (), suite=suite) for program, version, suite in _SERVERS),
)
