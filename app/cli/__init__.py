"""The `douane` command; `python -m app.cli` is the same."""

from app.cli.commands import cli, main

__all__ = ["cli", "main"]
