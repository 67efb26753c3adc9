"""How well the detectors find what they should, and how fast: precision and recall for each entity.

The labelled set is made from the sentences in tests/corpus/detectors and values drawn from a seed. `held_out` was
written before the detectors were tuned and is not looked at when they are.

python scripts/bench/detectors.py [--part tuning|held_out|both] [--seeds N] [--misses] [--data FILE]

`--data FILE` scores a set in presidio-research's form instead: a JSON array of {full_text, spans: [{entity_type,
start_position, end_position}]}.
"""

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.masking.detectors import DEFAULT  # noqa: E402
from tests.detector_values import DECOYS, VALUES  # noqa: E402

CORPUS = ROOT / "tests" / "corpus" / "detectors"
PARTS = ("tuning", "held_out")
PRESIDIO_NAMES = {
    "EMAIL_ADDRESS": "email", "PHONE_NUMBER": "phone", "CREDIT_CARD": "card", "IBAN_CODE": "iban",
    "US_SSN": "national_id", "IP_ADDRESS": "ip",
}  # fmt: skip
_SLOT = re.compile(r"\{\{(\w+)\}\}")
ORDINARY = (
    "The parcel left the depot on Monday and has not been seen since; the customer asked for a refund.",
    "{date} {time} INFO [worker-3] order {count} priced at {amount}, status=200 took=31ms",
    "We talked about the new offices, the plan for the spring and who will write the minutes.",
    "{count},{amount},{date},shipped,The quick brown fox jumps over the lazy dog",
    "Wir melden uns, sobald die Ware eingetroffen ist; bitte haben Sie noch ein wenig Geduld.",
)

Span = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Labelled:
    text: str
    spans: frozenset[Span]


@dataclass(slots=True)
class Score:
    """Counts for one entity. A find is right if it has the entity and overlaps the span; `exact` if it is the span."""

    right: int = 0
    exact: int = 0
    wrong: int = 0
    missed: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0


def filled(template: str, draw: random.Random) -> Labelled:
    """The sentence with a value in every slot."""
    pieces: list[str] = []
    spans: set[Span] = set()
    length = at = 0
    for slot in _SLOT.finditer(template):
        before, name = template[at : slot.start()], slot[1]
        length += len(before)
        entity, make = VALUES[name] if name in VALUES else ("", DECOYS[name])
        value = make(draw)
        if entity:
            spans.add((entity, length, length + len(value)))
        pieces += (before, value)
        length += len(value)
        at = slot.end()
    return Labelled("".join((*pieces, template[at:])), frozenset(spans))


def corpus(part: str, seeds: int) -> list[Labelled]:
    lines = (CORPUS / f"{part}.jsonl").read_text(encoding="utf-8").splitlines()
    templates = [json.loads(line)["text"] for line in lines]
    return [filled(t, random.Random(f"{part}/{n}/{seed}")) for n, t in enumerate(templates) for seed in range(seeds)]


def public(path: Path) -> list[Labelled]:
    """Entities that no pattern can know (names, places) are left out of the count."""
    return [
        Labelled(
            one["full_text"],
            frozenset(
                (PRESIDIO_NAMES[s["entity_type"]], s["start_position"], s["end_position"])
                for s in one["spans"]
                if s["entity_type"] in PRESIDIO_NAMES
            ),
        )
        for one in json.loads(path.read_text(encoding="utf-8"))
    ]


def score(texts: list[Labelled]) -> dict[str, Score]:
    scores: dict[str, Score] = {}
    for one in texts:
        found = {(f.entity, f.start, f.end) for f in DEFAULT.find(one.text)}
        for span in one.spans:
            counts = scores.setdefault(span[0], Score())
            hits = [f for f in found if f[0] == span[0] and f[1] < span[2] and span[1] < f[2]]
            counts.right += bool(hits)
            counts.exact += span in found
            counts.missed += not hits
            if span not in found:
                counts.examples.append(
                    f"{'inexact' if hits else 'missed'} {one.text[span[1] : span[2]]!r} in {one.text!r}"
                )
        for f in found:
            if not any(f[0] == s[0] and f[1] < s[2] and s[1] < f[2] for s in one.spans):
                counts = scores.setdefault(f[0], Score())
                counts.wrong += 1
                counts.examples.append(f"wrong {one.text[f[1] : f[2]]!r} in {one.text!r}")
    return scores


def megabytes_per_second(text: str) -> float:
    """CPU time of one thread, the best of three."""
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        DEFAULT.find(text)
        best = min(best, time.process_time() - begun)
    return len(text.encode()) / best / 1e6


def ordinary(size: int) -> str:
    """Prose, log lines and rows as they come, hardly anything to find in them."""
    draw = random.Random(7)
    lines: list[str] = []
    while size > 0:
        line = draw.choice(ORDINARY).format_map(
            {name: make(draw) for name, make in DECOYS.items() if f"{{{name}}}" in "".join(ORDINARY)}
        )
        lines.append(line)
        size -= len(line) + 1
    return "\n".join(lines)


def show(title: str, texts: list[Labelled], misses: bool) -> None:
    scores = score(texts)
    print(f"\n{title}: {len(texts)} texts, {sum(len(t.text.encode()) for t in texts) / 1000:.0f} kB")
    print(f"{'entity':16} {'precision':>9} {'recall':>7} {'F1':>6} {'exact':>6} {'n':>5}")
    total = Score()
    for entity, one in sorted(scores.items()):
        row(entity, one)
        for name in ("right", "exact", "wrong", "missed"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        if misses:
            for example, times in Counter(one.examples).most_common(12):
                print(f"    {times}x {example}")
    row("all", total)


def row(name: str, one: Score) -> None:
    f1 = 2 * one.precision * one.recall / (one.precision + one.recall or 1)
    n = one.right + one.missed
    print(f"{name:16} {one.precision:9.3f} {one.recall:7.3f} {f1:6.3f} {one.exact / n if n else 1:6.3f} {n:5}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=(*PARTS, "both"), default="both")
    parser.add_argument("--seeds", type=int, default=4, help="texts made of each sentence")
    parser.add_argument("--misses", action="store_true", help="show what was missed or wrongly found")
    parser.add_argument("--data", type=Path, help="a public set in presidio-research's form")
    given = parser.parse_args()
    if given.data:
        show(given.data.name, public(given.data), given.misses)
    else:
        for part in PARTS if given.part == "both" else (given.part,):
            show(part, corpus(part, given.seeds), given.misses)
    print(f"\nordinary text: {megabytes_per_second(ordinary(4_000_000)):.1f} MB/s on one core")


if __name__ == "__main__":
    main()
