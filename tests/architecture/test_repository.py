"""What may stand in the repository: hashed locks, links that lead somewhere, no trace of a working machine."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from app.objects.refusal import ContentFault
from connectors.contract import Fault

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
MAX_LINES = 350
LONGEST = {"app/gateway/errors.py": 500}
"""All errors of the gateway are one table."""
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base_utils"}
VENDORED = ROOT / "app/api/static/vendor/swagger-ui"


def tracked() -> list[Path]:
    try:
        ran = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in ran.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> list[tuple[Path, str]]:
    own = [p for p in tracked() if "vendor" not in p.parts and p != Path(__file__)]
    return [(p, p.read_text(encoding="utf-8")) for p in own if b"\0" not in p.read_bytes()[:4_096]]


def names(lock: str) -> dict[str, str]:
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)", (ROOT / lock).read_text(), re.M)
    return {name.lower(): version for name, version in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_a_hash(lock: str) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / lock).read_text().strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[A-Za-z0-9._-]+(\[[^]]*\])?==", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index_and_no_file(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"index-url|find-links|https?://|file:|^-|^#", text, re.M)


def test_the_runtime_lock_is_part_of_the_other_and_covers_the_project() -> None:
    runtime, dev = names(LOCKS[0]), names(LOCKS[1])
    assert runtime.items() <= dev.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for wanted, lock in (
        (project["project"]["dependencies"] + project["dependency-groups"]["build"], runtime),
        (project["dependency-groups"]["dev"], dev),
    ):
        assert {re.split(r"[\[<>=~! ]", w)[0].lower().replace("_", "-") for w in wanted} <= set(lock)


def test_no_tracked_file_holds_a_path_of_a_working_machine_or_a_registry() -> None:
    forbidden = re.compile(
        r"(?<![\w.])/(?:work|root|home|Users)/\w|/tmp/v\b|--(?:extra-)?index-url|\"resolved\": ?\"http|registry\.npmjs|"
        r"files\.pythonhosted|pypi\.org/simple"
    )
    found = [f"{p.relative_to(ROOT)}: {m.group()}" for p, text in texts() for m in forbidden.finditer(text)]
    assert found == []


def anchors(markdown: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", markdown, re.M)
    return {re.sub(r"[^\w\- ]", "", t.lower()).strip().replace(" ", "-") for t in titles}


def test_every_link_in_the_documentation_leads_somewhere() -> None:
    dead = []
    for path, text in texts():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S)):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            linked = path if not name else (path.parent / name).resolve()
            if not linked.exists() or (anchor and anchor not in anchors(linked.read_text())):
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert dead == []


def test_every_code_of_a_problem_is_explained() -> None:
    explained = anchors((ROOT / "docs/errors.md").read_text())
    codes = set(re.findall(r'^\s+code = "([a-z_]+)"', (ROOT / "app/gateway/errors.py").read_text(), re.M))
    codes |= set(re.findall(r'^    [A-Z_]+ = "(sql_[a-z_]+)"', (ROOT / "app/sql/statement.py").read_text(), re.M))
    for source in ((ROOT / "app/gateway").glob("*.py"), (ROOT / "app/api").glob("*.py")):
        for path in source:
            codes |= set(re.findall(r'\bcode="([a-z_]+)"', path.read_text()))
    codes |= {f"statement_{fault.value}" for fault in Fault} | {fault.value for fault in ContentFault}
    codes -= {"refused", "statement_parameter_type"}
    assert len(codes) > 50
    assert codes - explained == set()


@pytest.mark.parametrize("part", ["app", "connectors"])
def test_a_module_decides_one_thing_and_is_named_for_it(part: str) -> None:
    """Suites and migrations, which only grow, are left out."""
    modules = [p for p in (ROOT / part).rglob("*.py") if not {"versions", "conformance"} & set(p.parts)]
    assert len(modules) > 50
    texts = {path: path.read_text(encoding="utf-8") for path in modules}
    lines = {str(path.relative_to(ROOT)): len(text.splitlines()) for path, text in texts.items()}
    assert {name: count for name, count in lines.items() if count > LONGEST.get(name, MAX_LINES)} == {}
    assert NAMELESS.isdisjoint(path.stem for path in modules)
    assert [str(p.relative_to(ROOT)) for p, text in texts.items() if text.strip() and not text.startswith('"""')] == []


def test_vendored_files_are_those_that_were_noted() -> None:
    noted = dict(re.findall(r"^\| (\S+) \| `([0-9a-f]{64})` \|$", (VENDORED / "VENDOR.md").read_text(), re.M))
    found = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in VENDORED.iterdir() if p.name != "VENDOR.md"}
    assert found == noted


def test_our_pages_have_no_inline_script_and_ask_nobody_else() -> None:
    for page in (ROOT / "app/api/static").glob("*.html"):
        text = page.read_text()
        assert re.findall(r"<script(?![^>]*\bsrc=\"/static/)[^>]*>", text) == []
        assert not re.search(r"https?://|\bon[a-z]+=|<style|style=", text)


@pytest.mark.parametrize("name", ["demo", "test", "check", "openapi", "vendor", "venv", "lock"])
def test_a_script_can_be_run_and_parses(name: str) -> None:
    script = ROOT / "scripts" / name
    assert script.stat().st_mode & 0o111
    subprocess.run(["sh", "-n", script], check=True)


def test_the_image_is_built_from_files_that_its_context_lets_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.M)
    sources = {source for line in copied for source in line.split()[:-1]}
    assert sources == let_in
    assert all((ROOT / source).exists() for source in sources)
    assert re.search(r"^USER douane$", (ROOT / "Dockerfile").read_text(), re.M)
