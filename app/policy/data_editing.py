"""The text of a data file with what is proposed in it: every other line, comments included, stays as people wrote it.

Where the text is laid out in a way that cannot be edited line by line, the document is written anew.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from app.policy.documents import Document, Path, read_document
from app.policy.proposing import Looked, Proposal, Section, Standing, merged

EMPTY = "# Proposed by douane classify: read it before you use it.\ndefault: mask\n"
REWRITTEN = "# Written anew by douane classify: the comments of the file are not in it.\n"
_PLAIN = re.compile(r"[A-Za-z$_][A-Za-z0-9_$./*\[\]=-]*")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""Where YAML 1.1 ends a line, within quoted names as well."""
_WORD = re.compile(r"\"[^\"\\]*\"|'[^']*'|[A-Za-z0-9_.-]+")
_INDENT = 2


def edited(text: str, document: Document, proposal: Proposal) -> str:
    """`document`: what `text` holds. Read again, the result holds exactly what proposing.merged says."""
    wanted = merged(document.value, proposal)
    try:
        candidate = _Editor(text, document, proposal).result()
    except _NoPlace:
        candidate = ""
    if candidate and _value(candidate) == wanted:
        return candidate
    if wanted == document.value:
        return text
    rewritten = REWRITTEN + yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True, width=120)
    # The library leaves some line breaks of Unicode unescaped, and reads them as blanks.
    return rewritten if _value(rewritten) == wanted else REWRITTEN + yaml.safe_dump(wanted, sort_keys=False)


def remark(looked: Looked) -> str:
    """Confidence and reason on one line, whatever characters the name has."""
    said = looked.suggestion
    return "" if said is None else one_line(f"{said.confidence:.2f}: {said.reason}")


def one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _value(text: str) -> Any:
    document = read_document("", text.encode(), [])
    return None if document is None else document.value


class _NoPlace(Exception):  # noqa: N818 - says where the text cannot take a line
    pass


