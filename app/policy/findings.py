"""What is wrong with a policy, and where: a finding names file, line, column and what was expected."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    ERROR = "error"
    """The policy does not activate."""
    WARNING = "warning"
    """The policy activates; the guard already does the stricter thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`line` and `column` count from 1; 0 stands for the file as a whole."""

    file: str
    line: int
    column: int
    what: str
    expected: str = ""
    level: Level = Level.ERROR

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.what}" + (f"; expected {self.expected}" if self.expected else "")


class PolicyBroken(Exception):  # noqa: N818 - names a state of the files
    """The files do not make a policy; the last good one stays in force."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings

    def __reduce__(self) -> tuple[type["PolicyBroken"], tuple[tuple[Finding, ...]]]:
        return (PolicyBroken, (self.findings,))
