"""The recognisers together: what each finds, which of overlapping finds is kept, under which label it leaves."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from app.masking.detectors.found import BY_NAME, Found
from app.masking.detectors.ibans import ibans
from app.masking.detectors.internet import emails, ips
from app.masking.detectors.named_secrets import PASSWORD_NAMES, named_secrets
from app.masking.detectors.numbers import numbers
from app.masking.detectors.page import Candidate, Page, Recogniser, pattern
from app.masking.detectors.phones import DEFAULT_REGIONS, check_regions
from app.masking.detectors.readings import either_reading
from app.masking.detectors.tokens import embedded_passwords, private_keys, tokens
from app.masking.detectors.written_ids import written_ids

RECOGNISERS: tuple[Recogniser, ...] = (
    emails, ips, ibans, written_ids, tokens, private_keys, embedded_passwords, named_secrets,
)  # fmt: skip
"""All but the numbers, which need to know regions."""

ExtraRecogniser = Callable[[str], Iterable[Found]]


_SHORT = 256
# What no find is without, in ASCII text of a few words. Long texts nearly always have one of them.
_WORTH_READING = pattern(rb"(?i)[0-9@:=(\[{<]|[^ ]{15}| dot |PRIVATE KEY|" + PASSWORD_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectors:
    """Finds personal data and secrets in text. Immutable, shared by threads, cheap to send to another process.

    `min_score`: below it a find is dropped. `disabled`: entities that are not looked for. `labels`: entity to the label
    that replaces its own. `regions`: where telephone numbers without a country code may be from. `extra`: recognisers
    beside the built-in ones; what they raise comes out of `find`.

    ValueError for an entity or region that does not exist.
    """

    min_score: float = 0.5
    disabled: frozenset[str] = frozenset()
    labels: Mapping[str, str] = field(default_factory=dict)
    regions: tuple[str, ...] = DEFAULT_REGIONS
    extra: tuple[ExtraRecogniser, ...] = ()

    def __post_init__(self) -> None:
        unknown = sorted((self.disabled | set(self.labels)) - set(BY_NAME)) if not self.extra else []
        if unknown:
            raise ValueError(f"There is no entity {unknown[0]!r}: use one of {', '.join(BY_NAME)}")
        check_regions(self.regions)

    def find(self, text: str, field_name: str = "") -> list[Found]:
        """Sorted, not overlapping. Of overlapping finds a secret wins, then the higher score, then the longer one.

        `field_name`: the column, path or header that the text stood in; it counts as a word near by.
        """
        page = Page.of(text, field_name)
        if not field_name and not self.extra and _says_nothing(page):
            return []
        kept = self._on(page)
        if page.folded.escaped:
            as_written = without_overlaps(self._on(Page.of(text, field_name, escapes=False)))
            kept = either_reading(text, without_overlaps(kept), as_written)
        for recognise in self.extra:
            kept += [found for found in recognise(text) if self._wanted(found)]
        return without_overlaps(kept)

    def _on(self, page: Page) -> list[Found]:
        folded = page.folded
        return [
            Found(
                found.entity,
                self.labels.get(found.entity) or BY_NAME[found.entity].label,
                folded.start_of(found.start),
                folded.end_of(found.end),
                found.score,
            )
            for found in self._candidates(page)
            if found.score >= self.min_score and found.entity not in self.disabled
        ]

    def _candidates(self, page: Page) -> Iterable[Candidate]:
        for recognise in RECOGNISERS:
            yield from recognise(page)
        yield from numbers(page, self.regions)

    def _wanted(self, found: Found) -> bool:
        return found.score >= self.min_score and found.entity not in self.disabled and found.start < found.end


def _says_nothing(page: Page) -> bool:
    """Whether a short text can be left at that: most values of most columns."""
    return (
        len(page.text) <= _SHORT
        and page.text.isascii()
        and not page.folded.escaped
        and not _WORTH_READING.search(page.data)
    )


def without_overlaps(found: list[Found]) -> list[Found]:
    """The finds that win against those they overlap, in the order of the text."""
    kept: list[Found] = []
    cluster: list[Found] = []
    end = 0
    for one in sorted(found, key=lambda f: f.start):
        if cluster and one.start >= end:
            kept += _winners(cluster)
            cluster = []
        cluster.append(one)
        end = max(end, one.end)
    return kept + _winners(cluster)


def _winners(cluster: list[Found]) -> list[Found]:
    """Of finds that hang together by overlaps."""
    if len(cluster) < 2:
        return cluster
    kept: list[Found] = []
    ends: list[int] = []
    for one in sorted(cluster, key=lambda f: (not f.label.startswith("secret."), -f.score, f.start - f.end, f.start)):
        at = bisect_right(ends, one.start)
        if at == len(kept) or kept[at].start >= one.end:
            kept.insert(at, one)
            ends.insert(at, one.end)
    return kept
