"""The one boto3 client of a connection: made when it is first needed, and anew when its credentials were rotated."""

import asyncio
import functools
import random
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.config import Config

from connectors.boto_clients import client_of
from connectors.contract import ConnectorConfig, ConnectorError, Failure, SecretSource
from connectors.s3.faults import refuses_credentials, translated, translated_change, worth_repeating
from connectors.s3.options import Options
from connectors.threads import Threads

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

T = TypeVar("T")

_CONNECT_TIMEOUT_S = 5.0
_ATTEMPTS = 3
_FIRST_PAUSE_S = 0.1
_LONGER_EACH_TIME = 4
_SLOWEST_BYTES_PER_S = 256 * 1024
"""What a body that is sent may take, beyond the time of one call."""


class Client:
    """Calls run on threads. botocore itself repeats nothing: a change that was made and whose answer was lost would
    come back as a failed condition."""

    def __init__(self, config: ConnectorConfig, options: Options, threads: Threads) -> None:
        self._options = options
        self._secrets = config.secrets
        self._timeout_s = config.timeout_s
        self._pool_max = max(1, config.pool_max)
        self._threads = threads
        self._building = threading.Lock()
        self._client: S3Client | None = None
        self._known: Mapping[str, str] = {}

    async def call(self, operation: "Callable[[S3Client], T]", *, undo: Callable[[T], None] | None = None) -> T:
        """Of what changes nothing: tried up to _ATTEMPTS times within the time of one call. `undo`: of an answer that
        nobody waits for any more. Raises ConnectorError."""
        once = functools.partial(self._threads.run, functools.partial(self._do, operation), undo=undo)
        return await self._repeated(once, self._timeout_s)

    async def send(self, operation: "Callable[[S3Client], T]", *, body_bytes: int = 0) -> T:
        """Of what is the same when it is done twice, and is not left before it ended. Raises ConnectorError."""
        once = functools.partial(self._threads.step, functools.partial(self._do, operation))
        try:
            return await self._repeated(once, self._time_for(body_bytes))
        except ConnectorError as e:
            if e.failure is Failure.OUTCOME_UNKNOWN:
                raise ConnectorError(Failure.TIMEOUT, retryable=True) from e
            raise

    async def _repeated(self, once: Callable[..., Coroutine[Any, Any, T]], timeout_s: float) -> T:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        pause_s = _FIRST_PAUSE_S
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await once(timeout_s=max(0.0, deadline - loop.time()))
            except ConnectorError:
                raise
            except Exception as e:
                if attempt == _ATTEMPTS or not worth_repeating(e) or loop.time() + pause_s >= deadline:
                    raise translated(e) from e
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
            pause_s *= _LONGER_EACH_TIME
        raise AssertionError("the last attempt returns or raises")

    async def change(self, operation: "Callable[[S3Client], T]", *, body_bytes: int = 0) -> T:
        """Done once, outlives a cancellation. Raises ConnectorError: OUTCOME_UNKNOWN when no answer came."""

        def doing() -> T:
            try:
                return self._do(operation)
            except ConnectorError:
                raise
            except Exception as e:
                raise translated_change(e) from e

        return await self._threads.finish(doing, timeout_s=self._time_for(body_bytes))

    def _time_for(self, body_bytes: int) -> float:
        """Beyond what botocore takes to give up by itself, and then to give the better answer."""
        return self._timeout_s + min(_CONNECT_TIMEOUT_S, self._timeout_s) + 1.0 + body_bytes / _SLOWEST_BYTES_PER_S

    def _do(self, operation: "Callable[[S3Client], T]") -> T:
        """On a thread. A store that refused the credentials did nothing: with new ones it is asked once more."""
        client = self._current()
        try:
            return operation(client)
        except Exception as e:
            if not refuses_credentials(e) or (renewed := self._renewed(client)) is None:
                raise
            return operation(renewed)

    def _current(self) -> "S3Client":
        with self._building:
            if self._client is None:
                self._build(_read(self._secrets))
            assert self._client is not None
            return self._client

    def _renewed(self, refused: "S3Client") -> "S3Client | None":
        """None: there are no other credentials than those that were refused. boto3 renews by itself what it found in
        the environment."""
        with self._building:
            if self._client is refused:
                secrets = _read(self._secrets)
                if secrets == self._known:
                    return None
                # What still runs on the old client keeps it; it is closed with its last answer.
                self._build(secrets)
            return self._client

    def _build(self, secrets: Mapping[str, str]) -> None:
        self._client = client_of(
            "s3",
            secrets,
            region=self._options.region,
            endpoint_url=self._options.endpoint_url,
            config=self._config(),
        )
        self._known = secrets

    def _config(self) -> Config:
        return Config(
            signature_version="s3v4",
            connect_timeout=min(_CONNECT_TIMEOUT_S, self._timeout_s),
            read_timeout=self._timeout_s,
            max_pool_connections=self._pool_max,
            retries={"total_max_attempts": 1},
            # Many stores know none of the newer checksum headers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if self._options.path_style else "auto"},
            user_agent_extra="douane",
        )

    def close(self) -> None:
        with self._building:
            if self._client is not None:
                self._client.close()
            self._client = None


def _read(secrets: Mapping[str, SecretSource]) -> Mapping[str, str]:
    return {name: source() for name, source in secrets.items()}