class _Editor:
    def __init__(self, text: str, document: Document, proposal: Proposal) -> None:
        self._text = text if text.endswith("\n") else text + "\n"
        breaks = list(_BREAK.finditer(self._text))
        self._starts = [0, *(each.end() for each in breaks)]
        self._lines = [self._text[start : each.start()] for start, each in zip(self._starts, breaks, strict=False)]
        self._document = document
        self._proposal = proposal
        self._edits: list[tuple[int, int, str]] = []
        """Offset, how many characters go, what comes."""

    def result(self) -> str:
        root = self._proposal.root
        entries: Mapping[str, Any] = self._document.value.get(root) or {}
        new: list[str] = []
        for section in self._proposal.sections:
            if section.fixed:
                continue
            if section.name in entries:
                self._edit(section, entries[section.name])
            else:
                new += self._section(section, self._indent_of_entries(entries))
        if new:
            self._add_sections(entries, new)
        text = self._text
        # Several at one place are inserted in the order in which they were asked for.
        for _, (at, gone, comes) in sorted(
            enumerate(self._edits), key=lambda edit: (edit[1][0], edit[0]), reverse=True
        ):
            text = text[:at] + comes + text[at + gone :]
        return text

    def _edit(self, section: Section, entry: Any) -> None:
        path: Path = (self._proposal.root, section.name, section.key)
        words: Mapping[str, str] = (entry or {}).get(section.key) or {}
        labels = self._proposal.proposed(section)
        for looked in section.looked:
            if looked.name in words and looked.name in labels:
                self._replace((*path, looked.name), labels[looked.name], remark(looked))
        added = [looked for looked in section.looked if looked.name not in words and self._worth_a_line(looked)]
        if not added:
            return
        if words:
            self._add(path, list(words)[-1], added, section)
        elif any(looked.name in labels for looked in added):
            self._add_mapping(path, entry, self._fields(section, added, 0))

    def _worth_a_line(self, looked: Looked) -> bool:
        return looked.word is None or looked.standing(self._proposal.confidence) is Standing.PROPOSED

    def _replace(self, path: Path, label: str, why: str) -> None:
        line, column = self._spot(self._document.places[path])
        found = _WORD.match(self._lines[line], column)
        if found is None:
            raise _NoPlace
        self._edits.append((self._starts[line] + column, len(found[0]), label))
        if self._alone(self._document.keys[path]) and not self._lines[line][found.end() :].strip():
            self._edits.append((self._starts[line] + len(self._lines[line].rstrip()), 0, f"  # {why}"))

    def _add(self, path: Path, last: str, added: list[Looked], section: Section) -> None:
        """To a mapping that has keys."""
        key = self._document.keys[(*path, last)]
        if self._alone(key):
            line, column = self._spot(key)
            end = self._block_end(line, column)
            start = self._spot(self._document.keys[path])[0]
            there = {text.strip() for text in self._lines[start:end]}
            fresh = [text for text in self._fields(section, added, column) if text.strip() not in there]
            self._edits.append((self._starts[end], 0, "".join(f"{text}\n" for text in fresh)))
            return
        line, column = self._spot(self._document.places[(*path, last)])
        found = _WORD.match(self._lines[line], column)
        if found is None:
            raise _NoPlace
        labels = self._proposal.proposed(section)
        words = [f", {_key(one.name, _PLAIN_IN_FLOW)}: {labels[one.name]}" for one in added if one.name in labels]
        self._edits.append((self._starts[line] + found.end(), 0, "".join(words)))

    def _add_mapping(self, path: Path, entry: Any, fields: list[str]) -> None:
        """Above the first key of an entry that is written as a block."""
        if not entry or path in self._document.keys:
            raise _NoPlace
        key = self._document.keys[(*path[:-1], next(iter(entry)))]
        if not self._alone(key):
            raise _NoPlace
        line, column = self._spot(key)
        lines = [f"{path[-1]}:", *(" " * _INDENT + field for field in fields)]
        self._edits.append((self._starts[line], 0, "".join(" " * column + text + "\n" for text in lines)))

    def _add_sections(self, entries: Mapping[str, Any], lines: list[str]) -> None:
        root = (self._proposal.root,)
        if entries:
            line, column = self._spot(self._document.keys[(*root, list(entries)[-1])])
            if not self._alone((line + 1, column + 1)):
                raise _NoPlace
            at = self._starts[self._block_end(line, column)]
        elif root in self._document.keys:
            at = self._starts[self._spot(self._document.keys[root])[0] + 1]
        else:
            at = len(self._text)
            # All of it may be a comment: then there is no mapping either.
            commented = all(line.lstrip().startswith("#") for line in lines)
            lines = [f"# {root[0]}:" if commented else f"{root[0]}:", *lines]
        self._edits.append((at, 0, "".join(f"{line}\n" for line in lines)))

    def _section(self, section: Section, indent: int) -> list[str]:
        """Of a table or glob that the file does not have: a comment as a whole where nothing was found in it."""
        blanks = " " * indent
        lines = [f"{_key(section.name)}:"]
        if section.format is not None:
            lines.append(f"{' ' * _INDENT}format: {section.format}")
        if section.looked:
            lines.append(f"{' ' * _INDENT}{section.key}:")
        found = bool(self._proposal.proposed(section))
        lines += self._fields(section, section.looked, 2 * _INDENT, bare=not found)
        if found:
            return [blanks + line for line in lines]
        return [] if f"# {lines[0]}" in map(str.strip, self._lines) else [f"{blanks}# {line}" for line in lines]

    def _fields(self, section: Section, fields: Sequence[Looked], indent: int, *, bare: bool = False) -> list[str]:
        """`bare`: without the signs of comments, because everything around is one."""
        labels = self._proposal.proposed(section)
        return [" " * indent + _field(looked, labels.get(looked.name), "" if bare else "# ") for looked in fields]

    def _indent_of_entries(self, entries: Mapping[str, Any]) -> int:
        if not entries:
            return _INDENT
        return self._spot(self._document.keys[(self._proposal.root, list(entries)[-1])])[1]

    def _spot(self, place: tuple[int, int]) -> tuple[int, int]:
        return place[0] - 1, place[1] - 1

    def _alone(self, place: tuple[int, int]) -> bool:
        """Whether a key is the first thing on its line: it belongs to a block then."""
        line, column = self._spot(place)
        return not self._lines[line][:column].strip()

    def _block_end(self, line: int, column: int) -> int:
        """The line behind the block whose keys stand at this column; blank lines at its end are behind it."""
        end = line + 1
        for at in range(line + 1, len(self._lines)):
            text = self._lines[at]
            if not text.strip():
                continue
            if len(text) - len(text.lstrip()) < column:
                break
            end = at + 1
        return end


def _field(looked: Looked, label: str | None, comment: str) -> str:
    name = _key(looked.name)
    if label is not None:
        return f"{name}: {label}  # {remark(looked)}"
    if looked.suggestion is not None:
        return f"{comment}{name}: {looked.suggestion.label}  # only {remark(looked)}"
    return f"{comment}{name}: allow"


def _key(name: str, plain: re.Pattern[str] = _PLAIN) -> str:
    if plain.fullmatch(name):
        return name
    quoted: str = yaml.safe_dump(name, default_style='"', allow_unicode=name.isprintable(), width=10_000)
    return quoted.rstrip("\n")


def changed_lines(before: str, after: str, name: str) -> Iterator[str]:
    """A unified diff, for `patch` and for people."""
    yield from difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
    )
