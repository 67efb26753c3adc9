"""Objects over HTTP: listed, fetched masked, streamed raw, put, deleted, asked about; and keys that mean harm."""

import base64
import csv
import hashlib
import http.client
import io
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pyarrow.parquet as pq
import pytest
from blake3 import blake3

from app.audit.batch import Batch, batches
from app.demo.state import FILES
from tests.api.test_bad_input import problem
from tests.running import Running

OBJECTS, CONTENT = f"/v1/connections/{FILES}/objects", f"/v1/connections/{FILES}/content"
CUSTOMERS, LOGO = "customers/2026.csv", "brand/logo.png"
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+")
WHOLE_NUMBER = re.compile(r"(?<![\w+/=-])[0-9]+(?![\w+/=-])")
"""Not digits within an id."""
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"


@pytest.fixture
def client(shop: Running) -> Iterator[httpx2.Client]:
    with shop.client() as client:
        yield client


def get(shop: Running, client: httpx2.Client, path: str, name: str = "ana", **headers: str) -> httpx2.Response:
    return client.get(path, headers={**shop.auth(name), **{n.replace("_", "-"): v for n, v in headers.items()}})


def put(
    shop: Running, client: httpx2.Client, key: str, content: Any, name: str = "ana", path: str = OBJECTS, **headers: str
) -> httpx2.Response:
    """The bytes themselves."""
    sent = {"content-type": "text/csv", **{n.replace("_", "-"): v for n, v in headers.items()}}
    return client.put(f"{path}/{key}", content=content, headers={**shop.auth(name), **sent})


def on_disk(shop: Running, key: str) -> Path:
    return shop.state / "files" / key


def trail(shop: Running) -> list[dict[str, Any]]:
    with (shop.state / "audit/0/journal").open("rb") as file:
        found = list(batches(lambda offset, count: os.pread(file.fileno(), count, offset)))
    return [json.loads(entry) for batch in found if isinstance(batch, Batch) for entry in batch.entries]


