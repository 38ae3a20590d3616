"""Requests signed for Amazon Managed Service for Prometheus (AWS Signature Version 4), as Prometheus' `sigv4` does it.

The AWS SDK is imported when the first request is signed. AWS Lambda provides it, so it is not a dependency of the
package.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from ..config.push_settings import PushSettings
from ..errors import ReceiverError

__all__ = ["AwsSignature"]

# Amazon Managed Service for Prometheus, in the scope of a signature.
_SERVICE = "aps"


class AwsSignature:
    """Signs each request with the key of the settings, or with the one that botocore finds where it usually looks.

    Args:
        settings: the region, and which key to use.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """

    def __init__(self, settings: PushSettings) -> None:
        self._settings = settings
        self._credentials: Any = None
        self._shown_to_aws: tuple[str, ...] = ()
        self._lock = threading.Lock()

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Login.secrets`: AWS repeats the headers of a request whose signature it refuses."""
        return self._shown_to_aws

    def headers(self, url: str, headers: Mapping[str, str], data: bytes) -> Mapping[str, str]:
        """See `Login.headers`. Every attempt is signed anew, because a signature holds its time."""
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as err:
            raise ReceiverError(
                f"requests are to be signed for AWS, and botocore can't be imported ({err}): pip install botocore",
                final=True,
            ) from err
        request = AWSRequest("POST", url, dict(headers), data)
        try:
            SigV4Auth(self._key(), _SERVICE, self._settings.sigv4_region).add_auth(request)
        except (BotoCoreError, ClientError) as err:
            raise ReceiverError(f"the request could not be signed for AWS: {err}", final=True) from err
        return dict(request.headers)

    def _key(self) -> Any:
        """Return the key as it is now: one that ends is renewed."""
        with self._lock:  # an attempt that took too long may still be at it
            if self._credentials is None:
                self._credentials = self._found()
        if self._credentials is None:
            raise ReceiverError(
                "no key to sign with was found: give this function a role, or set "
                "METRICS_REMOTE_WRITE_SIGV4_ACCESS_KEY and METRICS_REMOTE_WRITE_SIGV4_SECRET_KEY",
                final=True,
            )
        key = self._credentials.get_frozen_credentials()
        self._shown_to_aws = tuple(filter(None, [key.token, key.secret_key]))
        return key

    def _found(self) -> Any:
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.session import Session

        settings = self._settings
        session = Session(profile=settings.sigv4_profile)
        if settings.sigv4_access_key:
            session.set_credentials(settings.sigv4_access_key, settings.sigv4_secret_key)
        found = session.get_credentials()
        if found is None or not settings.sigv4_role_arn:
            return found
        session.set_config_variable("region", settings.sigv4_region)
        fetcher = AssumeRoleCredentialFetcher(session.create_client, found, settings.sigv4_role_arn)
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
