"""The demo with a webhook to tell: `notified_demo.py STATE PORT HOOK_PORT SECRET_FILE`, until SIGTERM."""

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from app.demo.state import prepare  # noqa: E402 - the path must be set first
from app.identity.demo_issuer import DemoProfile, demo_identity, ensure_key  # noqa: E402
from app.main import DEMO_ISSUER_PATH  # noqa: E402
from app.parts import file_of  # noqa: E402
from app.serving import run  # noqa: E402
from app.settings.model import Notifications, SecretRef  # noqa: E402
from app.settings.notifications import WebhookTarget  # noqa: E402
from app.store.trail_key import ensure_key as ensure_log_key  # noqa: E402
from app.telemetry import logs  # noqa: E402
from app.wiring import DemoParts, gateway  # noqa: E402


def main(state_dir: Path, port: int, hook_port: int, secret: Path) -> None:
    logs.configure(level="info")
    state = prepare(state_dir, port=port)
    ops = WebhookTarget(kind="webhook", url=f"http://127.0.0.1:{hook_port}/hook", secrets=(SecretRef(file=secret),))
    told = Notifications(allow_private=("127.0.0.0/8",), targets={"ops": ops})
    settings = state.settings.model_copy(update={"notifications": told})
    ensure_log_key(file_of(settings.audit.key))
    key = ensure_key(state.state_dir)
    public_url = settings.server.public_url
    profile = DemoProfile(issuer=public_url + DEMO_ISSUER_PATH, audience=public_url)
    profile.save(state.state_dir)
    parts = DemoParts(
        identity=demo_identity(key, profile, now=time.time), login=None, login_path=None, docs_settings={}
    )
    run(lambda: gateway(settings, parts), "127.0.0.1", port, 5.0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
