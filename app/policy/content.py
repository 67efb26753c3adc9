"""How the inside of an object or of a message comes to one caller: the obligations on every field of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from app.masking.masks import Mask, Null
from app.policy.decision import RuleRef


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldView:
    """One field. `mask` None: raw. `Hide`: the field is not there."""

    label: str | None = None
    mask: Mask | None = None


NOTHING_KNOWN = FieldView(mask=Null())


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentView:
    """`raw`: comes byte for byte, nothing of it is looked at. Otherwise:

    `columns`: by name, of CSV, TSV, Parquet, Arrow; nested columns by dotted path (`customer.email`, list items as
    `items[].sku`). `paths`: of JSON and NDJSON, `$.customer.email`, `$.items[*].sku`, `$.meta.*`, `$..email`; of those
    that name a field, the one that counts is first by `json_paths.specificity`. `default`: of every field that neither
    names; `column_default` and `path_default` are what counts. `text`: of running text as a whole (format text);
    Redact, or Null and Hide where none may come. `scanned`: text that comes raw by `default` alone, named by no path,
    still has what detectors find in it replaced.

    `found`: of what detectors find in running text, by the label of the entity; a label that is missing comes as
    `default_found`.

    `asks`, `asked_labels`, `refused_labels`: as in decision.TableView.
    """

    raw: bool = False
    columns: Mapping[str, FieldView] = field(default_factory=dict)
    paths: Mapping[str, FieldView] = field(default_factory=dict)
    default: FieldView = NOTHING_KNOWN
    text: FieldView = NOTHING_KNOWN
    scanned: bool = False
    found: Mapping[str, FieldView] = field(default_factory=dict)
    default_found: FieldView = NOTHING_KNOWN
    format: str | None = None
    """Named by the data file: csv, tsv, json, ndjson, parquet, arrow, text. None: the key's ending and the content type
    say; when both are silent or disagree, the content cannot be masked."""
    header: tuple[str, ...] | None = None
    """Column names of a CSV that has no header line."""
    delimiter: str | None = None
    labels: tuple[str, ...] = ()
    """Every label that the data file names here, sorted."""
    masks: tuple[str, ...] = ()
    """Kinds of the masks in force, sorted, as the answer names them."""
    asks: tuple[RuleRef, ...] = ()
    asked_labels: tuple[str, ...] = ()
    refused_labels: tuple[str, ...] = ()

    @property
    def column_default(self) -> FieldView:
        """Of columns that `columns` does not name."""
        return self._default(self.columns, self.paths)

    @property
    def path_default(self) -> FieldView:
        """Of fields that `paths` does not name."""
        return self._default(self.paths, self.columns)

    def _default(self, own: Mapping[str, FieldView], other: Mapping[str, FieldView]) -> FieldView:
        """Who masks fields of the one form alone, and lets others through, did not think of content of the other: in it
        the same fields have no name, and come as what nobody knows."""
        return NOTHING_KNOWN if self.default.mask is None and not own and masks_any(other) else self.default


def masks_any(fields: Mapping[str, FieldView]) -> bool:
    return any(each.mask is not None for each in fields.values())


class OnFound(StrEnum):
    """What becomes of what a caller puts or publishes, when a detector or a path label finds a label in it."""

    ALLOW = "allow"
    MASK = "mask"
    APPROVE = "approve"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What may go in at one key or topic. `found`: label pattern (`secret.*`) to what happens, the most specific one
    counts; labels that none covers are denied. `types`: content types, also `image/*`; empty: any. `max_bytes`: the
    data file's, None: it sets none."""

    found: Mapping[str, OnFound] = field(default_factory=dict)
    types: tuple[str, ...] = ()
    max_bytes: int | None = None

    def on_found(self, label: str) -> OnFound:
        exact = self.found.get(label)
        if exact is not None:
            return exact
        covering = [p for p in self.found if p.endswith("*") and label.startswith(p[:-1])]
        return self.found[max(covering, key=len)] if covering else OnFound.DENY

    def takes(self, content_type: str) -> bool:
        """Whether a content type, with or without parameters, is one of `types`."""
        essence = content_type.partition(";")[0].strip().lower()
        family = essence.partition("/")[0] + "/*"
        return not self.types or essence in self.types or family in self.types


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRules:
    """`schema`: JSON Schema, draft 2020-12, as JSON text; None: any payload. `headers`: names that may be sent, in
    lower case; None: any that is well formed. `cloud_events`: payloads must be CloudEvents. `named`: the data
    file writes the name of this very topic."""

    intake: Intake = field(default_factory=Intake)
    schema: str | None = None
    headers: tuple[str, ...] | None = None
    max_header_bytes: int = 8_192
    cloud_events: bool = False
    named: bool = False


def spoken(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels as conditions have them in `labels`: each whole and by its first part, so that `'pii' in labels` asks for
    all of them; sorted."""
    return tuple(sorted({part for label in labels for part in (label, label.partition(".")[0])}))
