"""Swagger UI comes from our own files and runs under our own content security policy, in a real browser."""

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.running import Running


def browser() -> str:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no browser: apt install chromium")
    return found


def test_the_page_allows_no_inline_script_and_no_other_origin(shop: Running) -> None:
    with urllib.request.urlopen(f"{shop.url}/docs") as answer:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


def test_every_operation_is_shown_and_can_be_authorized(shop: Running, tmp_path: Path) -> None:
    shown = subprocess.run(
        [
            browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=20000", "--dump-dom", f"{shop.url}/docs",
        ],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    operations = set(re.findall(r'id="operations-[a-z]+-([a-z_]+)"', shown))
    assert {"query_sql", "explain_sql", "get_approval"} <= operations
    assert 'class="btn authorize' in shown
