"""Options that every command shares which asks a running gateway: where it is, and who asks."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.ending import DEFAULT_STATE, EXIT_REFUSED, EXIT_USAGE, StateDir, fail
from app.cli.gateway import TOKEN_VARIABLE, URL_VARIABLE, Gateway, NotUsable, Refused, access


def _shared(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help=f"The gateway; else {URL_VARIABLE}, else the demo in --state."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help=f"Your access token; else {TOKEN_VARIABLE}.")
    ] = None,
    demo_name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Somebody of the demo: dee and max may approve.")
    ] = None,
    on_behalf_of: Annotated[
        str | None, typer.Option("--for", metavar="PERSON", help="With --as AGENT: on behalf of this person.")
    ] = None,
    state: StateDir = DEFAULT_STATE,
) -> Gateway:
    """The gateway that these options name. Raises NotUsable."""
    return Gateway(access(url=url, token_file=token_file, demo_name=demo_name, on_behalf_of=on_behalf_of, state=state))


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """`command` takes a `gateway` first; instead of it the terminal offers the options of `_shared`."""
    own = list(inspect.signature(command).parameters.values())[1:]
    shared = list(inspect.signature(_shared).parameters.values())

    @wraps(command)
    def run(**given: Any) -> None:
        where = {each.name: given.pop(each.name) for each in shared}
        try:
            with _shared(**where) as gateway:
                command(gateway, **given)
        except NotUsable as wrong:
            fail(str(wrong), EXIT_USAGE)
        except Refused as refused:
            fail(str(refused), EXIT_REFUSED)

    options = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *shared)]
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in options}
    return run
