"""Names, places and whatever else Presidio finds, beside the detectors of app.masking.

An optional extra: neither Presidio nor a language model comes with Douane, and nothing is fetched at run time. A
recogniser goes to other processes without its model and loads it there at its first text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from app.masking.detectors import Found

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

PACKAGE = "presidio_analyzer"
NAMES_AND_PLACES = {"PERSON": "pii.name", "LOCATION": "pii.address"}
"""What no pattern knows. Presidio's own patterns are left out: the detectors have theirs, and one of Presidio's looks
up public suffixes over the network."""

_PART = 50_000
_OVERLAP = 500
"""Models need memory by the length of a text, and spaCy refuses more than a million characters."""


class RecogniserMissing(Exception):  # noqa: N818
    """Something that the settings ask for is not installed; the message says what to install."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presidio:
    """A recogniser for Detectors(extra=…). `model`: an installed spaCy model, a Python package, for `language`.

    `labels`: Presidio's names of entities to the labels they get; no other is looked for. A find is called as Presidio
    calls it, in small letters. RecogniserMissing on creation if Presidio or the model is not installed.
    """

    model: str
    language: str = "en"
    labels: Mapping[str, str] = field(default_factory=lambda: dict(NAMES_AND_PLACES))
    _loaded: list[Any] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if find_spec(PACKAGE) is None:
            raise RecogniserMissing("Presidio is not installed: pip install 'douane[presidio]', or configure none.")
        # Presidio would download a model that is missing.
        if not self.model.isidentifier() or find_spec(self.model) is None:
            raise RecogniserMissing(
                f"The spaCy model {self.model!r} is not installed: install its package, or name one that is."
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self.model, self.language, dict(self.labels))

    def __call__(self, text: str) -> Iterator[Found]:
        engine = self._engine()
        for start, part in _parts(text):
            for one in engine.analyze(text=part, language=self.language, entities=sorted(self.labels)):
                yield Found(
                    one.entity_type.lower(),
                    self.labels[one.entity_type],
                    start + one.start,
                    start + one.end,
                    float(one.score),
                )

    def _engine(self) -> "AnalyzerEngine":
        if not self._loaded:
            self._loaded.append(_engine_of(self.model, self.language))
        return self._loaded[0]


def _made(model: str, language: str, labels: Mapping[str, str]) -> Presidio:
    return Presidio(model=model, language=language, labels=labels)


def _engine_of(model: str, language: str) -> "AnalyzerEngine":
    # Here and not above: who does not configure Presidio need not have it.
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    models = [{"lang_code": language, "model_name": model}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=[language])


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Long texts in parts that overlap, so that a name at a border is whole in one of them."""
    start = 0
    while True:
        yield start, text[start : start + _PART]
        if start + _PART >= len(text):
            return
        start += _PART - _OVERLAP
