"""What the demo prints works as it is pasted: every line, in order, against the demo that printed it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from app.demo.files import CUSTOMERS_IN_CSV
from tests.running import demo

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")


def test_every_printed_line_does_what_its_title_says(tmp_path: Path) -> None:
    with demo(tmp_path / "state") as running:
        text = running.log.read_text(encoding="utf-8")
        steps = text.partition("Paste into a shell:")[2].partition("Stop with Ctrl-C.")[0].strip().split("\n\n")
        said: dict[str, str] = {}
        for step in steps:
            title, _, lines = step.partition("\n")
            # In one shell, as they are pasted: what runs in the background there is waited for.
            ran = subprocess.run(
                ["sh", "-c", lines], capture_output=True, text=True, timeout=120, env={**os.environ, "COLUMNS": "120"}
            )
            assert ran.returncode == 0, (title, ran.stderr)
            assert ran.stderr == "", title
            said[title.removeprefix("# ")] = ran.stdout

    def of(words: str) -> str:
        (found,) = [out for title, out in said.items() if words in title]
        return found

    assert len(said) == len(steps) == 19
    assert '"***@' in of("personal data comes masked")
    assert '"***@' not in of("the same query, raw")
    assert "HTTP 403" in of("nobody drops a table")
    assert "HTTP 202" in of("may ask to delete")
    assert "affected in a dry run" in of("what would happen?")
    assert "is approved now" in of("yes to exactly that")
    assert '"state":"approved"' in of("may have waited in this call")
    assert "HTTP 200" in of("runs what was approved")
    assert "HTTP 409" in of("a second time is refused")
    assert "is approved now" in of("the very rows that would leave")
    assert "HTTP 200" in of("the very rows that would leave")
    assert "customers/2026.parquet" in of("sees what there is")
    csv = of("customers as CSV").splitlines()
    assert len(csv) == 4 < CUSTOMERS_IN_CSV
    assert csv[0].startswith("id,name,email,")
    assert all("redacted,***@" in line for line in csv[1:])
    assert "content_unknown_type" in of("an archive that nobody can look into")
    assert '"message_id":' in of("an order goes out")
    assert "HTTP 202" in of("one for a partner waits")
    partner = of("lets exactly that out")
    assert "***@example.org" in partner
    assert "bob@" not in partner
    assert "is approved now" in partner
    assert "HTTP 200" in of("the agent publishes it")
    assert "HTTP 200" in of("sam hands a ticket")
    received = of("receives it masked, and acks it")
    assert '"email":"***@example.org"' in received
    assert "ann@" not in received
    assert '"result":"done"' in received
