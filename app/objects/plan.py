"""Everything that one masked rendering depends on besides the content; crosses to the process that renders."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.masking.detectors import Detectors
from app.objects.formats import ContentFormat
from app.policy.content import ContentView


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderLimits:
    """`max_ratio`: expanded to compressed bytes, counted once more than a few megabytes came out. `max_record_bytes`:
    one line of CSV or NDJSON. `max_depth`: of lists and objects in JSON; 200 at most."""

    max_input_bytes: int = 1 << 30
    max_expanded_bytes: int = 4 << 30
    max_ratio: int = 200
    max_output_bytes: int = 4 << 30
    max_depth: int = 100
    max_columns: int = 4_000
    max_record_bytes: int = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderPlan:
    """`keys`: pseudonym domain to its 32-byte key, for every domain that the view's masks name."""

    format: ContentFormat
    view: ContentView
    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    detectors: Detectors = field(default_factory=Detectors)
    limits: RenderLimits = field(default_factory=RenderLimits)
    looks: bool = False
    """Nothing is rendered: `labels_masked` of the outcome says which labels are in the content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """`rows`: records of a table or lines of NDJSON; None for one document and for text. `labels_masked`: sorted labels
    of the fields that are there and come masked. `sha256`: of the bytes that were written, in hex."""

    rows: int | None
    labels_masked: tuple[str, ...]
    bytes_out: int
    sha256: str
