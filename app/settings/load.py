"""douane.yaml and the environment become Settings, or a list of errors that each name file, line and field."""

import difflib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.notify.addresses import networks
from app.notify.endpoint import BadEndpoint, endpoint, refuse_host
from app.notify.standard_webhooks import BadSecret, key_of
from app.secrets.reference import SecretMissing
from app.settings import document as doc
from app.settings.connections import MODELS
from app.settings.model import (
    BUILT_IN_KINDS,
    DEFAULT_POLICIES,
    DEFAULT_STORE,
    Issuer,
    Masking,
    SecretRef,
    Settings,
)
from app.settings.notifications import TARGET_KINDS, AnyTarget, EmailTarget, WebhookTarget

CONFIG_VARIABLE = "DOUANE_CONFIG"
DEFAULT_FILE = Path("douane.yaml")
LATER_SECTIONS = frozenset({"console", "recording", "notify"})


class SettingsError(Exception):
    """The configuration cannot be used. Each problem reads `file:line: field: what is wrong and what to write`."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def config_path(option: Path | None, environment: Mapping[str, str] = os.environ) -> Path:
    """`--config`, else DOUANE_CONFIG, else ./douane.yaml."""
    if option is not None:
        return option
    return Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else DEFAULT_FILE


def load_settings(
    path: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    kinds: Collection[str] = BUILT_IN_KINDS,
) -> Settings:
    """Read, check and resolve everything once. Raises SettingsError with every problem found."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: not UTF-8"]) from error
    try:
        document = doc.parse(text, str(path))
        doc.overlay(document, environment, frozenset(Settings.model_fields))
    except doc.DocumentError as error:
        raise SettingsError([str(error)]) from error
    _default_paths(document.value)
    if problems := _unknown_kinds(document, kinds):
        raise SettingsError(problems)
    try:
        encoded = orjson.dumps(document.value)
    except orjson.JSONEncodeError as error:
        raise SettingsError([f"{path}: a number is out of range"]) from error
    try:
        settings = Settings.model_validate_json(encoded, context={"base": path.resolve().parent})
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise SettingsError([_sentence(document, detail) for detail in details]) from None
    if problems := [*_missing_issuer(document, settings), *_missing_secrets(document, settings)]:
        raise SettingsError(problems)
    if problems := _unusable_targets(document, settings):
        raise SettingsError(problems)
    return settings


def _default_paths(value: dict[str, Any]) -> None:
    """Default paths are put in as if they had been written, so that they too start at the file's folder."""
    value.setdefault("policies", str(DEFAULT_POLICIES))
    store = value.setdefault("store", {})
    if isinstance(store, dict):
        store.setdefault("url", DEFAULT_STORE)


def _unknown_kinds(document: doc.Document, kinds: Collection[str]) -> list[str]:
    connections = document.value.get("connections")
    problems = []
    for name, connection in connections.items() if isinstance(connections, dict) else ():
        kind = connection.get("kind") if isinstance(connection, dict) else None
        if isinstance(kind, str) and kind not in kinds:
            path = ("connections", name, "kind")
            known = ", ".join(sorted(kinds))
            problems.append(
                f"{document.place(path)}: {doc.dotted(path)}: "
                f"kind {kind[:40]} is not available in this release; known: {known}"
            )
    return problems


def _missing_issuer(document: doc.Document, settings: Settings) -> list[str]:
    if settings.issuers:
        return []
    return [f"{document.place(('issuers',))}: issuers: name at least one, or nobody can sign in"]


def _missing_secrets(document: doc.Document, settings: Settings) -> list[str]:
    problems = []
    for path, secret in settings.secrets():
        try:
            secret.read()
        except SecretMissing as error:
            problems.append(f"{document.place(path)}: {doc.dotted(path)}: {error}")
    return problems


def _unusable_targets(document: doc.Document, settings: Settings) -> list[str]:
    """What a target's address and secrets show before anybody is asked."""
    allowed = networks(settings.notifications.allow_private)

    def faults(name: str, target: AnyTarget) -> Iterator[tuple[doc.Path, str]]:
        path: doc.Path = ("notifications", "targets", name)
        try:
            if isinstance(target, EmailTarget):
                refuse_host(target.host, tls=target.tls != "none", allowed=allowed)
            else:
                endpoint(target.read_url(), allowed)
        except BadEndpoint as fault:
            yield (*path, "host" if isinstance(target, EmailTarget) else "url"), str(fault)
        for n, secret in enumerate(target.secrets if isinstance(target, WebhookTarget) else ()):
            try:
                key_of(secret.read())
            except BadSecret as fault:
                yield (*path, "secrets", n), str(fault)

    return [
        f"{document.place(path)}: {doc.dotted(path)}: {fault}"
        for name, target in settings.notifications.targets.items()
        for path, fault in faults(name, target)
    ]


def _sentence(document: doc.Document, detail: ErrorDetails) -> str:
    path, model = _resolve(document.value, detail["loc"])
    where = f"{document.place(path)}: {doc.dotted(path) or 'the file'}"
    return f"{where}: {_problem(document, path, model, detail)}"


def _problem(document: doc.Document, path: doc.Path, model: type[BaseModel] | None, detail: ErrorDetails) -> str:
    match detail["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden" if len(path) == 1 and path[0] in LATER_SECTIONS:
            return "this section is not available in this release; remove it"
        case "extra_forbidden":
            known = sorted(model.model_fields) if model else []
            near = difflib.get_close_matches(str(path[-1]), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known here: {', '.join(known)}" if known else ""
            return f"unknown key{hint}"
        case "model_type" | "dict_type" if model is SecretRef:
            return "secrets are references, never values: write {env: NAME} or {file: PATH}"
        case "value_error":
            return detail["msg"].removeprefix("Value error, ")
        case _:
            return detail["msg"][0].lower() + detail["msg"][1:]


def _resolve(value: Any, loc: tuple[int | str, ...]) -> tuple[doc.Path, type[BaseModel] | None]:
    """The path in the file, without the tags that pydantic puts into `loc`, and the model that stands there: of an
    unknown key its parent's, of any other value its own where it has one."""
    path: list[str | int] = []
    model: type[BaseModel] | None = Settings
    for part in loc:
        if model is None and len(path) == 2 and path[0] == "connections" and part in MODELS:
            model = MODELS[str(part)]
            continue
        if model is None and len(path) == 3 and path[:2] == ["notifications", "targets"] and part in TARGET_KINDS:
            model = TARGET_KINDS[str(part)]
            continue
        if path == ["store", "url"] or (path[:2] == ["notifications", "targets"] and path[3:] == ["url"]):
            model = SecretRef if part == "reference" else model
            if part in {"reference", "text"}:
                continue
        if part == "[key]":
            continue
        path.append(part)
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
            if model is not None and part not in model.model_fields:
                return tuple(path), model
        model = _submodel(model, part, path)
    return tuple(path), model


def _submodel(model: type[BaseModel] | None, part: str | int, path: Sequence[str | int]) -> type[BaseModel] | None:
    if model is None:
        if len(path) == 5 and path[:2] == ["notifications", "targets"] and path[3] == "secrets":
            return SecretRef
        return Issuer if len(path) == 2 and path[0] == "issuers" else None
    info = model.model_fields.get(str(part))
    if info is None:
        return model
    annotation = info.annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((known for known in (Masking, SecretRef) if annotation == known | None), None)
