"""What a look at a sample suggests for a data file, against what the file says already: labels that are there stay, a
field that comes raw or that nobody labelled gets one when enough speaks for it."""

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from app.masking.detectors.classifying import Suggestion

DEFAULT_CONFIDENCE = 0.5
"""A name that speaks for a label and a sample that does not speak against it are above."""

Root = Literal["tables", "objects"]


class Standing(StrEnum):
    LABELLED = "labelled"
    """The data file says more of it than `allow`, or it inherits a label: nothing changes."""
    PROPOSED = "proposed"
    WEAK = "weak"
    """Too little speaks for the suggestion: a person decides."""
    CLEAR = "clear"
    """Nothing was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A column or path after the look. `name`: as the data file writes it. `word`: what the file says, None: nothing.
    `sampled`: how many values were read."""

    name: str
    word: str | None
    suggestion: Suggestion | None
    sampled: int

    def standing(self, confidence: float) -> Standing:
        if self.word not in (None, "allow"):
            return Standing.LABELLED
        if self.suggestion is None:
            return Standing.CLEAR
        return Standing.PROPOSED if self.suggestion.confidence >= confidence else Standing.WEAK


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table or glob. `fixed`: why no label may be added there although something may be found, "": it may.
    `format`: of a glob that the file does not have yet."""

    name: str
    looked: tuple[Looked, ...]
    key: Literal["columns", "paths"] = "columns"
    format: str | None = None
    fixed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """For one data file. `unread`: tables and globs that could not be looked at although they may come to somebody."""

    root: Root
    sections: tuple[Section, ...]
    confidence: float = DEFAULT_CONFIDENCE
    unread: tuple[str, ...] = ()

    def proposed(self, section: Section) -> dict[str, str]:
        """Field to label."""
        return {
            each.name: each.suggestion.label
            for each in section.looked
            if each.suggestion is not None and each.standing(self.confidence) is Standing.PROPOSED and not section.fixed
        }

    def exposed(self, reviewed: Collection[str] = ()) -> Iterator[tuple[Section, Looked]]:
        """What looks like somebody's data or a secret and has no label. `reviewed`: places that people have decided
        on, as `place_of` names them."""
        for section in self.sections:
            for each in section.looked:
                if each.standing(self.confidence) is Standing.PROPOSED and place_of(section, each) not in reviewed:
                    yield section, each


def place_of(section: Section, looked: Looked) -> str:
    return f"{section.name} {looked.name}"


def merged(written: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    """The document of a data file with what is proposed: nothing is taken away, and of what was there only `allow` is
    replaced."""
    document = deepcopy(dict(written))
    for section in proposal.sections:
        labels = proposal.proposed(section)
        if not labels:
            continue
        entries = _mapping(document, proposal.root)
        if section.format is not None and section.name not in entries:
            entries[section.name] = {"format": section.format}
        _mapping(_mapping(entries, section.name), section.key).update(labels)
    return document


def _mapping(above: dict[str, Any], key: str) -> dict[str, Any]:
    if not above.get(key):
        above[key] = {}
    found: dict[str, Any] = above[key]
    return found
