"""Whether a caller's token still stands after its request waited: it can have ended, or been withdrawn, meanwhile."""

from collections.abc import Callable

from app.gateway.errors import InvalidToken
from app.policy.caller import Caller


class Admission:
    """`withdrawn`: whether an administrator took the caller's access away."""

    def __init__(self, *, now: Callable[[], float], withdrawn: Callable[[Caller], bool]) -> None:
        self._now = now
        self._withdrawn = withdrawn

    def require(self, caller: Caller) -> None:
        """Raises InvalidToken."""
        if caller.expires_at <= self._now():
            raise InvalidToken(
                "The token expired while the request waited: get a new one, and ask again.", reason="expired"
            )
        if self._withdrawn(caller):
            raise InvalidToken(
                "This access was withdrawn while the request waited: ask an administrator.", reason="revoked"
            )
