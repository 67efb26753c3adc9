"""A name becomes addresses once, all of them are judged, and the connection goes to one that was judged."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from app.notify.addresses import Network, literal, named, refusal

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses as text; raises OSError."""

MAX_TRIED = 4


class NotSent(Exception):  # noqa: N818 - an answer
    """`error` is the stable word of the delivery log."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


async def system_resolver(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def judged(
    host: str, port: int, *, allowed: Sequence[Network], clear_text: bool, resolve: Resolve
) -> Sequence[str]:
    """The addresses to try, in order. One bad address among them refuses all: who answers for a name could otherwise
    have us try until the bad one comes up. `clear_text`: only networks that the operator named. Raises NotSent."""
    known = literal(host)
    try:
        texts = [str(known)] if known is not None else list(dict.fromkeys(await resolve(host, port)))
    except (OSError, UnicodeError) as error:
        raise NotSent("name_not_found") from error
    if not texts:
        raise NotSent("name_not_found")
    for text in texts:
        address = literal(text)
        if address is None or refusal(address, allowed) is not None:
            raise NotSent("address_refused")
        if clear_text and not named(address, allowed):
            raise NotSent("clear_text_refused")
    return texts[:MAX_TRIED]
