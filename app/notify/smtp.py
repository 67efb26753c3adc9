"""One e-mail by SMTP: encrypted before a password or a message goes, to a judged address, within a deadline."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum

import aiosmtplib

from app.notify.addresses import Network
from app.notify.resolving import NotSent, Resolve, judged, system_resolver
from app.ports import Sent

CONNECT_TIMEOUT_S = 5.0
TOTAL_TIMEOUT_S = 20.0


class Tls(StrEnum):
    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    host: str
    port: int
    tls: Tls
    user: str | None = None
    password: Callable[[], str] | None = None


class Smtp:
    def __init__(
        self,
        *,
        allowed: Sequence[Network],
        resolve: Resolve = system_resolver,
        tls: ssl.SSLContext | None = None,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tls = tls or ssl.create_default_context()
        self._total_timeout_s = total_timeout_s

    async def send(self, relay: Relay, message: EmailMessage) -> Sent:
        return await self._within(relay, message)

    async def probe(self, relay: Relay) -> Sent:
        """Connects, encrypts and logs in, and sends nothing."""
        return await self._within(relay, None)

    async def _within(self, relay: Relay, message: EmailMessage | None) -> Sent:
        try:
            async with asyncio.timeout(self._total_timeout_s):
                return await self._converse(relay, message)
        except NotSent as refused:
            return Sent(error=refused.error)
        except aiosmtplib.SMTPAuthenticationError as error:
            return Sent(status=error.code, error="login_refused")
        except aiosmtplib.SMTPRecipientsRefused:
            return Sent(error="recipients_refused")
        except aiosmtplib.SMTPResponseException as error:
            return Sent(status=error.code, error="status")
        except (TimeoutError, aiosmtplib.SMTPTimeoutError):
            return Sent(error="timeout")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Sent(error=_word(error))

    async def _converse(self, relay: Relay, message: EmailMessage | None) -> Sent:
        password = None if relay.password is None else relay.password()
        addresses = await judged(
            relay.host,
            relay.port,
            allowed=self._allowed,
            clear_text=relay.tls is Tls.NONE,
            resolve=self._resolve,
        )
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=None,
            use_tls=relay.tls is Tls.IMPLICIT,
            start_tls=relay.tls is Tls.STARTTLS,  # required when asked for: no falling back to clear text
            tls_context=self._tls,
            timeout=self._total_timeout_s,
            local_hostname="douane",
            sock=await _connected(addresses, relay.port),
        )
        async with client:
            if relay.user is not None and password is not None:
                await client.login(relay.user, password)
            if message is not None:
                refused, _ = await client.send_message(message)
                if refused:
                    # Tried again, it would reach the others once more each time
                    return Sent(error="some_recipients_refused", gone=True)
        return Sent(status=250)


async def _connected(addresses: Sequence[str], port: int) -> socket.socket:
    """Raises NotSent."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        found = socket.socket(family, socket.SOCK_STREAM)
        found.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.get_running_loop().sock_connect(found, (address, port))
        except OSError:  # of which TimeoutError is one: the next address may answer
            found.close()
        except BaseException:
            found.close()
            raise
        else:
            return found
    raise NotSent("connection_failed")


def _word(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "tls_failed"
        cause = cause.__cause__ or cause.__context__
    # The base class itself, and not one of its kinds, is raised where the relay offers no STARTTLS or no login
    if type(error) in {aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported}:
        return "not_offered"
    return "connection_failed"
