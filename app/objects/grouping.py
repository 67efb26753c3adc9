"""Globs for objects that no entry of a data file covers: by folder and ending, one for what is stored day after day.

A segment that counts, dates or names somebody stands as a star, so that a glob is neither data nor soon out of date.
"""

import re
from collections.abc import Iterable, Mapping

from app.masking.detectors.classifying import Find
from app.policy.resources import MAX_STARS, key_path

MOST_FOLDERS = 20
"""Beside each other; more are named by something that grows."""
_ENDING = re.compile(r"(?:\.[A-Za-z0-9]{1,16})?(?:\.(?:gz|gzip|zst|zstd))?", re.IGNORECASE)
_COUNTS = re.compile(r"[0-9TZ_.:-]*[0-9][0-9TZ_.:-]*|[0-9a-fA-F-]{16,}|.*[0-9]{4}.*")
_PARTITION = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)=.+")


def globs(keys: Iterable[str], find: Find) -> Mapping[str, str]:
    """The glob of each key."""
    segments = {key: key.split("/") for key in keys}
    beside: dict[tuple[str, ...], set[str]] = {}
    for parts in segments.values():
        for depth in range(len(parts) - 1):
            beside.setdefault(tuple(parts[:depth]), set()).add(parts[depth])
    crowded = {above for above, names in beside.items() if len(names) > MOST_FOLDERS}
    found = {}
    for key, parts in segments.items():
        folders = [
            "*" if tuple(parts[:depth]) in crowded else _folder(part, find) for depth, part in enumerate(parts[:-1])
        ]
        found[key] = _bounded(folders, f"*{_ending(parts[-1])}")
    return found


def _folder(segment: str, find: Find) -> str:
    if partition := _PARTITION.fullmatch(segment):
        return f"{partition[1]}=*"
    return "*" if _COUNTS.fullmatch(segment) or find(segment, "") else key_path(segment)


def _ending(name: str) -> str:
    """From the last dot on, with what it is wrapped in. A name that is only an ending has none."""
    for at in range(1, len(name)):
        if name[at] == "." and _ENDING.fullmatch(name, at):
            return name[at:]
    return ""


def _bounded(folders: list[str], name: str) -> str:
    text = "/".join((*folders, name))
    if text.count("*") <= MAX_STARS:
        return text
    return text[: text.index("*")] + "*" + name