def told_later(shop: Running, chosen: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Entries that are written behind what their client sees: how content left, and who went away."""
    deadline = time.monotonic() + 30
    while not (found := [each for each in trail(shop) if chosen(each)]):
        assert time.monotonic() < deadline, "no entry says so"
        time.sleep(0.05)
    return found


def raw_path(shop: Running, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """With a path that no client library puts in order first."""
    host = shop.url.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=30)) as line:
        line.request(method, path, body, {**shop.auth("ana"), **headers})
        answer = line.getresponse()
        return answer.status, answer.read()


def decided(shop: Running, client: httpx2.Client, approval: str, decision: str = "approve") -> None:
    document = get(shop, client, f"/v1/approvals/{approval}", "dee").json()
    body = {"decision": decision, "reason": "Seen.", "digest": document["digest"]}
    answer = client.post(f"/v1/approvals/{approval}/decision", json=body, headers=shop.auth("dee"))
    assert answer.status_code == 200, answer.text


def executed(shop: Running, client: httpx2.Client, approval: str, name: str = "ana") -> httpx2.Response:
    return client.post(f"/v1/approvals/{approval}/execute", json={}, headers=shop.auth(name))


def names(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["key"] for each in answer.json()["objects"]]


# What is there


def test_a_listing_says_of_each_object_how_it_comes(shop: Running, client: httpx2.Client) -> None:
    answer = get(shop, client, OBJECTS)
    comes = {each["key"]: each["comes"] for each in answer.json()["objects"]}
    assert comes[CUSTOMERS] == comes["customers/2026.parquet"] == comes["notes/handover.txt"] == "masked"
    assert (comes[LOGO], comes["archive/shop-2025.bin"]) == ("raw", "by_type")
    for each in answer.json()["objects"]:
        assert (each["size"] is None) == (each["etag"] is None) == (each["comes"] != "raw"), each


def test_pages_give_every_key_once_and_the_next_one_by_link_or_by_cursor(shop: Running, client: httpx2.Client) -> None:
    whole, found, url = names(get(shop, client, OBJECTS)), [], f"{OBJECTS}?limit=2"
    while url:
        page = get(shop, client, url)
        found += names(page)
        assert len(page.json()["objects"]) <= 2
        cursor = page.json()["next_cursor"]
        url = "" if cursor is None else f"{OBJECTS}?limit=2&cursor={quote(cursor, safe='')}"
        link = page.headers.get("link")
        assert (link is None) == (cursor is None)
        assert (
            link is None
            or get(shop, client, link[1 : link.index(">")]).json()["objects"]
            == (get(shop, client, url).json()["objects"])
        )
    assert found == whole == sorted(whole)


def test_a_prefix_and_a_shallow_listing_fold_folders(shop: Running, client: httpx2.Client) -> None:
    assert names(get(shop, client, f"{OBJECTS}?prefix=customers/")) == [CUSTOMERS, "customers/2026.parquet"]
    shallow = get(shop, client, f"{OBJECTS}?shallow=true").json()
    assert {"archive/", "brand/", "customers/", "notes/", "orders/", "tickets/"} <= set(shallow["prefixes"])
    assert shallow["objects"] == []
    assert get(shop, client, f"{OBJECTS}?prefix=nowhere/").json()["objects"] == []


def test_who_may_not_list_them_sees_neither_keys_nor_folders(shop: Running, client: httpx2.Client) -> None:
    everything = names(get(shop, client, OBJECTS, "sam"))
    assert everything == ["notes/handover.txt", "tickets/2026-06.ndjson"]
    assert get(shop, client, f"{OBJECTS}?shallow=true", "sam").json()["prefixes"] == ["notes/", "tickets/"]
    hidden = get(shop, client, f"{OBJECTS}?prefix=customers/", "sam").json()
    nothing = get(shop, client, f"{OBJECTS}?prefix=nowhereat/", "sam").json()
    for each in (hidden, nothing):
        del each["receipt"], each["prefix"]
    assert hidden == nothing


def test_a_cursor_is_of_one_caller_and_one_listing(shop: Running, client: httpx2.Client) -> None:
    cursor = quote(get(shop, client, f"{OBJECTS}?limit=1").json()["next_cursor"], safe="")
    assert len(names(get(shop, client, f"{OBJECTS}?limit=1&cursor={cursor}"))) == 1
    for name, query in (("sam", ""), ("dee", ""), ("ana", "&prefix=customers/"), ("ana", "&shallow=true")):
        problem(get(shop, client, f"{OBJECTS}?cursor={cursor}{query}", name), 404, "invalid_cursor")
    agent = client.get(f"{OBJECTS}?cursor={cursor}", headers=shop.auth("sales-agent", "ana"))
    problem(agent, 404, "invalid_cursor")
    problem(get(shop, client, f"{OBJECTS}?cursor={cursor[:-4]}AAAA"), 404, "invalid_cursor")


# What comes


def test_csv_comes_masked_in_json_under_either_path(shop: Running, client: httpx2.Client) -> None:
    answer = get(shop, client, f"{OBJECTS}/{CUSTOMERS}").json()
    assert (answer["status"], answer["encoding"], answer["masked"]) == ("completed", "utf-8", True)
    assert (answer["key"], answer["content_type"]) == (CUSTOMERS, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer["content"])))
    stored = list(csv.DictReader(io.StringIO(on_disk(shop, CUSTOMERS).read_text(encoding="utf-8"))))
    assert answer["row_count"] == len(rows) == len(stored)
    assert rows[0]["city"] == stored[0]["city"]
    assert all(row["email"].startswith("***@") and row["name"] == "redacted" for row in rows)
    assert not {row["national_id"] for row in rows} & {row["national_id"] for row in stored}
    assert answer["size"] == len(answer["content"].encode())
    assert answer["etag"] == hashlib.sha256(answer["content"].encode()).hexdigest()
    for path in (f"{OBJECTS}/customers%2F2026.csv", f"/v1/connections/{FILES}/object?key=customers%2F2026.csv"):
        other = get(shop, client, path).json()
        assert other.pop("receipt")["index"] > answer["receipt"]["index"]
        assert other == {name: value for name, value in answer.items() if name != "receipt"}


def test_a_pseudonym_of_a_file_is_that_of_the_table(shop: Running, client: httpx2.Client) -> None:
    rows = csv.DictReader(io.StringIO(get(shop, client, f"{OBJECTS}/{CUSTOMERS}").json()["content"]))
    table = shop.query("ana", "SELECT id, national_id FROM customers ORDER BY id LIMIT 50").json()["rows"]
    in_file = {int(row["id"]): row["national_id"] for row in rows}
    assert [in_file[number] for number, _ in table] == [name for _, name in table]


def test_json_ndjson_and_text_come_masked(shop: Running, client: httpx2.Client) -> None:
    orders = json.loads(get(shop, client, f"{OBJECTS}/orders/2026-06.json").json()["content"])
    assert orders["shop"] == "demo"
    assert {order["customer"]["name"] for order in orders["orders"]} == {"redacted"}
    assert all(order["customer"]["email"].startswith("***@") for order in orders["orders"])
    tickets = get(shop, client, f"{OBJECTS}/tickets/2026-06.ndjson").json()
    lines = [json.loads(line) for line in tickets["content"].splitlines()]
    assert tickets["row_count"] == len(lines) > 100
    assert all(line["customer"]["email"].startswith("***@") for line in lines)
    note = get(shop, client, f"{OBJECTS}/notes/handover.txt").json()
    stored = on_disk(shop, "notes/handover.txt").read_text(encoding="utf-8")
    assert "Handover, support desk" in note["content"]
    assert all(found not in note["content"] for found in EMAIL.findall(stored))


def test_parquet_comes_masked_as_base64_and_as_bytes(shop: Running, client: httpx2.Client) -> None:
    answer = get(shop, client, f"{OBJECTS}/customers/2026.parquet").json()
    assert answer["encoding"] == "base64"
    content = base64.b64decode(answer["content"], validate=True)
    assert content == get(shop, client, f"{CONTENT}/customers/2026.parquet").content
    table = pq.read_table(io.BytesIO(content))
    assert set(table.column("name").to_pylist()) == {"redacted"}
    assert all(value is None or value.startswith("***@") for value in table.column("email").to_pylist())
    assert table.num_rows == answer["row_count"] == pq.read_metadata(on_disk(shop, "customers/2026.parquet")).num_rows


def test_no_answer_about_customers_holds_an_address_of_theirs(shop: Running, client: httpx2.Client) -> None:
    stored = set(EMAIL.findall(on_disk(shop, CUSTOMERS).read_text(encoding="utf-8")))
    assert len(stored) > 100
    for key in (CUSTOMERS, "orders/2026-06.json", "tickets/2026-06.ndjson", "notes/handover.txt"):
        for path in (OBJECTS, CONTENT):
            answer = get(shop, client, f"{path}/{key}")
            assert not stored & set(EMAIL.findall(answer.text)), key
            said = [number for value in answer.headers.values() for number in WHOLE_NUMBER.findall(value)]
            assert answer.headers["content-length"] in said
            assert str(on_disk(shop, key).stat().st_size) not in said, key


def test_content_that_no_mask_has_a_meaning_for_is_refused(shop: Running, client: httpx2.Client) -> None:
    for path in (OBJECTS, CONTENT):
        document = problem(get(shop, client, f"{path}/archive/shop-2025.bin"), 403, "content_unknown_type")
        assert "an administrator" in document["detail"]


def test_the_data_protection_officer_gets_what_is_stored(shop: Running, client: httpx2.Client) -> None:
    stored = on_disk(shop, CUSTOMERS).read_bytes()
    answer = get(shop, client, f"{CONTENT}/{CUSTOMERS}", "dee")
    assert answer.content == stored
    assert get(shop, client, f"{OBJECTS}/{CUSTOMERS}", "dee").json()["content"].encode() == stored


# Bytes, tags and ranges


def test_raw_content_comes_as_it_is_and_harmless_to_a_browser(shop: Running, client: httpx2.Client) -> None:
    answer = get(shop, client, f"{CONTENT}/{LOGO}")
    assert answer.content == on_disk(shop, LOGO).read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("key", [CUSTOMERS, LOGO])
def test_a_tag_that_is_known_is_answered_with_304_and_no_body(shop: Running, client: httpx2.Client, key: str) -> None:
    first = get(shop, client, f"{CONTENT}/{key}")
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[^"]+"', tag)
    for known in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        same = get(shop, client, f"{CONTENT}/{key}", if_none_match=known)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert same.headers["x-receipt"]
    assert get(shop, client, f"{CONTENT}/{key}", if_none_match='"other"').content == first.content


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-7", 0, 8),
        ("bytes=8-", 8, None),
        ("bytes=-5", -5, None),
        ("bytes=0-999999", 0, None),
        ("bytes=0-0", 0, 1),
    ],
)
def test_a_range_of_raw_content(shop: Running, client: httpx2.Client, asked: str, start: int, end: int | None) -> None:
    whole = on_disk(shop, LOGO).read_bytes()
    answer = get(shop, client, f"{CONTENT}/{LOGO}", range=asked)
    assert answer.status_code == 206
    assert answer.content == whole[start:end]
    first = start % len(whole)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(whole)}"


def test_a_range_behind_the_end_is_416_and_says_how_long_it_is(shop: Running, client: httpx2.Client) -> None:
    size = on_disk(shop, LOGO).stat().st_size
    for asked in (f"bytes={size}-", "bytes=-0", "bytes=999999-9999999"):
        answer = get(shop, client, f"{CONTENT}/{LOGO}", range=asked)
        problem(answer, 416, "range_not_satisfiable")
        assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=5-2", "bytes=", "bytes=-", "lines=1-2", "bytes=a-b", "0-1"])
def test_anything_but_one_range_brings_the_whole(shop: Running, client: httpx2.Client, asked: str) -> None:
    answer = get(shop, client, f"{CONTENT}/{LOGO}", range=asked)
    assert (answer.status_code, answer.content) == (200, on_disk(shop, LOGO).read_bytes())


def test_a_range_under_a_condition_is_given_of_the_same_version_alone(shop: Running, client: httpx2.Client) -> None:
    tag = get(shop, client, f"{CONTENT}/{LOGO}").headers["etag"]
    assert get(shop, client, f"{CONTENT}/{LOGO}", range="bytes=0-3", if_range=tag).status_code == 206
    for other in ('"other"', f"W/{tag}", "Wed, 21 Oct 2026 07:28:00 GMT"):
        assert get(shop, client, f"{CONTENT}/{LOGO}", range="bytes=0-3", if_range=other).status_code == 200


@pytest.mark.parametrize("key", [CUSTOMERS, LOGO])
@pytest.mark.parametrize("path", [OBJECTS, CONTENT])
def test_content_is_given_under_the_tag_that_it_has_alone(
    shop: Running, client: httpx2.Client, path: str, key: str
) -> None:
    tag = get(shop, client, f"{path}/{key}").headers["etag"]
    for named in (tag, "*", f'"other", {tag}', f'W/"other",, {tag} ,'):
        assert get(shop, client, f"{path}/{key}", if_match=named).status_code == 200, named
    for named in ('"other"', f"W/{tag}", '"*"', '"a", "b"'):
        document = problem(get(shop, client, f"{path}/{key}", if_match=named), 412, "object_changed")
        assert "without If-Match" in document["detail"]
        problem(get(shop, client, f"{path}/{key}", if_match=named, if_none_match=tag), 412, "object_changed")
        problem(get(shop, client, f"{path}/{key}", if_match=named, range="bytes=0-3"), 412, "object_changed")
    for broken in ("", tag.strip('"'), f"*, {tag}", f"{tag} {tag}", '"a'):
        document = problem(get(shop, client, f"{path}/{key}", if_match=broken), 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == ["header/If-Match"]
    problem(get(shop, client, f"{path}/brand/none.png", if_match="*"), 404, "object_not_found")


def test_a_range_under_its_tag_is_given_and_what_is_known_is_not(shop: Running, client: httpx2.Client) -> None:
    tag = get(shop, client, f"{CONTENT}/{LOGO}").headers["etag"]
    assert get(shop, client, f"{CONTENT}/{LOGO}", if_match=tag, range="bytes=0-3").status_code == 206
    assert get(shop, client, f"{CONTENT}/{LOGO}", if_match=tag, if_none_match=tag).status_code == 304


@pytest.mark.parametrize("key", [CUSTOMERS, LOGO])
def test_an_asterisk_in_quotes_is_a_tag_that_nothing_has(shop: Running, client: httpx2.Client, key: str) -> None:
    for known in ('"*"', 'W/"*"', '"a", "*"'):
        assert get(shop, client, f"{CONTENT}/{key}", if_none_match=known).status_code == 200


def test_of_dates_a_fetch_leaves_one_aside_and_refuses_the_other(shop: Running, client: httpx2.Client) -> None:
    date = "Wed, 21 Oct 2099 07:28:00 GMT"
    for path in (f"{CONTENT}/{LOGO}", f"{OBJECTS}/{LOGO}", f"/v1/connections/{FILES}/object?key={quote(LOGO)}"):
        assert get(shop, client, path, if_modified_since=date).status_code == 200
        document = problem(get(shop, client, path, if_unmodified_since=date), 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == ["header/If-Unmodified-Since"]
        assert get(shop, client, path, if_unmodified_since=date, if_match="*").status_code == 200


def test_masked_content_has_no_ranges(shop: Running, client: httpx2.Client) -> None:
    whole = get(shop, client, f"{CONTENT}/{CUSTOMERS}")
    part = get(shop, client, f"{CONTENT}/{CUSTOMERS}", range="bytes=0-7")
    assert (part.status_code, part.content) == (200, whole.content)
    assert part.headers["accept-ranges"] == "none"
    assert "content-range" not in part.headers
    assert part.headers["etag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    assert "last-modified" not in part.headers


def test_only_the_declared_methods_are_there(shop: Running, client: httpx2.Client) -> None:
    for path, allow in ((f"{OBJECTS}/{LOGO}", "DELETE, GET, PUT"), (f"{CONTENT}/{LOGO}", "GET, PUT"), (OBJECTS, "GET")):
        for method in ("HEAD", "PATCH", "POST"):
            answer = client.request(method, path, headers=shop.auth("ana"))
            assert (answer.status_code, answer.headers["allow"]) == (405, allow)


# Keys that mean harm


@pytest.mark.parametrize(
    "sent",
    [
        "../../etc/passwd",
        "customers/../../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%252e%252e%252fetc",
        "%252e%252e/x",
        "a%00b",
        "a%0ab",
        "a%7fb",
        "a//b",
        "a/./b",
        "a/",
        "%2fetc/passwd",
        "a%5cb",
        "a\\b",
        "x%ff",
        "x%c0%ae%c0%ae/y",
        "x%",
        "x%zz",
        "%e2%80%aeexe.csv",
        "%ef%bb%bfx",
        "customers%e2%80%8b/2026.csv",
        "%20x",
        "x%20",
        "a" * 1_025,
        "%c3%a9" * 600,
    ],
)
@pytest.mark.parametrize("path", [OBJECTS, CONTENT])
def test_a_key_that_could_be_read_as_another_is_refused(shop: Running, path: str, sent: str) -> None:
    status, body = raw_path(shop, "GET", f"{path}/{sent}")
    document = json.loads(body)
    assert (status, document["code"]) == (422, "key_invalid"), body
    assert document["errors"][0]["pointer"] == "path/key"
    assert "passwd" not in document["detail"]
    assert raw_path(shop, "PUT", f"{path}/{sent}", b"x", **{"content-type": "text/csv"})[0] == 422
    if path == OBJECTS:
        assert raw_path(shop, "DELETE", f"{path}/{sent}")[0] == 422


@pytest.mark.parametrize("sent", ["%252e", "a%2500", "../x", "%2e%2e/x", "a%5cb", "", "a%2f%2fb", "a" * 1_025])
def test_a_key_in_the_query_is_no_weaker(shop: Running, sent: str) -> None:
    status, body = raw_path(shop, "GET", f"/v1/connections/{FILES}/object?key={sent}")
    assert (status, json.loads(body)["code"]) in ((422, "key_invalid"), (422, "invalid_request"))


def test_a_semicolon_a_plus_and_a_percent_stand_for_themselves(shop: Running, client: httpx2.Client) -> None:
    for sent, key in (("a;v=1.csv", "a;v=1.csv"), ("a+b.csv", "a+b.csv"), ("100%25.csv", "100%.csv"), ("a%20b", "a b")):
        made = put(shop, client, f"exports/{sent}", b"id\n1\n")
        assert made.status_code == 200, made.text
        assert made.json()["key"] == f"exports/{key}"
        assert on_disk(shop, f"exports/{key}").read_bytes() == b"id\n1\n"
        assert f"exports/{key}" in names(get(shop, client, f"{OBJECTS}?prefix=exports/"))


def test_two_spellings_of_one_character_are_one_key(shop: Running, client: httpx2.Client) -> None:
    made = put(shop, client, quote("exports/o\u0308.csv"), b"id\n2\n")
    assert made.json()["key"] == "exports/\u00f6.csv"
    assert get(shop, client, f"{OBJECTS}/{quote('exports/ö.csv')}").json()["content"] == "id\n2\n"


def test_a_link_out_of_the_folder_leads_nowhere(shop: Running, client: httpx2.Client) -> None:
    link, folder = on_disk(shop, "brand/passwd.png"), on_disk(shop, "brand/up")
    link.symlink_to("/etc/passwd")
    folder.symlink_to(shop.state)
    try:
        assert not {"brand/passwd.png", "brand/up/douane.db"} & set(names(get(shop, client, OBJECTS)))
        for key in ("brand/passwd.png", "brand/up/audit.key", "brand/up/mask.key"):
            for path in (OBJECTS, CONTENT):
                problem(get(shop, client, f"{path}/{key}"), 403, "store_refused")
    finally:
        link.unlink()
        folder.unlink()


def test_what_is_hidden_and_what_is_not_there_differ_in_nothing(shop: Running, client: httpx2.Client) -> None:
    def told(key: str, method: str, path: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        body = {"content": b"x", "headers": {**shop.auth("sam"), "content-type": "text/csv"}} if method == "PUT" else {}
        answer = client.request(method, f"{path}/{key}", **{"headers": shop.auth("sam"), **body})
        document = answer.json()
        del document["trace_id"], document["receipt"]
        kept = {n: v for n, v in answer.headers.items() if n not in ("date", "x-trace-id", "content-length")}
        return answer.status_code, document, kept

    for method, path in (("GET", OBJECTS), ("GET", CONTENT), ("PUT", OBJECTS), ("PUT", CONTENT), ("DELETE", OBJECTS)):
        hidden, missing = told(CUSTOMERS, method, path), told("customers/2027.csv", method, path)
        assert hidden == missing, (method, path)
        assert hidden[0] == 404
        assert "customers" not in json.dumps(hidden[1])


def test_a_connection_that_one_may_not_know_of_is_none(shop: Running, client: httpx2.Client) -> None:
    for connection in ("shop", "queue", "nowhere", "files%20"):
        problem(get(shop, client, f"/v1/connections/{connection}/objects"), 404, "unknown_connection")
        problem(get(shop, client, f"/v1/connections/{connection}/objects/a.csv"), 404, "unknown_connection")
    problem(client.get(f"{OBJECTS}/{CUSTOMERS}"), 401, "missing_token")


# What goes in


def test_content_goes_in_as_json_and_as_bytes(shop: Running, client: httpx2.Client) -> None:
    body = {"content": "id,total\n1,9.90\n", "content_type": "text/csv"}
    first = client.put(f"{OBJECTS}/exports/one.csv", json=body, headers=shop.auth("ana"))
    assert (first.status_code, first.json()["replaced"]) == (200, False), first.text
    assert on_disk(shop, "exports/one.csv").read_text() == body["content"]
    encoded = {"content": base64.b64encode(b"id\n3\n").decode(), "encoding": "base64", "content_type": "text/csv"}
    second = client.put(f"{OBJECTS}/exports/one.csv", json=encoded, headers=shop.auth("ana")).json()
    assert (second["replaced"], second["size"]) == (True, 5)
    third = put(shop, client, "exports/one.csv", b"id\n4\n")
    assert third.headers["etag"] == f'"{third.json()["etag"]}"'
    raw = put(shop, client, "exports/two.json", b'{"a": [1]}', path=CONTENT, content_type="application/json")
    assert (raw.status_code, raw.json()["content_type"]) == (200, "application/json")
    assert on_disk(shop, "exports/two.json").read_bytes() == b'{"a": [1]}'


def test_a_content_type_keeps_what_its_parameters_say(shop: Running, client: httpx2.Client) -> None:
    for sent, kept in (
        ("Text/CSV; Charset=UTF-8", "text/csv; charset=UTF-8"),
        ("text/csv;Header=Present ; BOUNDARY=aB==C", "text/csv;header=Present ; boundary=aB==C"),
        ('TEXT/csv; Note="a; B=C \\" ;D=E"; Other=F', 'text/csv; note="a; B=C \\" ;D=E"; other=F'),
    ):
        made = put(shop, client, "exports/typed.csv", b"id\n", content_type=sent)
        assert (made.status_code, made.json()["content_type"]) == (200, kept), made.text


def test_a_body_may_come_in_pieces_without_a_length(shop: Running, client: httpx2.Client) -> None:
    pieces = (f"{n},{n}\n".encode() for n in range(2_000))
    made = put(shop, client, "exports/pieces.csv", pieces)
    assert made.status_code == 200, made.text
    assert on_disk(shop, "exports/pieces.csv").read_bytes() == b"".join(f"{n},{n}\n".encode() for n in range(2_000))


def test_a_body_shorter_than_it_says_stores_nothing(shop: Running) -> None:
    host, _, port = shop.url.removeprefix("http://").partition(":")
    head = (
        f"PUT {OBJECTS}/exports/short.csv HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: text/csv\r\n"
        f"Authorization: {shop.auth('ana')['authorization']}\r\nContent-Length: 100\r\n\r\nid\n1\n"
    )
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(head.encode())
        line.shutdown(socket.SHUT_WR)
        assert not line.recv(65_536).startswith(b"HTTP/1.1 200")
    assert not on_disk(shop, "exports/short.csv").exists()
    cancelled = told_later(shop, lambda entry: entry.get("path", "").endswith("/exports/short.csv"))
    assert [entry["outcome"] for entry in cancelled] == ["cancelled"]


def test_what_is_too_large_or_of_another_type_is_refused(shop: Running, client: httpx2.Client) -> None:
    large = b"1\n" * (600 * 1024)
    problem(put(shop, client, "exports/large.csv", large), 413, "body_too_large")
    problem(put(shop, client, "exports/large.csv", iter([large[:100_000]] * 12)), 413, "body_too_large")
    inside = {"content": large.decode(), "content_type": "text/csv"}
    answer = client.put(f"{OBJECTS}/exports/large.csv", json=inside, headers=shop.auth("ana"))
    problem(answer, 413, "body_too_large")
    for kind in ("image/png", "application/octet-stream", "text/html"):
        problem(put(shop, client, "exports/x", b"x", content_type=kind), 415, "content_type_not_allowed")
    for kind in ("text", "text/csv/x", "*", "a b/c"):
        assert put(shop, client, "exports/x", b"x", content_type=kind).status_code in (415, 422), kind
    assert not on_disk(shop, "exports/large.csv").exists()
    assert not on_disk(shop, "exports/x").exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/content"),
        ({"content": 1}, "/content"),
        ({"content": "x", "encoding": "hex"}, "/encoding"),
        ({"content": "not base64!", "encoding": "base64"}, "/content"),
        ({"content": "x", "content_type": "text"}, "/content_type"),
        ({"content": "x", "if_none_match": "e"}, "/if_none_match"),
        ({"content": "x", "surprise": 1}, "/surprise"),
        ({"content": "x", "wait_seconds": True}, "/wait_seconds"),
    ],
)
def test_a_put_that_is_not_well_formed_says_where(
    shop: Running, client: httpx2.Client, body: dict[str, Any], pointer: str
) -> None:
    document = problem(client.put(f"{OBJECTS}/exports/x", json=body, headers=shop.auth("ana")), 422, "invalid_request")
    assert pointer in [error["pointer"] for error in document["errors"]]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (OBJECTS, "?surprise=1"),
        (OBJECTS, "?limit=0"),
        (OBJECTS, "?shallow=yes"),
        (f"{OBJECTS}/{LOGO}", "?wait_seconds=61"),
        (f"{OBJECTS}/{LOGO}", "?purpose=a&purpose=b"),
        (f"/v1/connections/{FILES}/object", ""),
    ],
)
def test_a_query_that_is_not_well_formed_is_told(shop: Running, client: httpx2.Client, path: str, query: str) -> None:
    problem(get(shop, client, path + query), 422, "invalid_request")


def test_a_card_or_a_secret_does_not_go_in(shop: Running, client: httpx2.Client) -> None:
    card = put(shop, client, "exports/card.csv", b"id,card\n1,4111111111111111\n")
    document = problem(card, 403, "content_denied")
    assert document["errors"] == [{"pointer": "/content", "detail": "holds pci.card_number"}]
    secret = put(shop, client, "exports/secret.txt", f"the key is {AWS}".encode(), content_type="text/plain")
    assert secret.status_code == 403
    assert AWS not in secret.text
    problem(put(shop, client, "customers/new.csv", b"id\n"), 403, "access_denied")
    for key in ("exports/card.csv", "exports/secret.txt", "customers/new.csv"):
        assert not on_disk(shop, key).exists()


def test_conditions_are_of_header_body_or_query(shop: Running, client: httpx2.Client) -> None:
    made = put(shop, client, "exports/held.csv", b"id\n1\n", if_none_match="*")
    tag = made.headers["etag"]
    again = put(shop, client, "exports/held.csv", b"id\n2\n", if_none_match="*")
    assert problem(again, 412, "object_changed")["detail"].endswith("present ETag.")
    problem(put(shop, client, "exports/held.csv", b"id\n2\n", if_match='"other"'), 412, "object_changed")
    twin = {"content": "id\n2\n", "content_type": "text/csv", "if_match": "other"}
    problem(client.put(f"{OBJECTS}/exports/held.csv", json=twin, headers=shop.auth("ana")), 412, "object_changed")
    problem(put(shop, client, "exports/held.csv?if_none_match=*", b"", path=CONTENT), 412, "object_changed")
    problem(put(shop, client, "exports/held.csv", b"", if_match='"a", "b"'), 422, "invalid_request")
    problem(put(shop, client, "exports/held.csv", b"", if_none_match='"a"'), 422, "invalid_request")
    changed = put(shop, client, "exports/held.csv", b"id\n2\n", if_match=tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    problem(client.delete(f"{OBJECTS}/exports/held.csv?if_match={tag.strip(chr(34))}", headers=shop.auth("ana")), 412,
            "object_changed")  # fmt: skip


def test_a_guard_that_is_empty_weak_or_an_asterisk_in_quotes_lets_nothing_through(
    shop: Running, client: httpx2.Client
) -> None:
    tag = put(shop, client, "exports/guarded.csv", b"id\n1\n").json()["etag"]
    path = f"{OBJECTS}/exports/guarded.csv"
    for query in ("", f'W/"{tag}"', '"*"', f'"{tag}'):
        changed = put(shop, client, f"exports/guarded.csv?if_match={quote(query)}", b"2")
        document = problem(changed, 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == ["query/if_match"]
        problem(client.delete(f"{path}?if_match={quote(query)}", headers=shop.auth("max")), 422, "invalid_request")
        twin = {"content": "2", "content_type": "text/csv", "if_match": query}
        document = problem(client.put(path, json=twin, headers=shop.auth("ana")), 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == ["/if_match"]
    for header in ("", f'W/"{tag}"', '"*"', tag, f'"{tag}", *'):
        document = problem(put(shop, client, "exports/guarded.csv", b"2", if_match=header), 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == ["header/If-Match"]
        gone = client.delete(path, headers={**shop.auth("max"), "if-match": header})
        problem(gone, 422, "invalid_request")
    assert on_disk(shop, "exports/guarded.csv").read_bytes() == b"id\n1\n"


def test_a_guard_counts_in_every_way_that_it_may_be_written(shop: Running, client: httpx2.Client) -> None:
    tag = put(shop, client, "exports/written.csv", b"id\n1\n").json()["etag"]
    for written in ("{}", '"{}"', " {} ", "*"):
        query = quote(written.format(tag))
        made = put(shop, client, f"exports/written.csv?if_match={query}", b"id\n2\n")
        assert made.status_code == 200, made.text
        tag = made.json()["etag"]
    both = put(shop, client, f"exports/written.csv?if_match={tag}", b"id\n3\n", if_match=f'"{tag}"')
    assert both.status_code == 200
    problem(put(shop, client, f"exports/written.csv?if_match={tag}", b"", if_match='"other"'), 422, "invalid_request")
    problem(put(shop, client, f"exports/written.csv?if_match={tag}", b"", if_match="*"), 422, "invalid_request")


@pytest.mark.parametrize("name", ["If-Unmodified-Since", "If-Modified-Since", "If-None-Match"])
def test_a_condition_that_is_not_evaluated_changes_nothing(shop: Running, client: httpx2.Client, name: str) -> None:
    put(shop, client, "exports/since.csv", b"id\n1\n")
    condition = {name: '"a"' if name == "If-None-Match" else "Wed, 21 Oct 2026 07:28:00 GMT"}
    body = {"content": "2", "content_type": "text/csv"}
    for answer in (
        put(shop, client, "exports/since.csv", b"2", path=OBJECTS, **condition),
        put(shop, client, "exports/since.csv", b"2", path=CONTENT, **condition),
        client.put(f"{OBJECTS}/exports/since.csv", json=body, headers={**shop.auth("ana"), **condition}),
        client.delete(f"{OBJECTS}/exports/since.csv", headers={**shop.auth("max"), **condition}),
    ):
        document = problem(answer, 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == [f"header/{name}"]
    assert "If-Match" in document["detail"]
    assert on_disk(shop, "exports/since.csv").read_bytes() == b"id\n1\n"


def test_a_date_beside_an_etag_counts_for_nothing(shop: Running, client: httpx2.Client) -> None:
    tag = put(shop, client, "exports/both.csv", b"id\n1\n").headers["etag"]
    past = "Wed, 21 Oct 2015 07:28:00 GMT"
    problem(put(shop, client, "exports/both.csv", b"", if_unmodified_since=past, if_match='"a"'), 412, "object_changed")
    assert put(shop, client, "exports/both.csv", b"", if_unmodified_since=past, if_match=tag).status_code == 200


@pytest.mark.parametrize("path", [OBJECTS, CONTENT])
def test_a_part_is_not_taken_for_the_whole(shop: Running, client: httpx2.Client, path: str) -> None:
    put(shop, client, "exports/whole.csv", b"id\n1\n")
    for part in ("bytes 0-0/5", "bytes 0-4/5", "bytes */5", "x"):
        answer = put(shop, client, "exports/whole.csv", b"9", path=path, content_range=part)
        document = problem(answer, 422, "invalid_request")
        assert [each["pointer"] for each in document["errors"]] == ["header/Content-Range"]
    assert on_disk(shop, "exports/whole.csv").read_bytes() == b"id\n1\n"


def test_an_encoding_of_what_is_put_is_not_dropped_in_silence(shop: Running, client: httpx2.Client) -> None:
    for encoding in ("gzip", "zstd", "br", "gzip, identity", "aws-chunked"):
        for path in (OBJECTS, CONTENT):
            answer = put(shop, client, "exports/packed.csv", b"id\n1\n", path=path, content_encoding=encoding)
            assert ".gz" in problem(answer, 415, "unsupported_media_type")["detail"]
        body = {"content": "id\n", "content_type": "text/csv"}
        sent = {**shop.auth("ana"), "content-encoding": encoding}
        answer = client.put(f"{OBJECTS}/exports/packed.csv", json=body, headers=sent)
        problem(answer, 415, "unsupported_media_type")
    assert not on_disk(shop, "exports/packed.csv").exists()
    assert put(shop, client, "exports/packed.csv", b"id\n1\n", content_encoding="Identity").status_code == 200


def test_an_empty_idempotency_key_is_none_of_anybody(shop: Running, client: httpx2.Client) -> None:
    problem(put(shop, client, "exports/once.csv?idempotency_key=", b"id\n"), 422, "invalid_request")
    gone = client.delete(f"{OBJECTS}/exports/once.csv?idempotency_key=", headers=shop.auth("max"))
    problem(gone, 422, "invalid_request")


def test_the_same_idempotency_key_puts_once_and_never_something_else(shop: Running, client: httpx2.Client) -> None:
    first = put(shop, client, "exports/once.csv", b"id\n1\n", idempotency_key="once-1")
    put(shop, client, "exports/once.csv", b"id\n9\n")
    again = put(shop, client, "exports/once.csv", b"id\n1\n", idempotency_key="once-1")
    assert again.json()["etag"] == first.json()["etag"]
    assert on_disk(shop, "exports/once.csv").read_bytes() == b"id\n9\n"
    other = put(shop, client, "exports/once.csv", b"id\n2\n", idempotency_key="once-1")
    problem(other, 422, "idempotency_mismatch")
    twin = {"content": "id\n7\n", "content_type": "text/csv", "idempotency_key": "once-2"}
    mismatch = client.put(
        f"{OBJECTS}/exports/once.csv", json=twin, headers={**shop.auth("ana"), "idempotency-key": "once-3"}
    )
    problem(mismatch, 422, "invalid_request")


# What waits for people


def test_personal_data_waits_for_a_human_and_is_stored_as_it_was_seen_once(
    shop: Running, client: httpx2.Client
) -> None:
    content = b"id,mail\n1,bob@example.org\n"
    asked = put(shop, client, "exports/people.csv?purpose=ticket", content, path=CONTENT)
    assert asked.status_code == 202, asked.text
    assert asked.headers["location"] == asked.json()["approval_url"]
    assert not on_disk(shop, "exports/people.csv").exists()
    name = asked.json()["approval_id"]
    problem(executed(shop, client, name), 409, "approval_not_approved")
    held = get(shop, client, f"/v1/approvals/{name}/preview", "dee").json()
    assert held["content"] == {
        "encoding": "utf-8", "content": content.decode(), "content_type": "text/csv", "size": len(content),
    }  # fmt: skip
    assert held["sha256"] == hashlib.sha256(content).hexdigest()
    problem(get(shop, client, f"/v1/approvals/{name}/preview", "ana"), 403, "approval_self_decision")
    decided(shop, client, name)
    done = executed(shop, client, name)
    assert done.status_code == 200, done.text
    assert (done.json()["key"], done.json()["replaced"]) == ("exports/people.csv", False)
    assert on_disk(shop, "exports/people.csv").read_bytes() == content
    problem(executed(shop, client, name), 409, "approval_already_executed")


def test_a_rejected_put_stores_nothing(shop: Running, client: httpx2.Client) -> None:
    asked = put(shop, client, "exports/refused.csv", b"id,mail\n1,bob@example.org\n")
    decided(shop, client, asked.json()["approval_id"], "reject")
    problem(executed(shop, client, asked.json()["approval_id"]), 409, "approval_rejected")
    assert not on_disk(shop, "exports/refused.csv").exists()


def test_what_is_overwritten_meanwhile_is_not_overwritten_by_an_old_yes(shop: Running, client: httpx2.Client) -> None:
    put(shop, client, "exports/race.csv", b"id\n1\n")
    asked = put(shop, client, "exports/race.csv", b"id,mail\n1,bob@example.org\n")
    name = asked.json()["approval_id"]
    decided(shop, client, name)
    put(shop, client, "exports/race.csv", b"id\n2\n")
    problem(executed(shop, client, name), 409, "approval_reopened")
    assert on_disk(shop, "exports/race.csv").read_bytes() == b"id\n2\n"


def test_a_delete_waits_for_a_human_and_happens_once(shop: Running, client: httpx2.Client) -> None:
    put(shop, client, "exports/old.csv", b"id\n1\n")
    asked = client.delete(f"{OBJECTS}/exports/old.csv?purpose=tidy", headers=shop.auth("ana"))
    assert asked.status_code == 202, asked.text
    assert on_disk(shop, "exports/old.csv").exists()
    name = asked.json()["approval_id"]
    decided(shop, client, name)
    done = executed(shop, client, name)
    assert (done.status_code, done.json()["deleted"]) == (200, True), done.text
    assert not on_disk(shop, "exports/old.csv").exists()
    problem(executed(shop, client, name), 409, "approval_already_executed")
    problem(client.delete(f"{OBJECTS}/exports/old.csv", headers=shop.auth("ana")), 404, "object_not_found")
    direct = put(shop, client, "exports/old.csv", b"id\n1\n")
    assert direct.status_code == 200
    gone = client.delete(f"{OBJECTS}/exports/old.csv", headers=shop.auth("max"))
    assert (gone.status_code, gone.json()["deleted"]) == (200, True)


def test_an_unmasked_fetch_is_released_exactly_as_it_was_seen_and_once(shop: Running, client: httpx2.Client) -> None:
    path = f"{OBJECTS}/tickets/2026-06.ndjson?unmask=pii.email&purpose=ticket"
    masked = get(shop, client, f"{OBJECTS}/tickets/2026-06.ndjson", "sam").json()
    asked = get(shop, client, path, "sam")
    assert asked.status_code == 202, asked.text
    name = asked.json()["approval_id"]
    assert EMAIL.search(asked.text) is None
    held = get(shop, client, f"/v1/approvals/{name}/preview", "dee").json()
    seen = json.loads(held["answer"]["content"].splitlines()[0])
    stored = json.loads(on_disk(shop, "tickets/2026-06.ndjson").read_text(encoding="utf-8").splitlines()[0])
    assert seen["customer"]["email"] == stored["customer"]["email"]
    assert seen["customer"]["name"] == "redacted"
    decided(shop, client, name)
    done = executed(shop, client, name, "sam")
    assert done.status_code == 200, done.text
    assert done.json()["content"] == held["answer"]["content"] != masked["content"]
    problem(executed(shop, client, name, "sam"), 409, "approval_already_executed")
    refused = get(shop, client, f"{OBJECTS}/{CUSTOMERS}?unmask=pii.email", "ana")
    assert "unmask" in problem(refused, 403, "access_denied")["suggestion"]


def test_bytes_that_wait_for_a_human_answer_in_json(shop: Running, client: httpx2.Client) -> None:
    asked = get(shop, client, f"{CONTENT}/tickets/2026-06.ndjson?unmask=pii.email", "sam")
    assert (asked.status_code, asked.headers["content-type"]) == (202, "application/json")
    assert asked.json()["status"] == "pending_approval"


# On record


def test_content_that_streams_leaves_what_was_opened_and_what_left(shop: Running, client: httpx2.Client) -> None:
    answer = get(shop, client, f"{CONTENT}/{LOGO}")
    index = int(re.findall(r"\d+", answer.headers["x-receipt"])[-1])
    closed = told_later(shop, lambda entry: entry.get("opened_index") == index)
    opened = trail(shop)[index]
    assert (opened["outcome"], opened["operation"], opened["principal"]) == ("opened", "fetch_content", "ana")
    assert (opened["resources"], opened["content_bytes"]) == ([f"files/{LOGO}"], len(answer.content))
    assert "answer_blake3" not in opened
    assert [(each["outcome"], each["bytes"], each["answer_blake3"]) for each in closed] == [
        ("completed", len(answer.content), blake3(answer.content).hexdigest())
    ]


def test_a_client_that_leaves_in_the_middle_is_on_record(shop: Running) -> None:
    big = on_disk(shop, "brand/big.bin")
    with big.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    host, _, port = shop.url.removeprefix("http://").partition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=30) as line:
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            line.sendall(
                f"GET {CONTENT}/brand/big.bin HTTP/1.1\r\nHost: {host}:{port}\r\n"
                f"Authorization: {shop.auth('ana')['authorization']}\r\n\r\n".encode()
            )
            assert line.recv(4_096).startswith(b"HTTP/1.1 200")
        cut = told_later(shop, lambda entry: entry["outcome"] == "cut" and entry["path"].endswith("/brand/big.bin"))
    finally:
        big.unlink()
    assert (cut[-1]["code"], cut[-1]["operation"]) == ("client_left", "fetch_content")
    assert cut[-1]["bytes"] < 64 * 1024 * 1024
    assert "answer_blake3" not in cut[-1]
    assert trail(shop)[cut[-1]["opened_index"]]["outcome"] == "opened"


def test_what_goes_in_is_on_record_before_and_after_with_its_digest(shop: Running, client: httpx2.Client) -> None:
    content = b"id\n77\n"
    made = put(shop, client, "exports/recorded.csv", content)
    entries = [each for each in trail(shop) if each.get("path", "").endswith("/exports/recorded.csv")]
    assert [each["outcome"] for each in entries] == ["intent", "completed"]
    for each in entries:
        assert each["content_sha256"] == hashlib.sha256(content).hexdigest()
        assert (each["content_bytes"], each["content_type"]) == (len(content), "text/csv")
        assert each["statement_run"] == "put files/exports/recorded.csv (none there)"
    # The store's own, which nobody could do anything with but compare contents, is for auditors alone.
    assert entries[-1]["object_etag"] not in made.text
    masked = get(shop, client, f"{OBJECTS}/{CUSTOMERS}")
    entry = trail(shop)[masked.json()["receipt"]["index"]]
    assert entry["answer_sha256"] == hashlib.sha256(masked.content).hexdigest()
    assert "pii.email" in entry["labels"]


# What describe_connection tells


def test_describing_files_tells_how_each_place_comes_and_what_goes_in(shop: Running, client: httpx2.Client) -> None:
    answer = get(shop, client, f"/v1/connections/{FILES}").json()
    assert (answer["family"], answer["dialect"], answer["tables"], answer["topics"]) == ("objects", None, [], [])
    places = {place["keys"]: place for place in answer["objects"]}
    fields = {field["name"]: field for field in places["customers/*.csv"]["fields"]}
    assert fields["email"] == {
        "name": "email", "kind": "column", "label": "pii.email", "comes": "masked", "mask": "partial",
    }  # fmt: skip
    assert fields["city"]["comes"] == "raw"
    assert places["brand/**"]["comes"] == "raw"
    assert places["exports/**"]["put"]["content_types"][0] == "text/csv"
    assert places["exports/**"]["put"]["found"]["secret.*"] == "deny"
    assert places["customers/*.csv"]["put"] is None
    theirs = get(shop, client, f"/v1/connections/{FILES}", "sam")
    assert [place["keys"] for place in theirs.json()["objects"]] == [
        "notes/**", "notes/*.txt", "tickets/**", "tickets/*.ndjson"
    ]  # fmt: skip
    assert "customers" not in theirs.text


def test_describing_a_queue_tells_what_payloads_must_fit(shop: Running, client: httpx2.Client) -> None:
    agent = client.get("/v1/connections/queue", headers=shop.auth("sales-agent", "ana")).json()
    topics = {topic["topic"]: topic for topic in agent["topics"]}
    schema = topics["orders.created"]["publish"]["payload_schema"]
    assert schema["required"] == ["order", "status", "total_cents", "currency"]
    assert (topics["orders.created"]["comes"], topics["orders.created"]["fields"]) == (None, [])
    assert topics["support.inbox"]["publish"] is None
    assert {field["name"] for field in topics["support.inbox"]["fields"]} >= {"$.from.email", "$.body"}
    assert "orders.created" not in json.dumps(get(shop, client, "/v1/connections/queue", "sam").json())


def test_places_come_in_pages_and_one_by_name(shop: Running, client: httpx2.Client) -> None:
    everything = get(shop, client, f"/v1/connections/{FILES}").json()["objects"]
    found, cursor = [], None
    while True:
        query = "" if cursor is None else f"&cursor={quote(cursor, safe='')}"
        page = get(shop, client, f"/v1/connections/{FILES}?limit=3{query}").json()
        found += page["objects"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        problem(get(shop, client, f"/v1/connections/queue?cursor={quote(cursor, safe='')}"), 404, "invalid_cursor")
    assert found == everything
    one = get(shop, client, f"/v1/connections/{FILES}?table=brand/**").json()["objects"]
    assert [place["keys"] for place in one] == ["brand/**"]
    assert get(shop, client, f"/v1/connections/{FILES}?table=nowhere").json()["objects"] == []
