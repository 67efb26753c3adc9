"""The composition root: what each command of the CLI runs."""

import os
import time
from pathlib import Path
from typing import Any

from app.api.document import agents_document
from app.api.door import AsgiApp
from app.api.operations import SCOPES
from app.checking import check
from app.parts import file_of
from app.serving import StartRefused, run, run_workers, with_lifespan
from app.settings.load import CONFIG_VARIABLE, config_path, load_settings
from app.settings.model import Settings
from app.store.trail_key import ensure_key as ensure_log_key
from app.telemetry import logs
from app.wiring import DemoParts, application, gateway
from connectors.registry import kinds

__all__ = [
    "StartRefused",
    "check",
    "demo",
    "openapi_document",
    "serve",
    "worker",
]

DEMO_ISSUER_PATH = "/issuer"


def openapi_document(*, agents: bool = False) -> dict[str, Any]:
    """The document as committed in openapi.yaml: what the demo serves at its default address."""
    public_url = "http://127.0.0.1:8080"
    _, document = application(
        public_url=public_url, openid_url=f"{public_url}{DEMO_ISSUER_PATH}/.well-known/openid-configuration"
    )
    return agents_document(document) if agents else document


def serve(settings: Settings, config: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT, then drain: requests in flight finish, the log gets its last checkpoint.

    `config`: where the settings came from, for worker processes to read them again.

    Raises StartRefused (one worker); with several, each worker says on stderr why it does not start.
    """
    logs.configure()
    if settings.server.workers == 1:
        run(lambda: gateway(settings), settings.server.host, settings.server.port, settings.limits.drain_timeout_s)
        return
    os.environ[CONFIG_VARIABLE] = str(config_path(config).absolute())
    run_workers("app.main:worker", settings.server, settings.limits.drain_timeout_s)


def worker() -> AsgiApp:
    """What each of several worker processes serves."""
    logs.configure()
    return with_lifespan(lambda: gateway(load_settings(config_path(None), kinds=kinds())))


def demo(state_dir: Path, host: str, port: int) -> None:
    """Everything embedded on loopback; prints what to try when requests are answered."""
    # Other gateways hold nothing of it.
    from app.demo.banner import TOKENS, banner
    from app.demo.state import prepare
    from app.identity.demo_issuer import (
        DemoProfile,
        demo_identity,
        ensure_key,
        refuse_unless_alone_on_loopback,
        token_for,
    )
    from app.identity.demo_login import DemoLogin
    from app.identity.demo_people import BROWSER_CLIENT

    logs.configure(level="warning")
    refuse_unless_alone_on_loopback(bind_host=host, public_url=f"http://{host}", other_issuers=())
    state = prepare(state_dir, port=port, host=host)
    settings = state.settings
    ensure_log_key(file_of(settings.audit.key))
    key = ensure_key(state.state_dir)
    public_url = settings.server.public_url
    profile = DemoProfile(issuer=public_url + DEMO_ISSUER_PATH, audience=public_url)
    login = DemoLogin(key=key, profile=profile, public_url=public_url, bind_host=host, other_issuers=(), now=time.time)
    profile.save(state.state_dir)
    parts = DemoParts(
        identity=demo_identity(key, profile, now=time.time),
        login=login.app,
        login_path=DEMO_ISSUER_PATH,
        docs_settings={"client_id": BROWSER_CLIENT, "scopes": list(SCOPES), "public_url": public_url},
    )

    def started() -> None:
        tokens = {name: token_for(key, profile, name, now=time.time()) for name in TOKENS}
        print(banner(state, tokens), flush=True)

    run(lambda: gateway(settings, parts), host, port, settings.limits.drain_timeout_s, started)
