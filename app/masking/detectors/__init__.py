"""Personal data and secrets in text: found by form, checked by rule, weighed by the words near by, in linear time."""

from app.masking.detectors.detectors import Detectors
from app.masking.detectors.found import ENTITIES, Entity, Found

DEFAULT = Detectors()
find = DEFAULT.find
"""What DEFAULT finds in a text."""

__all__ = ["DEFAULT", "ENTITIES", "Detectors", "Entity", "Found", "find"]
