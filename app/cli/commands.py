"""The `douane` command. Each command says what it did or what to do next; an expected fault is a line, not a trace."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.cli.approvals import approvals
from app.cli.classify import classify
from app.cli.ending import DEFAULT_STATE, EXIT_FINDINGS, EXIT_USAGE, StateDir, expected
from app.settings import SettingsError, config_path, load_settings, unacknowledged
from app.settings.model import Settings
from connectors.contract import Severity

cli = typer.Typer(
    name="douane",
    help="Customs control for the data that leaves through AI agents.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
audit = typer.Typer(no_args_is_help=True, help="The tamper-evident audit log.")
cli.add_typer(audit, name="audit")
cli.add_typer(approvals, name="approvals")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file; else DOUANE_CONFIG, else ./douane.yaml."),
]


def _settings(path: Path) -> Settings:
    from connectors.registry import kinds

    try:
        return load_settings(path, kinds=kinds())
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(EXIT_USAGE) from None


@cli.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8080,
    state: StateDir = DEFAULT_STATE,
    host: Annotated[str, typer.Option(help="Loopback address to listen on; the demo serves no other.")] = "127.0.0.1",
) -> None:
    """Run everything embedded: a generated shop, sample policies, tokens and lines to paste."""
    from app.main import demo as run

    with starting():
        run(state, host, port)


@contextmanager
def starting() -> Iterator[None]:
    """Every way in which a part can refuse to start; imported late, so that other commands stay quick."""
    from app.demo.state import DemoStateError
    from app.identity.demo_issuer import DemoRefused
    from app.secrets.reference import SecretMissing
    from app.serving import StartRefused
    from app.store.trail_key import KeyUnusable
    from app.store.trail_open import TrailCorrupt

    with expected(DemoStateError, DemoRefused, StartRefused, SecretMissing, KeyUnusable, TrailCorrupt, OSError):
        yield


@cli.command()
def token(
    name: Annotated[str, typer.Argument(help="ana, sam, dee, max, ada, aud, sales-agent or ops-agent.")],
    state: StateDir = DEFAULT_STATE,
    on_behalf_of: Annotated[
        str | None, typer.Option("--for", metavar="PERSON", help="The agent's token on behalf of this person.")
    ] = None,
) -> None:
    """Print a demo token; `douane demo` must have run with the same --state."""
    from app.identity.demo_issuer import DemoProfile, DemoRefused, ensure_key, token_for

    with expected(DemoRefused, OSError):
        profile = DemoProfile.load(state)
        typer.echo(token_for(ensure_key(state), profile, name, now=time.time(), on_behalf_of=on_behalf_of))


@cli.command()
def serve(config: ConfigFile = None) -> None:
    """Run the gateway; refuses to start on unsafe settings that `acknowledge` does not name."""
    from app.main import serve as run

    path = config_path(config)
    settings = _settings(path)
    with starting():
        run(settings, path)


@cli.command()
def check(
    config: ConfigFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = False,
) -> None:
    """Probe issuers, connections, privileges and policies once. Exit code 1: something unsafe was found."""
    from app.main import check as probe
    from app.telemetry import logs

    logs.configure(level="error")
    settings = _settings(config_path(config))
    with starting():
        found = sorted(probe(settings), key=lambda finding: list(Severity).index(finding.severity))
    blocking = unacknowledged(found, settings)
    if as_json:
        typer.echo(json.dumps([{"severity": f.severity, "code": f.code, "text": f.text} for f in found]))
    else:
        for finding in found:
            known = " (acknowledged)" if finding.code in settings.acknowledge else ""
            typer.echo(f"{finding.severity:<8} {finding.code:<26} {finding.text}{known}")
        typer.echo(f"{len(found)} findings; {len(blocking)} of them keep `douane serve` from starting")
    if blocking:
        raise typer.Exit(EXIT_FINDINGS)


cli.command()(classify)


@cli.command()
def keys(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where audit.key and mask.key go.")],
) -> None:
    """Make the keys that a configuration refers to; keys that exist are left alone."""
    from app.secrets.mask_keys import ensure_key_file
    from app.store.trail_key import KeyUnusable, ensure_key

    with expected(KeyUnusable, OSError):
        ensure_key(folder / "audit.key")
        ensure_key_file(folder / "mask.key")
    typer.echo(f"audit: {{key: {{file: {folder / 'audit.key'}}}}}   masking: {{key: {{file: {folder / 'mask.key'}}}}}")


@cli.command()
def openapi(
    agents: Annotated[bool, typer.Option("--agents", help="Only the operations that agents need.")] = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="YAML, as openapi.yaml in the repository.")] = False,
) -> None:
    """Print the OpenAPI document."""
    from app.main import openapi_document

    document = openapi_document(agents=agents)
    if as_yaml:
        import yaml

        typer.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), nl=False)
    else:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@audit.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An audit directory, or a copy of one.")],
    vkey: Annotated[
        str | None, typer.Option(metavar="KEY", help="The log's public key, from a place you trust; else DIR's own.")
    ] = None,
    older: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="A signed checkpoint kept elsewhere; may be repeated."),
    ] = None,
) -> None:
    """Check every entry and signature; needs no running gateway. Exit code 1: the log is not sound, 2: unusable."""
    from app.store.trail_verify import NothingToVerify, verify_directory

    progress = _progress if sys.stderr.isatty() else None
    with expected(NothingToVerify, OSError):
        report = verify_directory(folder, vkey, progress, [path.read_bytes() for path in older or ()])
    for log in report.logs:
        trust = "" if log.key_given else " (key taken from the directory itself: give --vkey to rule out a forged log)"
        state = "sound" if log.first_bad is None else "NOT SOUND"
        typer.echo(f"{log.origin}: {state}, {log.covered} entries signed, {log.uncovered} not yet{trust}")
        typer.echo(f"  key {log.vkey}")
        if log.torn:
            typer.echo("  ends in a torn write of which nothing was released")
        first = log.first_bad
        for finding in log.findings:
            mark = "first bad: " if finding is first else ""
            typer.echo(f"  {mark}{finding.problem}: {finding.text}")
    raise typer.Exit(report.exit_code)


def _progress(done: int, expected_entries: int) -> None:
    typer.echo(f"\r{done:,} of {max(done, expected_entries):,} entries", err=True, nl=False)


def main() -> None:
    try:
        cli()
    except KeyboardInterrupt:
        sys.exit(130)
