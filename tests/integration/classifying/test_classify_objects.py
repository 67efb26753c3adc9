"""`douane classify` on objects and messages: globs, formats, bounds, hostile content, and no value in any output."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from classified import Site, site

from app.demo import files as demo_files
from app.demo.state import DEFAULT_SEED, shipped_policies
from app.objects.formats import ContentFormat, FormatKind
from app.objects.sampling import SampleJob
from app.workers import sampling
from app.workers.sampling import SampleFailed, sample

MAIL = "ada.lovelace@example.com"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "files"
    demo_files.ensure(root, DEFAULT_SEED)
    return root


def lake(folder: Path, objects: dict[str, bytes | str], data: str = "") -> Site:
    root = folder / "root"
    for key, content in objects.items():
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(content.encode() if isinstance(content, str) else content)
    return site(folder, f"{{kind: filesystem, root: {root}}}", data)


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_the_sample_policy_of_the_files_needs_nothing(demo: Path, tmp_path: Path) -> None:
    policy = (shipped_policies() / "data" / "files.yaml").read_text(encoding="utf-8")
    made = site(tmp_path, f"{{kind: filesystem, root: {demo}}}", policy)
    result = made.run("--check")
    assert (result.exit_code, result.stdout) == (0, "")
    assert made.run("--diff").stdout == ""


def test_the_files_without_a_data_file_get_an_entry_for_each_folder_and_format(demo: Path, tmp_path: Path) -> None:
    made = site(tmp_path, f"{{kind: filesystem, root: {demo}}}")
    result = made.run()
    objects = yaml.safe_load(result.stdout)["objects"]
    people = {
        "email": "pii.email",
        "phone": "pii.phone",
        "national_id": "pii.national_id",
        "birth_date": "pii.birth_date",
        "street": "pii.address",
        "postal_code": "pii.address",
    }
    assert objects["customers/*.csv"] == {"format": "csv", "columns": people}
    assert objects["customers/*.parquet"] == {"format": "parquet", "columns": people}
    assert objects["orders/*.json"] == {"format": "json", "paths": {"$.orders[*].customer.email": "pii.email"}}
    assert objects["tickets/*.ndjson"]["paths"]["$.customer.email"] == "pii.email"
    assert "archive/*.bin: 1 objects of no known format were not looked at" in result.stderr
    assert result.exit_code == 0
    assert made.run("--check").exit_code == 1
    made.data_file.write_text(result.stdout)
    assert made.run("--check").exit_code == 0


def test_no_value_of_an_object_is_in_any_output(tmp_path: Path) -> None:
    made = lake(
        tmp_path,
        {
            f"by/{MAIL}/a.csv": f"who,mail\nAda Lovelace,{MAIL}\n",
            "bare/a.csv": f"Ada Lovelace,{MAIL}\nGrace Hopper,grace@example.com\n",
            "maps/a.json": json.dumps({"people": {MAIL: {"phone": "+44 20 7946 0018"}}}),
            "lines/a.ndjson": json.dumps({"note": f"call {MAIL}"}) + "\n",
            "table/a.parquet": parquet(contact=[{"mail": MAIL}]),
            "broken/a.json": f'{{"mail": "{MAIL}"',
            "notes/a.txt": f"call {MAIL}",
        },
    )
    for args in ((), ("--diff",), ("--json",), ("--check",)):
        result = made.run(*args)
        assert "pii.email" in result.output
        for value in (MAIL, "ada.", "Lovelace", "Hopper", "7946"):
            assert value not in result.output
    objects = yaml.safe_load(made.run().stdout)["objects"]
    assert objects == {
        "by/*/*.csv": {"format": "csv", "columns": {"mail": "pii.email"}},
        "lines/*.ndjson": {"format": "ndjson", "paths": {"$.note": "pii.email"}},
        "maps/*.json": {"format": "json", "paths": {"$.people.*.phone": "pii.phone"}},
        "table/*.parquet": {"format": "parquet", "columns": {"contact.mail": "pii.email"}},
    }
    notes = made.run().stderr
    assert "bare/*.csv: 1 of 1 objects have no line that is surely a header" in notes
    assert "broken/*.json: 1 of 1 objects cannot be made sense of (content_undecodable)" in notes


def test_a_new_column_of_a_known_glob_fails_the_check(tmp_path: Path) -> None:
    data = "objects:\n  people/*.csv:\n    columns:\n      id: allow\n      contact: mask\n"
    made = lake(tmp_path, {"people/1.csv": f"id,contact,second_contact\n1,{MAIL},{MAIL}\n"}, data)
    failed = made.run("--check")
    assert failed.exit_code == 1
    assert failed.stdout.startswith("people/*.csv second_contact: pii.email, 0.98: 1 of 1 values are such;")
    assert made.run("--diff").stdout.endswith(
        "       contact: mask\n+      second_contact: pii.email  # 0.98: 1 of 1 values are such\n"
    )


def test_an_old_and_a_new_object_of_one_glob_are_both_read(tmp_path: Path) -> None:
    keys = {f"days/{day:02}.csv": "id,note\n1,nothing\n" for day in range(1, 20)}
    made = lake(tmp_path, {**keys, "days/20.csv": f"id,note,who\n1,nothing,{MAIL}\n"})
    assert made.fields()["days/*.csv", "who"]["label"] == "pii.email"


def test_raw_content_with_somebody_in_it_fails_the_check_and_is_left_to_people(tmp_path: Path) -> None:
    data = "objects:\n  out/**: {content: raw}\n"
    made = lake(tmp_path, {"out/a.csv": f"id,mail\n1,{MAIL}\n"}, data)
    failed = made.run("--check")
    assert (failed.exit_code, failed.stdout.count("\n")) == (1, 1)
    assert failed.stdout.startswith("out/** mail: pii.email")
    assert made.run("--diff").stdout == ""


def test_a_glob_that_would_cross_another_is_left_to_people(tmp_path: Path) -> None:
    data = "objects:\n  a*/x.csv: {columns: {id: allow}}\n"
    made = lake(tmp_path, {"ab/y.csv": f"id,mail\n1,{MAIL}\n"}, data)
    result = made.run()
    assert yaml.safe_load(result.stdout) == yaml.safe_load(data)
    assert "ab/*.csv: crosses a*/x.csv, and neither is the narrower: write an entry yourself" in result.stderr
    assert made.run("--check").exit_code == 1


def test_only_the_beginning_of_a_large_table_is_read_and_a_large_document_not_at_all(tmp_path: Path) -> None:
    rows = "".join(f"{n},{MAIL}\n" for n in range(60_000))
    document = json.dumps({"mail": [MAIL] * 700_000})
    made = lake(tmp_path, {"big/a.csv": "id,mail\n" + rows, "huge/a.json": document})
    assert len(rows) > 1 << 20
    assert len(document) > 16 << 20
    assert made.fields()["big/*.csv", "mail"]["sampled"] == 200
    failed = made.run("--check", "--reviewed", "big/*.csv mail")
    assert (failed.exit_code, failed.stdout) == (1, "huge/*.json: could not be looked at\n")
    assert "huge/*.json: 1 of 1 objects are larger than 16,777,216 bytes and were not looked at" in failed.stderr


def test_a_full_folder_does_not_keep_others_from_being_seen(tmp_path: Path) -> None:
    logs = {f"logs/{n:04}.csv": "id,word\n1,x\n" for n in range(150)}
    made = lake(tmp_path, {**logs, "people/a.csv": f"id,mail\n1,{MAIL}\n"})
    assert made.fields()["people/*.csv", "mail"]["label"] == "pii.email"
    assert "not every object was listed" in made.run().stderr


def test_messages_are_not_sampled(tmp_path: Path) -> None:
    made = site(tmp_path, "{kind: memory, topics: [orders.created]}")
    result = made.run("--check")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "it has messages: a sample would take them from their receivers, so nothing is proposed" in result.stderr
    assert json.loads(made.run("--json").stdout)["fields"] == []


def job(kind: FormatKind) -> SampleJob:
    return SampleJob(format=ContentFormat(kind=kind), rows=200)


async def test_content_that_takes_too_much_memory_ends_its_own_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MEMORY_BYTES", 96 << 20)
    with pytest.raises(SampleFailed) as failed:
        await sample(job(FormatKind.JSON), b"[" + b"[0,0]," * 3_000_000 + b"0]")
    assert failed.value.code == "content_too_expensive"
    assert await sample(job(FormatKind.JSON), b'{"a": 1}')


async def test_content_that_takes_too_long_ends_its_own_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "TIMEOUT_S", 0)
    with pytest.raises(SampleFailed) as failed:
        await sample(job(FormatKind.JSON), b'{"a": 1}')
    assert failed.value.code == "content_too_expensive"
