"""Labels that exist without standing in any file, because detectors give them to what they find."""

from app.masking.detectors.found import ENTITIES

DETECTED_LABELS = tuple(sorted({entity.label for entity in ENTITIES}))
