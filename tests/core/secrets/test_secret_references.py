"""Secrets by reference, and the keys of pseudonym domains."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.secrets.mask_keys import MaskKeyring, NoMaskKeys, ensure_key_file, parse_master_key
from app.secrets.reference import SecretMissing, create_private_file, read_env, read_file

MASTER = bytes(range(32))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("one\n")
    assert read_file(path) == "one"
    path.write_text("two!\n")
    assert read_file(path) == "two!"
    fresh = tmp_path / "t"
    fresh.write_text("six\n")
    fresh.replace(path)
    assert read_file(path) == "six"


def test_an_unchanged_file_comes_from_memory(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("one")
    before = path.stat()
    assert read_file(path) == "one"
    with path.open("r+") as file:
        file.write("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_file(path) == "one"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 70_000])
def test_what_is_no_secret_is_missing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s"
    path.write_bytes(content)
    with pytest.raises(SecretMissing, match=r"s (is|cannot)"):
        read_file(path)


def test_a_directory_or_nothing_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(SecretMissing):
            read_file(path)


def test_an_empty_variable_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOUANE_TEST_EMPTY", "")
    with pytest.raises(SecretMissing, match="DOUANE_TEST_EMPTY"):
        read_env("DOUANE_TEST_EMPTY")


def test_a_private_file_is_never_overwritten_and_never_shared(tmp_path: Path) -> None:
    path = tmp_path / "new" / "k"
    assert create_private_file(path, "a")
    assert not create_private_file(path, "b")
    assert path.read_text() == "a"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_made_key_is_a_key_and_stays(tmp_path: Path) -> None:
    first = parse_master_key(ensure_key_file(tmp_path / "k").read_text())
    assert parse_master_key(ensure_key_file(tmp_path / "k").read_text()) == first


def test_a_domain_has_one_key_and_no_two_domains_share_it() -> None:
    ring = MaskKeyring(MASTER)
    assert ring.key("email") == MaskKeyring(MASTER).key("email")
    assert len({ring.key("email"), ring.key("phone"), MaskKeyring(MASTER[::-1]).key("email"), MASTER}) == 4
    assert len(ring.key("email")) == 32


def test_the_derivation_never_changes() -> None:
    """Pseudonyms stored elsewhere have to match after an upgrade."""
    assert MaskKeyring(MASTER).key("national_id").hex() == (
        "90aee37f45473fd15fee6daddde69108ea24b8c123eda5fa6a276a508df27b9b"
    )


@given(st.binary(min_size=32, max_size=32))
def test_a_master_key_reads_from_hex_and_both_alphabets_of_base64(master: bytes) -> None:
    for text in (
        master.hex(),
        master.hex().upper() + "\n",
        base64.b64encode(master).decode(),
        base64.urlsafe_b64encode(master).decode().rstrip("="),
    ):
        assert parse_master_key(text) == master


@pytest.mark.parametrize("text", ["", "hunter2", "ab" * 31, base64.b64encode(b"x" * 31).decode(), "é" * 44])
def test_anything_else_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SecretMissing) as caught:
        parse_master_key(text)
    assert not text or text not in str(caught.value)


def test_the_keyring_shows_nothing_and_takes_no_short_key() -> None:
    assert MASTER.hex() not in repr(MaskKeyring(MASTER))
    with pytest.raises(ValueError, match="needs 32"):
        MaskKeyring(MASTER[:31])


def test_without_a_master_key_every_pseudonym_is_refused() -> None:
    with pytest.raises(SecretMissing, match=r"masking\.key"):
        NoMaskKeys().key("email")
