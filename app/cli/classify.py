"""`douane classify`: a proposal for a data file on stdout, what was not looked at on stderr; no value in either."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.ending import EXIT_FINDINGS, EXIT_USAGE, expected, fail

if TYPE_CHECKING:
    from app.classifying import Classified


def classify(
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="A connection of the configuration.")],
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE", help="Configuration file; else DOUANE_CONFIG, else ./douane.yaml."),
    ] = None,
    as_diff: Annotated[bool, typer.Option("--diff", help="A unified diff against the data file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every field with confidence and reason.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Exit code 1 when something without a label looks like personal data or a secret."
        ),
    ] = False,
    reviewed: Annotated[
        list[str] | None,
        typer.Option(metavar="PLACE", help="Does not count in --check, named as it names it; may be repeated."),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="From which on a label is proposed (0.5); below, it is a comment."),
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=1_000, help="Of each table and object at most.")] = 200,
    objects: Annotated[int, typer.Option(min=1, max=100_000, help="Listed at most.")] = 500,
) -> None:
    """Look at samples of a connection and propose labels for its data file. Nothing is changed, no value is printed."""
    from app.classifying import ClassifyRefused, Sampling
    from app.classifying import classify as look
    from app.main import StartRefused
    from app.policy.proposing import DEFAULT_CONFIDENCE
    from app.settings import SettingsError, config_path, load_settings
    from app.telemetry import logs
    from connectors.registry import kinds

    if as_diff and as_json:
        fail("--diff and --json are two outputs: give one of them")
    logs.configure(level="error")
    try:
        settings = load_settings(config_path(config), kinds=kinds())
    except SettingsError as error:
        for problem in error.problems:
            typer.echo(problem, err=True)
        raise typer.Exit(EXIT_USAGE) from None
    with expected(ClassifyRefused, StartRefused, OSError):
        least = DEFAULT_CONFIDENCE if confidence is None else confidence
        done = look(settings, connection, confidence=least, sampling=Sampling(rows=rows, objects=objects))
    failing = _exposed(done, reviewed or [])
    if as_json:
        typer.echo(json.dumps(_document(done, failing), indent=2))
    else:
        _print(done, failing, as_diff=as_diff, check=check)
    if check and failing:
        raise typer.Exit(EXIT_FINDINGS)


def _exposed(done: "Classified", reviewed: list[str]) -> list[str]:
    """One line each."""
    from app.policy.data_editing import one_line, remark
    from app.policy.proposing import place_of

    if done.proposal is None:
        return []
    lines = []
    for section, looked in done.proposal.exposed(reviewed):
        label = "" if looked.suggestion is None else looked.suggestion.label
        says = "leaves it unlabelled" if looked.word is None else "has it come raw"
        lines.append(one_line(f"{place_of(section, looked)}: {label}, {remark(looked)}; {done.file} {says}"))
    unread = (name for name in done.proposal.unread if name not in reviewed)
    return lines + [one_line(f"{name}: could not be looked at") for name in unread]


def _print(done: "Classified", failing: list[str], *, as_diff: bool, check: bool) -> None:
    from app.policy.data_editing import changed_lines, one_line

    if as_diff:
        typer.echo("".join(changed_lines(done.before, done.after, done.file)), nl=False)
    elif check:
        for line in failing:
            typer.echo(line)
    else:
        typer.echo(done.after, nl=False)
    for note in done.notes:
        typer.echo(f"note: {one_line(note)}", err=True)
    if done.proposal is not None:
        fields = sum(len(section.looked) for section in done.proposal.sections)
        places = len(done.proposal.sections)
        summary = f"{fields} fields in {places} {done.proposal.root}; {len(failing)} need a label or a look"
        typer.echo(f"{done.connection}: {summary}", err=True)


def _document(done: "Classified", failing: list[str]) -> dict[str, Any]:
    proposal = done.proposal
    fields = [
        {
            "in": section.name,
            "field": looked.name,
            "now": looked.word,
            "standing": looked.standing(proposal.confidence).value,
            "label": looked.suggestion.label if looked.suggestion else None,
            "confidence": round(looked.suggestion.confidence, 2) if looked.suggestion else None,
            "reason": looked.suggestion.reason if looked.suggestion else None,
            "sampled": looked.sampled,
        }
        for section in (proposal.sections if proposal is not None else ())
        for looked in section.looked
        if proposal is not None
    ]
    return {
        "connection": done.connection,
        "file": done.file,
        "fields": fields,
        "failing": failing,
        "notes": list(done.notes),
    }
