"""The detectors of one gateway, as its settings ask for them."""

from typing import Any

from app.masking.detectors import DEFAULT, Detectors
from app.recognisers.presidio import Presidio, RecogniserMissing
from app.serving import StartRefused
from app.settings.detectors import Detecting


def build_detectors(section: Detecting) -> Detectors:
    """Raises StartRefused for entities, regions, packages or models that do not exist."""
    if section == Detecting():
        return DEFAULT
    given: dict[str, Any] = {
        "min_score": section.min_score,
        "disabled": frozenset(section.disabled),
        "labels": dict(section.labels),
    }
    if section.regions is not None:
        given["regions"] = section.regions
    try:
        if (presidio := section.presidio) is not None:
            labels = {} if presidio.labels is None else {"labels": dict(presidio.labels)}
            given["extra"] = (Presidio(model=presidio.model, language=presidio.language, **labels),)
        return Detectors(**given)
    except (ValueError, RecogniserMissing) as wrong:
        raise StartRefused([f"detectors: {wrong}"]) from wrong
