"""Secrets by reference: an environment variable, or a file that is read again when it changes."""

import os
import stat
from pathlib import Path

MAX_SECRET_BYTES = 65_536

_FileState = tuple[int, int, int]
_read: dict[Path, tuple[_FileState, str]] = {}
"""Keyed by configured paths alone, so it is as bounded as the configuration."""


class SecretMissing(Exception):  # noqa: N818 - says what the operator has to provide
    """The reference leads nowhere. The message names the reference, never a value."""


def read_env(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise SecretMissing(f"environment variable {name} is not set")
    return value


def read_file(path: Path) -> str:
    """The content without a trailing newline; from memory as long as inode, time and size stay the same."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            known = _read.get(path)
            if known is not None and known[0] == state:
                return known[1]
            if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_SECRET_BYTES:
                raise SecretMissing(f"{path} is not a file of at most {MAX_SECRET_BYTES} bytes")
            value = file.read(MAX_SECRET_BYTES).decode("utf-8").rstrip("\r\n")
    except OSError as error:
        raise SecretMissing(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecretMissing(f"{path} is not text") from error
    if not value:
        raise SecretMissing(f"{path} is empty")
    _read[path] = (state, value)
    return value


def readable_by_others(path: Path) -> bool:
    """Group or world may read the file; a file that cannot be examined counts as such."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return True


def create_private_file(path: Path, content: str) -> bool:
    """Write a new file that only its owner can read; False where it exists already (it is left as it is)."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return True
