"""The settings of the package, and the only module that reads the environment."""

from __future__ import annotations

import logging
import os
import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ..errors import SettingsError

if TYPE_CHECKING:
    from .options import RequestOptions

__all__ = [
    "REDIS_URL_VARIABLES",
    "Environment",
    "Settings",
    "environment",
    "load_settings",
    "quoted",
    "read_or_log",
    "split_tokens",
]

T = TypeVar("T")
_log = logging.getLogger("kairo_metrics")
_logged: set[str] = set()
# A longer value is cut in an error: it is hardly what was meant, and it fills the terminal.
_SHOWN_CHARS = 60
_YES = frozenset({"1", "on", "true", "yes"})
_NO = frozenset({"", "0", "false", "no", "off"})
_NAMESPACE_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_.-")
_LONGEST_NAMESPACE = 64
REDIS_URL_VARIABLES = ("REDIS_URL", "KV_URL", "REDIS_TLS_URL")
_ORDINARY_REDIS_URL = re.compile(
    r"rediss?://(?:[A-Za-z0-9._~:%!$&'()*+;=-]*@)?[A-Za-z0-9.-]+(?::[0-9]{1,4}|:[1-5][0-9]{4})?(?:/[0-9]{0,9})?"
)
# The variables of `RequestOptions`.
_OPTIONS = frozenset(
    {
        "METRICS_PREFIX",
        "METRICS_BUCKETS",
        "METRICS_DATABASE_BUCKETS",
        "METRICS_FUNCTION_BUCKETS",
        "METRICS_WEBSOCKET_BUCKETS",
        "METRICS_SKIP_PATHS",
        "METRICS_SKIP_METHODS",
        "METRICS_LABELS",
        "METRICS_GROUP_STATUS",
        "METRICS_IN_PROGRESS",
        "METRICS_SIZES",
        "METRICS_STATUS_CODES",
        "METRICS_NAMES",
    }
)
_RANGES = {
    "shards": ("METRICS_SHARDS", 1, 1024),
    "max_series": ("METRICS_MAX_SERIES", 1, 10_000_000),
    "max_label_values": ("METRICS_MAX_LABEL_VALUES", 1, 10_000),
    "series_ttl_s": ("METRICS_SERIES_TTL", 60, 400 * 24 * 3600),
    "instance_lease_s": ("METRICS_INSTANCE_LEASE_S", 1, 7 * 24 * 3600),
    "stream_flush_s": ("METRICS_STREAM_FLUSH_S", 1, 3600),
    "flush_budget_ms": ("METRICS_FLUSH_BUDGET_MS", 1, 60_000),
    "scrape_timeout_ms": ("METRICS_SCRAPE_TIMEOUT_MS", 1, 300_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, with its default.

    Args:
        enabled: whether anything is recorded or served (`ENABLE_METRICS`).
        auth_tokens: the accepted bearer tokens; two while rotating (`METRICS_AUTH_TOKEN`).
        auth_token_secret_id: instead of `auth_tokens`, the name or ARN of a secret in AWS Secrets Manager
            (`METRICS_AUTH_TOKEN_SECRET_ID`).
        auth_token_parameter: instead of `auth_tokens`, the name or ARN of a parameter in AWS Systems Manager
            (`METRICS_AUTH_TOKEN_PARAMETER`).
        redis_url: `redis://`, `rediss://` or `unix://`, for sentinels `redis+sentinel://` or `rediss+sentinel://`;
            several hosts are separated by commas (`REDIS_URL`, else `KV_URL`, else `REDIS_TLS_URL`).
        read_url: the address that scrapes read from, if it differs from `redis_url` (`METRICS_READ_URL`).
        redis_tls_verify: whether the certificate of a `rediss://` server is checked (`METRICS_REDIS_TLS_VERIFY`).
        redis_tls_ca: certificates trusted beside the system's: PEM text, or a file (`METRICS_REDIS_TLS_CA`).
        namespace: separates production, preview and development (`METRICS_NAMESPACE`, else `VERCEL_ENV`).
        shards: the number of hash slots that the writers are spread over (`METRICS_SHARDS`).
        max_series: the most series of a family; further ones are counted in its overflow series
            (`METRICS_MAX_SERIES`).
        max_label_values: the most values that an instance gives to one of the `labels` of `instrument`; further ones
            count as `__overflow__` (`METRICS_MAX_LABEL_VALUES`).
        series_ttl_s: seconds after which a series without updates is removed (`METRICS_SERIES_TTL`).
        instance_lease_s: seconds after which an instance that sent nothing counts as ended, for gauges with a series
            per instance (`METRICS_INSTANCE_LEASE_S`).
        created_samples: whether the text formats show when each series began, as `_created` samples, which double the
            samples (`METRICS_CREATED_SAMPLES`).
        stream_flush_s: seconds between two flushes while a stream, a websocket or a function runs
            (`METRICS_STREAM_FLUSH_S`).
        flush_budget_ms: milliseconds that one flush may take (`METRICS_FLUSH_BUDGET_MS`).
        scrape_timeout_ms: milliseconds that one scrape may take (`METRICS_SCRAPE_TIMEOUT_MS`).
        options: what `instrument` uses where a call does not choose (`METRICS_BUCKETS`, `METRICS_DATABASE_BUCKETS`,
            `METRICS_FUNCTION_BUCKETS`, `METRICS_WEBSOCKET_BUCKETS`, `METRICS_SKIP_PATHS`, `METRICS_SKIP_METHODS`,
            `METRICS_LABELS`, `METRICS_GROUP_STATUS`, `METRICS_IN_PROGRESS`, `METRICS_SIZES`, `METRICS_STATUS_CODES`,
            `METRICS_NAMES`, `METRICS_PREFIX`).

    Example:
        >>> Settings.from_env({"ENABLE_METRICS": "true", "VERCEL_ENV": "preview"}).namespace
        'preview'
    """

    enabled: bool = False
    auth_tokens: tuple[str, ...] = field(default=(), repr=False)
    auth_token_secret_id: str | None = None
    auth_token_parameter: str | None = None
    redis_url: str | None = field(default=None, repr=False)
    read_url: str | None = field(default=None, repr=False)
    redis_tls_verify: bool = True
    redis_tls_ca: str | None = field(default=None, repr=False)
    namespace: str = "development"
    shards: int = 1
    max_series: int = 10_000
    max_label_values: int = 100
    series_ttl_s: int = 7 * 24 * 3600
    instance_lease_s: int = 300
    created_samples: bool = False
    stream_flush_s: int = 5
    flush_budget_ms: int = 1_000
    scrape_timeout_ms: int = 10_000
    options: RequestOptions | None = None

    def __post_init__(self) -> None:
        """Check all values, whether they come from variables or from code.

        Raises:
            SettingsError: a value is malformed; the error names its variable.
        """
        if not all(isinstance(token, str) and token.strip() for token in self.auth_tokens) or not isinstance(
            self.auth_tokens, tuple
        ):
            raise SettingsError("METRICS_AUTH_TOKEN", "has an empty token: set one token, or two separated by a comma")
        _check_token_places(self)
        _check_namespace("METRICS_NAMESPACE", self.namespace)
        for name, (variable, low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(
                    variable, f"must be a whole number from {low} to {high}", f", not {getattr(self, name)!r}"
                )
        if self.redis_url is not None:
            _check_redis_url("REDIS_URL", self.redis_url)
        if self.read_url is not None:
            _check_redis_url("METRICS_READ_URL", self.read_url)
        if self.options is not None:
            from .options import RequestOptions  # imported late: most cold starts do not need it

            if not isinstance(self.options, RequestOptions):
                raise TypeError(f"options must be RequestOptions, not {type(self.options).__name__}")
        if self.redis_tls_ca is not None:
            from .certificates import check_certificates  # imported late: most cold starts do not need it

            check_certificates(self.redis_tls_ca, self.redis_url, verified=self.redis_tls_verify)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from `environ`, by default the process environment.

        Raises:
            SettingsError: a variable is malformed; the error names it.
        """
        env = Environment(environ)
        default = cls()
        return cls(
            enabled=env.flag("ENABLE_METRICS"),
            auth_tokens=env.tokens("METRICS_AUTH_TOKEN"),
            auth_token_secret_id=env.text("METRICS_AUTH_TOKEN_SECRET_ID") or None,
            auth_token_parameter=env.text("METRICS_AUTH_TOKEN_PARAMETER") or None,
            redis_url=env.redis_url(),
            read_url=env.text("METRICS_READ_URL") or None,
            redis_tls_verify=not env.text("METRICS_REDIS_TLS_VERIFY") or env.flag("METRICS_REDIS_TLS_VERIFY"),
            redis_tls_ca=env.text("METRICS_REDIS_TLS_CA") or None,
            namespace=env.namespace(),
            created_samples=env.flag("METRICS_CREATED_SAMPLES"),
            options=env.options(),
            **{
                name: env.whole(variable, getattr(default, name), low, high)
                for name, (variable, low, high) in _RANGES.items()
            },
        )


def load_settings() -> tuple[Settings, SettingsError | None]:
    """Return the settings of a running function, and the error if a variable is wrong.

    A wrong variable of metrics must not take the user's app down: metrics are then off, which is logged once. While
    metrics are off, no variable is read but the switch.
    """
    return read_or_log(_read_if_enabled, Settings(), "metrics are off, and the metrics page answers 503")


def read_or_log(read: Callable[[], T], default: T, consequence: str) -> tuple[T, SettingsError | None]:
    """Return what `read` returns, or the default and the error, which is logged once in this process.

    Args:
        read: reads variables.
        default: returned if one of them is wrong.
        consequence: what that means for the user, for the log.
    """
    try:
        return read(), None
    except SettingsError as err:
        text = f"{consequence}: {err.public_text}"
        if text not in _logged:
            _logged.add(text)
            _log.error("%s", text)
        return default, err


def _read_if_enabled() -> Settings:
    return Settings.from_env() if Environment().flag("ENABLE_METRICS") else Settings()


def quoted(value: str) -> str:
    r"""Return a value for an error: in quotes, without control characters, and cut if it is long.

    Example:
        >>> quoted("many\\n"), len(quoted("9" * 1000))
        ("'many\\\\n'", 63)
    """
    return repr(value if len(value) <= _SHOWN_CHARS else f"{value[:_SHOWN_CHARS]}…")


def environment() -> Mapping[str, str]:
    """Return the process environment, for commands that read variables without building `Settings`."""
    return os.environ


def split_tokens(text: str) -> tuple[str, ...]:
    r"""Return the tokens of a setting: one, or two separated by a comma during a rotation.

    Example:
        >>> split_tokens("new, old\n")
        ('new', 'old')
    """
    return tuple(token.strip() for token in text.split(","))


def _check_token_places(settings: Settings) -> None:
    """Refuse tokens from two places: a token forgotten in one of them would stay valid after every rotation."""
    places = {
        "METRICS_AUTH_TOKEN": settings.auth_tokens,
        "METRICS_AUTH_TOKEN_SECRET_ID": settings.auth_token_secret_id,
        "METRICS_AUTH_TOKEN_PARAMETER": settings.auth_token_parameter,
    }
    named = [variable for variable, value in places.items() if value]
    if len(named) > 1:
        raise SettingsError(
            named[1], f"and {named[0]} are both set, but tokens are read from one place: unset one of them"
        )


def _check_namespace(variable: str, namespace: str) -> None:
    if not (0 < len(namespace) <= _LONGEST_NAMESPACE and _NAMESPACE_CHARACTERS.issuperset(namespace)):
        raise SettingsError(
            variable, "may hold letters, digits, '_', '.' and '-' (64 at most)", f", not {quoted(namespace)}"
        )


def _check_redis_url(variable: str, url: str) -> None:
    """Refuse a malformed address. The error does not repeat it, because it may hold a password."""
    if not _ORDINARY_REDIS_URL.fullmatch(url):
        from .redis_url import check_redis_url  # imported late: most cold starts do not need it

        check_redis_url(variable, url)


class Environment:
    """Reads variables as typed values, by default from the process environment; an error names the variable."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def text(self, variable: str) -> str:
        """Return the value without white space around it, or "": `vercel env add` keeps a pasted newline."""
        return self._environ.get(variable, "").strip()

    def quoted(self, variable: str) -> str:
        """Return the value for an error."""
        return quoted(self.text(variable))

    def flag(self, variable: str) -> bool:
        value = self.text(variable).lower()
        if value in _YES:
            return True
        if value in _NO:
            return False
        raise SettingsError(variable, "must be true or false", f", not {quoted(value)}")

    def whole(self, variable: str, default: int, low: int, high: int) -> int:
        value = self.text(variable)
        if not value:
            return default
        if not re.fullmatch(r"[0-9]{1,12}", value) or not low <= int(value) <= high:
            raise SettingsError(variable, f"must be a whole number from {low} to {high}", f", not {quoted(value)}")
        return int(value)

    def tokens(self, variable: str) -> tuple[str, ...]:
        value = self.text(variable)
        return split_tokens(value) if value else ()

    def redis_url(self, *, checked: bool = True) -> str | None:
        for variable in REDIS_URL_VARIABLES:
            if value := self.text(variable):
                if checked:
                    _check_redis_url(variable, value)
                return value
        return None

    def options(self) -> RequestOptions | None:
        """Return what apps use where they do not choose; None if no variable of it is set."""
        if not any(map(self.text, _OPTIONS)):
            return None
        from .options import options_from_env  # imported late: most cold starts do not need it

        return options_from_env(self)

    def namespace(self) -> str:
        for variable in ("METRICS_NAMESPACE", "VERCEL_ENV"):
            if value := self.text(variable):
                _check_namespace(variable, value)
                return value
        return "development"
