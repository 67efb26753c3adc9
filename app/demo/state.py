"""What the demo keeps in its folder: the shop, its files, the keys, a copy of the sample policies; made at the first
start."""

import hashlib
import shutil
from dataclasses import dataclass
from importlib.resources import files as packaged_files
from pathlib import Path

from app.demo import files, shop_database
from app.secrets.mask_keys import ensure_key_file
from app.settings import (
    Audit,
    FilesystemConnection,
    Masking,
    MemoryConnection,
    SecretRef,
    Server,
    Settings,
    SqliteConnection,
    Store,
)

DEFAULT_SEED = 20_260_630
CONNECTION = "shop"
FILES = "files"
QUEUE = "queue"
TOPICS = ("orders.created", "partner.orders", "support.inbox")
ORIGIN = "localhost/douane-demo"


class DemoStateError(Exception):
    """The folder cannot be prepared; the message says the next step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoState:
    """`settings` has no issuer: the demo brings its own, bound to loopback."""

    settings: Settings
    state_dir: Path
    built: bool
    """The shop was generated now; False: it was there."""


def prepare(state_dir: Path, *, port: int, seed: int = DEFAULT_SEED, host: str = "127.0.0.1") -> DemoState:
    """Idempotent; keys and edited policies of an earlier start stay. Raises DemoStateError."""
    folder = state_dir.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        (folder / "audit").mkdir(mode=0o700, exist_ok=True)
        built = shop_database.ensure(folder / "shop.db", seed)
        files.ensure(folder / FILES, seed)
        mask_key = ensure_key_file(folder / "mask.key")
        _sample_policies(folder / "policies", folder / "policies.sha256")
    except OSError as error:
        raise DemoStateError(f"{folder}: {error.strerror}; choose another folder with --state") from error
    settings = Settings(
        server=Server(host=host, port=port, public_url=f"http://{f'[{host}]' if ':' in host else host}:{port}"),
        store=Store(url=f"sqlite:///{folder / 'douane.db'}"),
        policies=folder / "policies",
        connections={
            CONNECTION: SqliteConnection(kind="sqlite", path=folder / "shop.db"),
            FILES: FilesystemConnection(kind="filesystem", root=folder / FILES),
            QUEUE: MemoryConnection(kind="memory", topics=TOPICS),
        },
        audit=Audit(dir=folder / "audit", key=SecretRef(file=folder / "audit.key"), origin=ORIGIN),
        masking=Masking(key=SecretRef(file=mask_key)),
        acknowledge=("messages_in_memory",),
    )
    return DemoState(settings=settings, state_dir=folder, built=built)


def shipped_policies() -> Path:
    """In an installed package beside this module, in a checkout at its root."""
    packaged = Path(str(packaged_files("app.demo"))) / "policies"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "policies"


def _sample_policies(target: Path, stamp: Path) -> None:
    """Copied once, then the newcomer's to edit; replaced by newer samples only as long as nobody has edited them."""
    shipped = shipped_policies()
    if not shipped.is_dir():
        raise DemoStateError(f"the sample policies are missing: {shipped} does not exist")
    recorded = stamp.read_text(encoding="ascii") if stamp.is_file() else ""
    if target.is_dir() and (recorded != _digest(target) or recorded == _digest(shipped)):
        return
    draft = target.with_name("policies.new")
    shutil.rmtree(draft, ignore_errors=True)
    shutil.copytree(shipped, draft)
    if target.is_dir():
        shutil.rmtree(target)
    draft.replace(target)
    stamp.write_text(_digest(target), encoding="ascii")


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()}\0{len(content)}\0".encode() + content)
    return found.hexdigest()
