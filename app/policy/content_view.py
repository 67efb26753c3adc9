"""How objects and messages come to one caller: the words of the data file, with masks for labels not unmasked."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from app.masking.masks import Hide, Redact, kind_of
from app.policy.content import NOTHING_KNOWN, ContentView, FieldView, masks_any
from app.policy.content_data import ContentData, ContentEntry
from app.policy.detected import DETECTED_LABELS
from app.policy.labels import Masks

RAW = FieldView()
_TEXT = FieldView(mask=Redact())


def content_view(data: ContentData, resource: str, masks: Masks, comes_raw: Callable[[str], bool]) -> ContentView:
    """`comes_raw` is asked for every label that has a say here, and for no other."""
    return entry_view(data, data.entries.of(resource), masks, comes_raw)


def entry_view(
    data: ContentData, entry: ContentEntry | None, masks: Masks, comes_raw: Callable[[str], bool]
) -> ContentView:
    """Of all that an entry speaks for; None: of what no entry does."""
    if entry is not None and entry.raw:
        return ContentView(raw=True, labels=tuple(sorted(entry.labels)))
    looked_at = entry or ContentEntry(default=data.default)
    shown = _fields(looked_at, masks, comes_raw, scanned=data.scanned)
    fields = (*shown.columns.values(), *shown.paths.values(), shown.default)
    if entry is not None and _nothing_to_mask(entry, fields, scanned=data.scanned):
        return ContentView(raw=True, format=entry.format, labels=shown.labels)
    redacts = any(isinstance(each.mask, Redact) for each in (*fields, shown.text))
    if redacts or (data.scanned and shown.default.mask is None):
        return replace(shown, found=_found(masks, comes_raw))
    return shown


def arriving_view(data: ContentData, resource: str, masks: Masks) -> ContentView:
    """Of what comes in: every mask in force, and everything that can be found has one. `raw`: of an entry that says so,
    whose content nobody can look into."""
    entry = data.entries.of(resource) or ContentEntry(default=data.default)

    def never(label: str) -> bool:
        return False

    shown = _fields(entry, masks, never, scanned=data.scanned)
    return replace(shown, raw=entry.raw, found=_found(masks, never))


def _fields(entry: ContentEntry, masks: Masks, comes_raw: Callable[[str], bool], *, scanned: bool) -> ContentView:
    """Without `found`."""

    def seen(word: str) -> FieldView:
        match word:
            case "allow":
                return RAW
            case "mask":
                return NOTHING_KNOWN
            case "deny":
                return FieldView(mask=Hide())
            case label:
                return FieldView(label=label, mask=None if comes_raw(label) else masks.of(label))

    columns = {name: seen(word) for name, word in entry.columns.items()}
    paths = {path: seen(word) for path, word in entry.paths.items()}
    default = _TEXT if entry.format == "text" else seen(entry.default)
    named = masks_any(columns) or masks_any(paths)
    text = _text(entry, default, named=named and not scanned)
    every = (*columns.values(), *paths.values(), default, *((text,) if isinstance(text.mask, Redact) else ()))
    return ContentView(
        columns=columns,
        paths=paths,
        default=default,
        text=text,
        scanned=scanned,
        format=entry.format,
        header=entry.header,
        delimiter=entry.delimiter,
        labels=tuple(sorted(entry.labels)),
        masks=tuple(sorted({kind_of(each.mask) for each in every if each.mask is not None})),
    )


def _text(entry: ContentEntry, default: FieldView, *, named: bool) -> FieldView:
    """Detectors do not find everything: text that nobody looked at comes no more by accident than a column does.
    `named`: fields are masked by name, and text may be the same records, in which nobody finds them."""
    if entry.format == "text":
        return _TEXT
    if default.mask is not None:
        return default
    return NOTHING_KNOWN if named else _TEXT


def _nothing_to_mask(entry: ContentEntry, fields: Iterable[FieldView], *, scanned: bool) -> bool:
    """Known without a look inside. Where the format is open, the content may be text, whose entities are masked."""
    return not scanned and entry.format not in (None, "text") and all(each.mask is None for each in fields)


def _found(masks: Masks, comes_raw: Callable[[str], bool]) -> Mapping[str, FieldView]:
    known = {*DETECTED_LABELS, *(label for label in masks.entries if not label.endswith("*"))}
    return {
        label: FieldView(label=label, mask=None if comes_raw(label) else masks.of(label)) for label in sorted(known)
    }
