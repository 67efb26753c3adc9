"""How a command ends: a sentence on stderr and an exit code, never a trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

EXIT_FINDINGS = 1
EXIT_REFUSED = 1
EXIT_USAGE = 2
DEFAULT_STATE = Path("state/demo")

StateDir = Annotated[Path, typer.Option("--state", metavar="DIR", help="Folder that keeps the demo's data and keys.")]


def fail(problem: str, code: int = EXIT_USAGE) -> NoReturn:
    typer.echo(f"douane: {problem}", err=True)
    raise typer.Exit(code)


@contextmanager
def expected(*faults: type[Exception]) -> Iterator[None]:
    """Faults of the operator's making end the command with their own sentence."""
    try:
        yield
    except faults as fault:
        fail(str(fault))
