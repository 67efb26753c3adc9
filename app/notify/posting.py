"""One POST to a judged address: no redirects, no proxy, TLS checked against the name, a deadline over all of it."""

import asyncio
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from app.notify.addresses import Network
from app.notify.endpoint import Endpoint
from app.notify.resolving import NotSent, Resolve, judged, system_resolver
from app.ports import Sent

CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 65_536
MAX_RETRY_AFTER_S = 24 * 3_600
_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "content-type": "application/json",
    "user-agent": "douane",
    "connection": "close",
}


class Posting:
    """`tls` and `resolve` are arguments for tests with a certificate authority and a name server of their own."""

    def __init__(
        self,
        *,
        allowed: Sequence[Network],
        resolve: Resolve = system_resolver,
        tls: ssl.SSLContext | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        # Loading the trust store takes milliseconds: once at start, not on the loop at each message.
        self._tls = tls or ssl.create_default_context()
        self._timeout = httpx2.Timeout(total_timeout_s, connect=connect_timeout_s)
        self._total_timeout_s = total_timeout_s

    async def post(self, to: Endpoint, body: bytes, headers: Mapping[str, str], now: float) -> Sent:
        """`now`: wall-clock seconds, to read a Retry-After that is a date."""
        return await self._within(self._post(to, body, headers, now))

    async def probe(self, to: Endpoint) -> Sent:
        """Connects and shakes hands for TLS; sends no request."""
        return await self._within(self._reach(to))

    async def _within(self, work: Awaitable[Sent]) -> Sent:
        try:
            async with asyncio.timeout(self._total_timeout_s):
                return await work
        except NotSent as refused:
            return Sent(error=refused.error)
        except (TimeoutError, httpx2.TimeoutException):
            return Sent(error="timeout")
        except ssl.SSLError:
            return Sent(error="tls_failed")
        except httpx2.HTTPError as error:
            return Sent(error=_word(error))
        except OSError:
            return Sent(error="connection_failed")

    async def _post(self, to: Endpoint, body: bytes, headers: Mapping[str, str], now: float) -> Sent:
        addresses = await judged(to.host, to.port, allowed=self._allowed, clear_text=not to.tls, resolve=self._resolve)
        *others, last = addresses
        for address in others:
            with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):  # the next address may answer
                return await self._post_to(address, to, body, headers, now)
        return await self._post_to(last, to, body, headers, now)

    async def _reach(self, to: Endpoint) -> Sent:
        addresses = await judged(to.host, to.port, allowed=self._allowed, clear_text=not to.tls, resolve=self._resolve)
        tls: dict[str, Any] = {"ssl": self._tls, "server_hostname": to.host} if to.tls else {}
        _, writer = await asyncio.open_connection(addresses[0], to.port, **tls)
        writer.close()
        return Sent()

    async def _post_to(self, address: str, to: Endpoint, body: bytes, headers: Mapping[str, str], now: float) -> Sent:
        # The connection goes to the judged address itself: a second look at the DNS could lead elsewhere.
        url = to.url.copy_with(host=address, port=to.port)
        client = httpx2.AsyncClient(
            verify=self._tls, trust_env=False, follow_redirects=False, max_redirects=0, timeout=self._timeout
        )
        sent = {**_HEADERS, **headers, "host": to.url.netloc.decode("ascii")}
        extensions = {"sni_hostname": to.host}
        async with client, client.stream("POST", url, content=body, headers=sent, extensions=extensions) as answer:
            found = _verdict(answer, now)
            # The status has come; the rest is read for politeness alone, and not beyond a bound.
            with suppress(httpx2.HTTPError):
                size = 0
                async for chunk in answer.aiter_raw():
                    size += len(chunk)
                    if size > MAX_ANSWER_BYTES:
                        break
        return found


def _verdict(answer: httpx2.Response, now: float) -> Sent:
    status = answer.status_code
    retry_after_s = _retry_after_s(answer.headers.get("retry-after"), now)
    if 200 <= status < 300:
        return Sent(status=status)
    if status == 410:
        return Sent(status=status, error="gone", gone=True)
    error = "redirect" if 300 <= status < 400 else "status"
    return Sent(status=status, error=error, retry_after_s=retry_after_s)


def _retry_after_s(value: str | None, now: float) -> int | None:
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 12:
        return min(int(value), MAX_RETRY_AFTER_S)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    wait_s = int((until - datetime.fromtimestamp(now, UTC)).total_seconds()) + 1
    return min(max(wait_s, 0), MAX_RETRY_AFTER_S)


def _word(error: httpx2.HTTPError) -> str:
    """TLS faults arrive wrapped: the operator needs to know them from a refused connection."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls_failed"
        cause = cause.__cause__ or cause.__context__
    return "connection_failed" if isinstance(error, httpx2.TransportError) else "not_http"
