"""What is looked for in running text: the built-in detectors, and what may be added to them."""

from typing import Annotated

from pydantic import Field, StringConstraints

from app.settings.base import Section

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,60}$")]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$", max_length=100)]


class Presidio(Section):
    """Microsoft Presidio beside the detectors; needs the extra `presidio` and the package of a spaCy model."""

    model: Word
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] = "en"
    labels: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z_]{1,60}$")], Label] | None = None
    """Presidio's entities to labels; absent: PERSON pii.name, LOCATION pii.address."""


class Detecting(Section):
    min_score: float = Field(default=0.5, ge=0, le=1)
    disabled: tuple[Word, ...] = ()
    """Entities that are not looked for."""
    labels: dict[Word, Label] = Field(default_factory=dict)
    """Entity to the label that replaces its own."""
    regions: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")], ...] | None = None
    """Countries whose telephone numbers are known without a country code; absent: a list of ours."""
    presidio: Presidio | None = None
