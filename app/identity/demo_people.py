"""Who lives in the demo: people with a role each, agents, and the clients people use themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

SCOPES = ("douane:query", "douane:objects", "douane:messages", "douane:approvals")
PERSON_CLIENT = "demo-cli"
BROWSER_CLIENT = "swagger-ui"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    name: str
    title: str
    roles: tuple[str, ...]
    claims: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


PEOPLE: Mapping[str, Person] = MappingProxyType(
    {
        person.name: person
        for person in (
            Person(name="ana", title="analyst, region north", roles=("analyst",), claims={"region": "north"}),
            Person(name="sam", title="customer support", roles=("support",), claims={"region": "south"}),
            Person(name="dee", title="data protection officer, approver", roles=("dpo",)),
            Person(name="max", title="database administrator, approver", roles=("dba",)),
            Person(name="ada", title="administrator", roles=("admin",)),
            Person(name="aud", title="auditor", roles=("auditor",)),
        )
    }
)

AGENTS: tuple[str, ...] = ("sales-agent", "ops-agent")
CLIENTS: tuple[str, ...] = (*AGENTS, PERSON_CLIENT, BROWSER_CLIENT)
