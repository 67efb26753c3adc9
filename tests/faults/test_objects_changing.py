"""Objects that change while they are read: what comes is of one state, or it is cut or refused, never a mix."""

import http.client
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from exchange_site import ExchangeSite, asking, open_files, who
from fault_site import Gateway, InBackground, Problem, assert_all_signed, running_issuer, until
from test_objects_broken_off import assert_cut, begun, ended, rest_of, rest_of_content

SIZE = 96 * 1024 * 1024
ROWS = 1_500_000
CHANGED = Problem(status=412, code="object_changed")


HEADER = b"id,email\n"
ROW_BYTES = 19


def people(letter: str) -> bytes:
    return HEADER + f"{letter}{letter}{letter},{letter}@mail.example\n".encode() * ROWS


def masked(content: bytes) -> bytes:
    return content.replace(b",a@", b",***@").replace(b",b@", b",***@")


def overwritten(path: Path, content: bytes) -> None:
    with path.open("r+b", buffering=0) as file:
        file.write(content)


def truncated(path: Path, content: bytes) -> None:
    os.truncate(path, len(HEADER) + ROW_BYTES * (ROWS // 3))


def appended(path: Path, content: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(content[-ROW_BYTES * 3_000 :])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExchangeSite]:
    with running_issuer() as issuer:
        yield ExchangeSite(folder=tmp_path_factory.mktemp("changing"), issuer=issuer)


@pytest.fixture(scope="module")
def gateway(site: ExchangeSite) -> Iterator[Gateway]:
    with site.run() as running:
        yield running
    assert_all_signed(site.audit)


IN_PLACE = [overwritten, truncated, appended]
Change = Callable[[Path, bytes], None]


@pytest.mark.parametrize("change", IN_PLACE)
def test_raw_content_that_is_changed_in_place_is_cut(site: ExchangeSite, gateway: Gateway, change: Change) -> None:
    path = site.put_file("raw/big.bin", b"a" * SIZE)
    with asking(gateway, "GET", "/v1/connections/files/content/raw/big.bin") as line:
        index = begun(line)
        change(path, b"b" * SIZE)
        size, made_of = rest_of(line)
        assert size < SIZE
        assert made_of <= {b"a"}
        assert_cut(gateway, index, "store_changed")


@pytest.mark.parametrize("change", [os.unlink, lambda path: path.with_name("other").replace(path)])
def test_raw_content_that_is_deleted_or_replaced_comes_as_it_was(
    site: ExchangeSite, gateway: Gateway, change: Callable[[Path], None]
) -> None:
    path = site.put_file("raw/big.bin", b"a" * SIZE)
    site.put_file("raw/other", b"b" * SIZE)
    with asking(gateway, "GET", "/v1/connections/files/content/raw/big.bin") as line:
        index = begun(line)
        change(path)
        size, last = rest_of_content(line)
        assert (size, set(last)) == (SIZE, {ord("a")})
        assert ended(gateway, index)["outcome"] == "completed"
        after = who(gateway, "ana").content("raw/big.bin")
        assert after.status_code == 404 or after.content == b"b" * SIZE


def replaced(path: Path, content: bytes) -> None:
    draft = path.with_name("draft")
    draft.write_bytes(content)
    draft.replace(path)


@pytest.mark.parametrize("change", [*IN_PLACE, replaced])
def test_a_rendering_of_what_changes_is_of_one_state_or_refused(
    site: ExchangeSite, gateway: Gateway, change: Change
) -> None:
    path = site.put_file("people/many.csv", people("a"))
    new = people("b")
    running = InBackground(lambda: who(gateway, "ana").content("people/many.csv"))
    until(lambda: reads(gateway, path), what="the gateway reads it", pause_s=0.001)
    change(path, new)
    answer = running.answer()
    if answer.status_code == 200:
        # What changed before it was read to its end is looked at anew.
        assert answer.content in (masked(people("a")), masked(path.read_bytes()))
    else:
        problem = CHANGED.assert_is(answer)
        assert gateway.logged()[problem["receipt"]["index"]]["code"] == CHANGED.code
    until(lambda: not reads(gateway, path), what="the gateway is done with it")


def reads(gateway: Gateway, path: Path) -> bool:
    return str(path) in open_files(gateway.process.pid)


def test_fetches_of_what_is_replaced_and_deleted_all_the_time_are_whole_or_refused(
    site: ExchangeSite, gateway: Gateway
) -> None:
    """A writer that never rests: an object of one letter is there, is not there, or is another one."""
    contents = {letter.encode(): letter.encode() * 3_000_000 for letter in "abc"}
    path = site.put_file("raw/restless.bin", contents[b"a"])
    stop = threading.Event()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            letter = b"abc"[turn % 3 : turn % 3 + 1]
            site.put_file("raw/restless.bin", contents[letter])
            if turn % 4 == 0:
                path.unlink()

    ana = who(gateway, "ana")
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        statuses = []
        for turn in range(60):
            answer = ana.content("raw/restless.bin") if turn % 3 else ana.fetch("raw/restless.bin")
            statuses.append(answer.status_code)
            match answer.status_code:
                case 200:
                    assert answer.content == contents[answer.content[:1]]
                case 404:
                    assert answer.json()["code"] == "object_not_found"
                case 412:
                    CHANGED.assert_is(answer)
                case 413:
                    assert answer.json()["code"] == "content_too_large"
                case other:
                    raise AssertionError(f"{other}: {answer.text[:300]}")
    except http.client.IncompleteRead as cut:
        raise AssertionError("a file that is renamed over is read on as it was") from cut
    finally:
        stop.set()
        writer.join(timeout=20)
    assert 200 in statuses
    assert [name for name in open_files(gateway.process.pid) if "restless" in name] == []
