"""The log's signing key: an Ed25519 private key in a PEM file that only its owner can read."""

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from app.store.trail_files import sync_directory, write_all


class KeyUnusable(Exception):  # noqa: N818 - names a state of the file
    """The key file cannot be used; the text says what to do and quotes nothing of it."""


def ensure_key(path: Path) -> Ed25519PrivateKey:
    """The key in `path`; made when the file does not exist. Two starters at once end up with the same key."""
    if not path.exists():
        _create(path)
    return load_key(path)


def load_key(path: Path) -> Ed25519PrivateKey:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise KeyUnusable(f"{path}: the audit key cannot be read; make one or correct `audit.key`") from None
    with os.fdopen(fd, "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise KeyUnusable(f"{path}: the audit key must be a regular file")
        if mode & 0o077:
            raise KeyUnusable(f"{path}: others can read the audit key; run `chmod 600` on it")
        pem = file.read(16_384)
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise KeyUnusable(f"{path}: not an unencrypted PEM private key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"{path}: the audit key must be an Ed25519 key")
    return key


def _create(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(fd, pem)
            os.fsync(fd)
        finally:
            os.close(fd)
        try:
            os.link(part, path)  # unlike a rename, fails when another process was first
        except FileExistsError:
            return
        finally:
            part.unlink()
        sync_directory(path.parent)
    except OSError:
        raise KeyUnusable(f"{path}: the audit key cannot be created; check the directory and its space") from None
