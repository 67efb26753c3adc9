"""Policy files on disk: read whole, watched, and swapped in only when they make a policy.

What the files mean is decided in app.policy; a folder that breaks leaves the last good policy in force.
"""

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from types import TracebackType

import structlog

from app.policy.connections import ConnectionKind
from app.policy.findings import Finding, PolicyBroken
from app.policy.load import load, version_of
from app.policy.loaded import LoadedPolicy

MAX_FILES = 5_000
MAX_TOTAL_BYTES = 256 * 1024 * 1024
MAX_DEPTH = 4
READ_ATTEMPTS = 5
SETTLE_ROUNDS = 20
"""A folder that never stops changing is read all the same after so many polls."""

Signature = Mapping[str, tuple[int, int, int, int]]
Changed = Callable[[LoadedPolicy, LoadedPolicy], Awaitable[None]]
Broke = Callable[[Sequence[str]], Awaitable[None]]
Objections = Callable[[LoadedPolicy], Sequence[Finding]]

_log = structlog.get_logger(__name__)


class FolderUnsettled(Exception):  # noqa: N818
    """The files changed under every attempt to read them."""


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every policy file by its path below the folder, all from one quiet moment.

    Hidden files and editors' backups (a leading dot, a trailing "~") are no policy files; symbolic links are followed,
    as mounted configuration is made of them. Raises OSError, PolicyBroken or FolderUnsettled.
    """
    for _ in range(READ_ATTEMPTS):
        before = signature_of(folder)
        with suppress(FileNotFoundError):
            files = {name: (folder / name).read_bytes() for name in before}
            sizes_agree = all(len(files[name]) == before[name][1] for name in files)
            if sizes_agree and signature_of(folder) == before:
                return files
    raise FolderUnsettled(f"{folder.name} kept changing while it was read")


def signature_of(folder: Path) -> Signature:
    """Changes whenever any file's content may have changed."""
    found: dict[str, tuple[int, int, int, int]] = {}
    total = 0
    for name in _names(folder):
        try:
            facts = (folder / name).stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(facts.st_mode):
            found[name] = (facts.st_mtime_ns, facts.st_size, facts.st_ino, facts.st_ctime_ns)
            total += facts.st_size
        if len(found) > MAX_FILES or total > MAX_TOTAL_BYTES:
            what = f"more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes"
            raise PolicyBroken((Finding(file=folder.name, line=0, column=0, what=what, expected="a policy folder"),))
    return found


def _names(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        raise NotADirectoryError(f"policy folder {folder} does not exist")
    for where, folders, files in os.walk(folder, onerror=_raise, followlinks=True):
        below = Path(where).relative_to(folder)
        folders[:] = sorted(name for name in folders if _counts(name)) if len(below.parts) < MAX_DEPTH else []
        for name in sorted(files):
            if _counts(name):
                yield (below / name).as_posix()


def _raise(error: OSError) -> None:
    # A folder that cannot be listed is not an empty one: without its files row filters would be gone.
    raise error


def _counts(name: str) -> bool:
    return not name.startswith(".") and not name.endswith("~")


def load_folder(folder: Path, connections: Mapping[str, ConnectionKind]) -> LoadedPolicy:
    """Once, without watching. Raises PolicyBroken, OSError or FolderUnsettled."""
    return load(read_folder(folder), connections)


class PolicyFolder(AbstractAsyncContextManager["PolicyFolder"]):
    """Implements app.ports.Policies. Entering loads the folder, and raises when it is broken; leaving ends the watch.

    `objections` may refuse a policy that loads, because it does not fit what only the caller knows (the catalogs);
    `on_change` (before the new policy is in force) and `on_broken` put it on the audit trail: when one of them raises,
    the files are read again at the next poll.
    """

    def __init__(
        self,
        folder: Path,
        connections: Mapping[str, ConnectionKind],
        *,
        interval_s: float = 0.5,
        objections: Objections | None = None,
        on_change: Changed | None = None,
        on_broken: Broke | None = None,
    ) -> None:
        self._folder = folder
        self._connections = connections
        self._interval_s = interval_s
        self._objections = objections
        self._on_change = on_change
        self._on_broken = on_broken
        self._current: LoadedPolicy | None = None
        self._broken: tuple[str, ...] = ()
        self._told: tuple[str, ...] = ()
        self._seen: Signature = {}
        self._watch: asyncio.Task[None] | None = None
        self._reloading = asyncio.Lock()

    @property
    def current(self) -> LoadedPolicy:
        if self._current is None:
            raise RuntimeError("the policy folder is not open")
        return self._current

    @property
    def broken(self) -> Sequence[str]:
        return self._broken

    async def __aenter__(self) -> "PolicyFolder":
        self._seen = await asyncio.to_thread(signature_of, self._folder)
        self._current = await asyncio.to_thread(self._load, None)
        self._watch = asyncio.create_task(self._run(), name="policy-folder")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    async def reload(self) -> bool:
        """Now, without waiting for the watch. True: the newest files are in force."""
        async with self._reloading:
            old = self.current
            # Whatever stops the reading, the next poll must look again.
            seen: Signature = {}
            self._seen = seen
            try:
                seen = await asyncio.to_thread(signature_of, self._folder)
                new = await asyncio.to_thread(self._load, old)
            except PolicyBroken as broken:
                await self._broke(tuple(str(finding) for finding in broken.findings))
                self._seen = seen
                return False
            except FolderUnsettled as unsettled:
                await self._broke((str(unsettled),))
                return False
            except OSError as error:
                await self._broke((f"{self._folder.name}: cannot be read ({type(error).__name__})",))
                return False
            self._broken = self._told = ()
            if new is not old:
                # On the trail before it is in force; when that fails the old policy stays until the next poll.
                if self._on_change is not None:
                    await self._on_change(old, new)
                self._current = new
                _log.info("policy_activated", version=new.version, rules=new.rule_count)
            self._seen = seen
            return True

    def _load(self, old: LoadedPolicy | None) -> LoadedPolicy:
        files = read_folder(self._folder)
        if old is not None and version_of(files) == old.version:
            return old
        new = load(files, self._connections)
        objections = () if self._objections is None else tuple(self._objections(new))
        if objections:
            raise PolicyBroken(objections)
        return new

    async def _broke(self, lines: tuple[str, ...]) -> None:
        self._broken = lines
        if lines != self._told:
            _log.error("policy_broken", findings=len(lines), problems=list(lines))
            if self._on_broken is not None:
                await self._on_broken(lines)
            self._told = lines

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            try:
                if await self._changed_and_settled():
                    await self.reload()
            except Exception as error:
                _log.exception("policy_watch_failed", error=type(error).__name__)

    async def _changed_and_settled(self) -> bool:
        """A change that looks the same at two polls in a row: whoever writes has finished."""
        try:
            seen = await asyncio.to_thread(signature_of, self._folder)
            if seen == self._seen:
                return False
            for _ in range(SETTLE_ROUNDS):
                await asyncio.sleep(min(self._interval_s, 0.2))
                again = await asyncio.to_thread(signature_of, self._folder)
                if again == seen:
                    break
                seen = again
        except (OSError, PolicyBroken):
            # Reading it says what is wrong, and says it where people look.
            return True
        return True
