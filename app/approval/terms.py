"""On which terms a request may be approved: who, how many, for how long, and for what. Bound into the digest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class GrantKind(StrEnum):
    ONCE = "once"
    WINDOW = "window"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`once`: one use before the approval expires. `window`: from the approval on for `duration_s`, at most `max_uses`
    uses and `max_rows` rows in all (read, or touched by a write); None: no such bound."""

    kind: GrantKind = GrantKind.ONCE
    duration_s: int | None = None
    max_uses: int | None = None
    max_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """`quorum` distinct people, each with one of the subjects in `approvers` (empty: whoever policy lets decide).
    `escalate_after_s` after the request came in, those in `escalate_to` may decide as well. `source` is `file:line`."""

    approvers: tuple[str, ...] = ()
    quorum: int = 1
    escalate_after_s: int | None = None
    escalate_to: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
    """Says where the rule stands, not what it asks: a comment above it changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Every requirement must be met; one person may count for several of them. `lifetime_s`: how long the request may
    be decided and, a `once` grant, be used. `preview`: the outcome is worked out before a human is asked."""

    requirements: tuple[Requirement, ...] = (Requirement(),)
    lifetime_s: int = 24 * 3600
    grant: Grant = Grant()
    preview: bool = True

    def document(self) -> dict[str, Any]:
        """JSON-ready; what the digest binds and the store keeps."""
        return {
            "requirements": [
                {
                    "approvers": list(each.approvers),
                    "quorum": each.quorum,
                    "escalate_after_s": each.escalate_after_s,
                    "escalate_to": list(each.escalate_to),
                    "source": each.source,
                }
                for each in self.requirements
            ],
            "lifetime_s": self.lifetime_s,
            "grant": {
                "kind": self.grant.kind.value,
                "duration_s": self.grant.duration_s,
                "max_uses": self.grant.max_uses,
                "max_rows": self.grant.max_rows,
            },
            "preview": self.preview,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        grant = document["grant"]
        return cls(
            requirements=tuple(
                Requirement(
                    approvers=tuple(each["approvers"]),
                    quorum=each["quorum"],
                    escalate_after_s=each["escalate_after_s"],
                    escalate_to=tuple(each["escalate_to"]),
                    source=each["source"],
                )
                for each in document["requirements"]
            ),
            lifetime_s=document["lifetime_s"],
            grant=Grant(
                kind=GrantKind(grant["kind"]),
                duration_s=grant["duration_s"],
                max_uses=grant["max_uses"],
                max_rows=grant["max_rows"],
            ),
            preview=document["preview"],
        )
