"""A YAML document that remembers where every value stands, and the environment variables laid over it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
PREFIX = "DOUANE_"
MAX_DOCUMENT_BYTES = 1_048_576


class DocumentError(Exception):
    """Not a document at all. `place` is `file:line`."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")


@dataclass(kw_only=True)
class Document:
    """`value` is JSON-like. `places` maps a path to `file:line`, or to the variable that set it."""

    name: str
    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """Where the value stands; of a value that is absent, where its nearest parent stands."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.name)


def parse(text: str, name: str) -> Document:
    """Raises DocumentError for what is no mapping of plain values: tags, aliases, duplicate and non-text keys."""
    if len(text) > MAX_DOCUMENT_BYTES:
        raise DocumentError(name, f"larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        aliased = next((_line(e.start_mark) for e in yaml.parse(text, Loader=yaml.SafeLoader) if _is_alias(e)), None)
        root = None if aliased else yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"{name}:{_line(error.problem_mark)}", f"not YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError(name, "not YAML") from error
    if aliased is not None:
        raise DocumentError(f"{name}:{aliased}", "aliases (*name) are not read: write the value out")
    document = Document(name=name)
    if root is None:
        return document
    if not isinstance(root, yaml.MappingNode):
        raise DocumentError(f"{name}:{_line(root.start_mark)}", "expected a mapping of sections")
    document.value = _value(root, (), document)
    return document


def _is_alias(event: yaml.Event) -> bool:
    return isinstance(event, yaml.AliasEvent)


def _line(mark: Any) -> int:
    """1-based; the parser leaves the mark out of a few events and errors."""
    return 1 if mark is None else int(mark.line) + 1


def _value(node: yaml.Node, path: Path, document: Document) -> Any:
    document.places.setdefault(path, f"{document.name}:{_line(node.start_mark)}")
    match node:
        case yaml.MappingNode():
            found: dict[str, Any] = {}
            for key, child in node.value:
                line = f"{document.name}:{_line(key.start_mark)}"
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    raise DocumentError(line, "a key must be a plain word")
                if key.value in found:
                    raise DocumentError(line, f"{dotted((*path, key.value))} stands here a second time")
                document.places[(*path, key.value)] = line
                found[key.value] = _value(child, (*path, key.value), document)
            return found
        case yaml.SequenceNode():
            return [_value(child, (*path, n), document) for n, child in enumerate(node.value)]
        case _:
            return _scalar(node, document)


def _scalar(node: yaml.Node, document: Document) -> Any:
    plain = node.tag.removeprefix("tag:yaml.org,2002:")
    if plain == "timestamp":
        return node.value
    if plain not in {"str", "int", "float", "bool", "null"}:
        raise DocumentError(f"{document.name}:{_line(node.start_mark)}", f"tag {node.tag} is not read")
    return yaml.SafeLoader("").construct_object(node)


def dotted(path: Path) -> str:
    """`connections.shop.pool_max`, `issuers[0].audience`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def overlay(document: Document, environment: Mapping[str, str], sections: frozenset[str]) -> None:
    """Lay every `DOUANE_SECTION__FIELD` over the document; the value of a variable is read as YAML.

    `DOUANE_X` without `__` counts only where x is a section: other names may hold secrets that the file refers to.
    """
    for name in sorted(environment):
        words = name.removeprefix(PREFIX).split("__")
        if not name.startswith(PREFIX) or (len(words) == 1 and words[0].lower() not in sections):
            continue
        try:
            parsed = parse(f"v: {environment[name]}" if "\n" not in environment[name] else "v: [", name).value["v"]
        except DocumentError as error:
            raise DocumentError(f"environment variable {name}", "not a YAML value; quote it") from error
        _set(document, _path(document.value, words, name), parsed, name)


def _path(value: Any, words: list[str], variable: str) -> Path:
    path: list[str | int] = []
    for word in words:
        if not word:
            raise DocumentError(f"environment variable {variable}", "has an empty part between underscores")
        step: str | int = word.lower()
        if isinstance(value, list):
            if not re.fullmatch(r"[0-9]{1,3}", word) or int(word) > len(value):
                raise DocumentError(
                    f"environment variable {variable}",
                    f"{dotted(tuple(path))} is a list: use a number below its length",
                )
            step = int(word)
            value = value[step] if step < len(value) else None
        elif isinstance(value, dict):
            step = next((k for k in value if k.lower().replace("-", "_") == word.lower()), word.lower())
            value = value.get(step)
        path.append(step)
    return tuple(path)


def _set(document: Document, path: Path, new: Any, variable: str) -> None:
    place = f"environment variable {variable}"
    here: Any = document.value
    for n, step in enumerate(path[:-1]):
        if isinstance(here, list) and step == len(here):
            here.append({})
        elif isinstance(here, dict) and not isinstance(here.get(str(step)), dict | list):
            here[str(step)] = {}
        document.places.setdefault(path[: n + 1], place)
        here = here[step]
    if isinstance(here, list) and path[-1] == len(here):
        here.append(new)
    else:
        here[path[-1]] = new
    for stale in [known for known in document.places if known[: len(path)] == path]:
        del document.places[stale]
    document.places[path] = place
