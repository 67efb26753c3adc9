"""Who and what is refused although its token is good; looked up on every request, cached tokens included."""

from enum import StrEnum

from app.policy.caller import Caller


class Revoked(StrEnum):
    """What a deny entry names; the value is the stable word for logs."""

    TOKEN = "token"  # noqa: S105
    PRINCIPAL = "principal"
    ACTOR = "actor"
    CLIENT = "client"


class Revocations:
    """Deny list of one process. Names are those of Caller, namespace included: `partner/ana`.

    `epoch` changes with every change of the list, so that a cached token is looked up again only then.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._denied: set[tuple[Revoked, str]] = set()

    def deny(self, kind: Revoked, name: str) -> None:
        self._denied.add((kind, name))
        self.epoch += 1

    def lift(self, kind: Revoked, name: str) -> None:
        self._denied.discard((kind, name))
        self.epoch += 1

    def revoked(self, caller: Caller) -> Revoked | None:
        """What makes this caller refused; an actor counts wherever it stands in the chain."""
        if not self._denied:
            return None
        named = [
            (Revoked.TOKEN, caller.token_id),
            (Revoked.PRINCIPAL, caller.principal),
            (Revoked.CLIENT, caller.client),
            *((Revoked.ACTOR, actor) for actor in (caller.actor, *caller.actor_chain)),
        ]
        return next((kind for kind, name in named if (kind, name) in self._denied), None)
