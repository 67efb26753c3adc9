"""What a look at a connection gives, and how much of it is read."""

from dataclasses import dataclass, field

from app.policy.proposing import Section


class ClassifyRefused(Exception):  # noqa: N818 - says the next step
    """Nothing can be proposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """`rows`: of a table, and of each object. `objects`: listed; `per_group`: of them read for each glob.
    `part_bytes`: read of an object of which the beginning is enough, `whole_bytes`: of one that is needed as a whole;
    a larger one is not looked at."""

    rows: int = 200
    objects: int = 500
    per_group: int = 3
    part_bytes: int = 1 << 20
    whole_bytes: int = 16 << 20


@dataclass(slots=True)
class Look:
    """`unread`: names of sections that could not be looked at. `notes`: sentences without any value."""

    sections: list[Section] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
