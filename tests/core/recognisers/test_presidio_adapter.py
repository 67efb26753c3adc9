"""The adapter against a stand-in with Presidio's interface; the real one is an optional extra."""

import pickle
import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from app.masking.detectors import Detectors
from app.recognisers.presidio import Presidio, RecogniserMissing

MODEL = "xx_model_of_a_test"


@dataclass
class Result:
    """As presidio_analyzer.RecognizerResult."""

    entity_type: str
    start: int
    end: int
    score: float


class Engine:
    """Finds `Ada` as a person and nothing else."""

    made = 0

    def __init__(self, *, nlp_engine: dict[str, object], supported_languages: list[str]) -> None:
        type(self).made += 1
        assert nlp_engine == {
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": MODEL}],
        }
        assert supported_languages == ["en"]

    def analyze(self, *, text: str, language: str, entities: list[str]) -> list[Result]:
        assert (language, entities) == ("en", ["LOCATION", "PERSON"])
        assert len(text) <= 50_000
        places = [n for n in range(len(text)) if text.startswith("Ada", n)]
        return [Result("PERSON", n, n + 3, 0.85) for n in places]


class Provider:
    def __init__(self, *, nlp_configuration: dict[str, object]) -> None:
        self._configuration = nlp_configuration

    def create_engine(self) -> dict[str, object]:
        return self._configuration


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("presidio_analyzer", "presidio_analyzer.nlp_engine", MODEL):
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["presidio_analyzer"].AnalyzerEngine = Engine  # type: ignore[attr-defined]
    sys.modules["presidio_analyzer.nlp_engine"].NlpEngineProvider = Provider  # type: ignore[attr-defined]
    Engine.made = 0


def test_names_are_found_beside_what_patterns_know(installed: None) -> None:
    text = "Ada, ada@example.com"
    found = Detectors(extra=(Presidio(model=MODEL),)).find(text)
    assert [(one.label, text[one.start : one.end]) for one in found] == [
        ("pii.name", "Ada"),
        ("pii.email", "ada@example.com"),
    ]


def test_the_model_is_loaded_once_and_at_the_first_text(installed: None) -> None:
    names = Presidio(model=MODEL)
    assert Engine.made == 0
    assert len(list(names("Ada"))) == len(list(names("and Ada"))) == 1
    assert Engine.made == 1


def test_a_name_is_found_wherever_a_long_text_is_parted(installed: None) -> None:
    detectors = Detectors(extra=(Presidio(model=MODEL),))
    for before in (49_500, 49_998, 50_000, 120_000):
        assert [(one.start, one.end) for one in detectors.find(" " * before + "Ada" + " " * 40_000)] == [
            (before, before + 3)
        ]


def test_it_goes_to_another_process_without_its_model(installed: None) -> None:
    names = Presidio(model=MODEL, labels={"LOCATION": "pii.address", "PERSON": "pii.who"})
    list(names("Ada"))
    there = pickle.loads(pickle.dumps(names))
    assert there == names
    assert [one.label for one in there("Ada")] == ["pii.who"]
    assert Engine.made == 2


def test_without_presidio_the_next_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.recognisers.presidio.PACKAGE", "no_such_package_of_anybody")
    with pytest.raises(RecogniserMissing, match=r"pip install 'douane\[presidio\]'"):
        Presidio(model=MODEL)


@pytest.mark.parametrize("model", ["no_such_model_of_anybody", "../model", ""])
def test_a_model_that_is_not_installed_is_refused_and_not_fetched(installed: None, model: str) -> None:
    with pytest.raises(RecogniserMissing, match="not installed"):
        Presidio(model=model)
