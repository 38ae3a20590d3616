"""The settings of the package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..errors import SettingsError
from .environment import Environment, read_or_log, require_namespace, require_redis_url

if TYPE_CHECKING:
    from .options import RequestOptions

__all__ = ["Settings", "load_settings"]

# What no text of the settings shows: a password or a key may be in it.
_SECRETS = frozenset({"auth_tokens", "redis_url", "read_url", "redis_tls_ca"})
_RANGES = {
    "shards": ("METRICS_SHARDS", 1, 1024),
    "max_series": ("METRICS_MAX_SERIES", 1, 10_000_000),
    "max_label_values": ("METRICS_MAX_LABEL_VALUES", 1, 10_000),
    "series_ttl_s": ("METRICS_SERIES_TTL", 60, 400 * 24 * 3600),
    "new_series_zero_s": ("METRICS_NEW_SERIES_ZERO_S", 0, 3600),
    "instance_lease_s": ("METRICS_INSTANCE_LEASE_S", 1, 7 * 24 * 3600),
    "stream_flush_s": ("METRICS_STREAM_FLUSH_S", 1, 3600),
    "flush_budget_ms": ("METRICS_FLUSH_BUDGET_MS", 1, 60_000),
    "scrape_timeout_ms": ("METRICS_SCRAPE_TIMEOUT_MS", 1, 300_000),
}


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
        new_series_zero_s: seconds for which the metrics page shows a new counter, histogram or summary at zero, so that
            a scraper sees it at zero before it sees it counted; 0 shows it at once (`METRICS_NEW_SERIES_ZERO_S`).
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

    # No dataclass: making one takes a millisecond of every cold start.
    def __init__(  # noqa: PLR0913  everything that can be set
        self,
        *,
        enabled: bool = False,
        auth_tokens: tuple[str, ...] = (),
        auth_token_secret_id: str | None = None,
        auth_token_parameter: str | None = None,
        redis_url: str | None = None,
        read_url: str | None = None,
        redis_tls_verify: bool = True,
        redis_tls_ca: str | None = None,
        namespace: str = "development",
        shards: int = 1,
        max_series: int = 10_000,
        max_label_values: int = 100,
        series_ttl_s: int = 7 * 24 * 3600,
        instance_lease_s: int = 300,
        created_samples: bool = False,
        new_series_zero_s: int = 0,
        stream_flush_s: int = 5,
        flush_budget_ms: int = 1_000,
        scrape_timeout_ms: int = 10_000,
        options: RequestOptions | None = None,
    ) -> None:
        self.enabled: Final = enabled
        self.auth_tokens: Final = auth_tokens
        self.auth_token_secret_id: Final = auth_token_secret_id
        self.auth_token_parameter: Final = auth_token_parameter
        self.redis_url: Final = redis_url
        self.read_url: Final = read_url
        self.redis_tls_verify: Final = redis_tls_verify
        self.redis_tls_ca: Final = redis_tls_ca
        self.namespace: Final = namespace
        self.shards: Final = shards
        self.max_series: Final = max_series
        self.max_label_values: Final = max_label_values
        self.series_ttl_s: Final = series_ttl_s
        self.instance_lease_s: Final = instance_lease_s
        self.created_samples: Final = created_samples
        self.new_series_zero_s: Final = new_series_zero_s
        self.stream_flush_s: Final = stream_flush_s
        self.flush_budget_ms: Final = flush_budget_ms
        self.scrape_timeout_ms: Final = scrape_timeout_ms
        self.options: Final = options
        self._check()

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Settings) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        shown = [f"{name}={value!r}" for name, value in vars(self).items() if name not in _SECRETS]
        return f"Settings({', '.join(shown)})"

    def changed(self, **parts: Any) -> Settings:
        """Return the same settings with other values for these.

        Example:
            >>> Settings(namespace="preview", shards=2).changed(shards=4).namespace
            'preview'
        """
        return Settings(**vars(self) | parts)

    def _check(self) -> None:
        """Check all values, whether they come from variables or from code.

        Raises:
            SettingsError: a value is malformed; the error names its variable.
        """
        if not all(isinstance(token, str) and token.strip() for token in self.auth_tokens) or not isinstance(
            self.auth_tokens, tuple
        ):
            raise SettingsError("METRICS_AUTH_TOKEN", "has an empty token: set one token, or two separated by a comma")
        _check_token_places(self)
        require_namespace("METRICS_NAMESPACE", self.namespace)
        for name, (variable, low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise SettingsError(
                    variable, f"must be a whole number from {low} to {high}", f", not {getattr(self, name)!r}"
                )
        if self.redis_url is not None:
            require_redis_url("REDIS_URL", self.redis_url)
        if self.read_url is not None:
            require_redis_url("METRICS_READ_URL", self.read_url)
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


def _read_if_enabled() -> Settings:
    return Settings.from_env() if Environment().flag("ENABLE_METRICS") else Settings()


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
