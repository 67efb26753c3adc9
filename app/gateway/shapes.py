"""Plans for texts that differ in literals only: made once per shape, then filled in.

A template costs as much as planning twice, so it is made when a shape comes back, not when it comes. Literals that some
rule looked at stay as they were (the template says which): a shape may have a few templates, one per such choice.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field

from app.gateway.lru import Lru
from app.sql.statement import Shape, Template

MAX_TEMPLATES = 8


@dataclass(slots=True)
class Family:
    """What is known of one shape for one sight of one database."""

    templates: list[tuple[Template, object]] = field(default_factory=list)
    hopeless: bool = False


class ShapeCache:
    """`plan` values are the caller's; the cache only knows which rendered text belongs to which."""

    def __init__(self, size: int, max_weight: int) -> None:
        self._families: Lru[Hashable, Family] = Lru(size, max_weight)

    def family(self, key: Hashable, weight: int) -> tuple[Family, bool]:
        """The shape's family, and whether it was here before. `weight`: what the key and its templates may hold."""
        known = self._families.get(key)
        if known is not None:
            return known, True
        family = Family()
        self._families.put(key, family, weight)
        return family, False


def rendered(family: Family, shape: Shape) -> tuple[str, object] | None:
    """SQL for this text and the plan it belongs to; the template that fitted moves to the front."""
    for place, (template, plan) in enumerate(family.templates):
        sql = template.render(shape.literals)
        if sql is not None:
            if place:
                family.templates.insert(0, family.templates.pop(place))
            return sql, plan
    return None


def remember(family: Family, template: Template | None, plan: object) -> None:
    if template is None:
        family.hopeless = not family.templates
        return
    family.templates.insert(0, (template, plan))
    del family.templates[MAX_TEMPLATES:]
