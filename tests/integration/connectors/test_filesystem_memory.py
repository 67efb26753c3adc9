"""However large the file or folder: what is held in memory stays small. Each measurement is a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

_START = """
import asyncio, resource, sys
from connectors.conformance.object_harness import MIB, LargeBody, names_of
from connectors.contract import ConnectorConfig
from connectors.filesystem import connector

def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

async def main(root):
    made = connector(ConnectorConfig(name="files", options={"root": root}))
    await made.open()
    await LargeBody(MIB).put_into(made, "warm")
    before = peak_mib()
    await work(made)
    print(peak_mib() - before)
    await made.close()

"""

_READ = """
async def work(made):
    seen = 0
    async with made.read("large") as read:
        async for chunk in read.chunks:
            seen += len(chunk)
    assert seen == 1024 * MIB
"""

_PUT = """
async def work(made):
    await LargeBody(256 * MIB).put_into(made, "put")
    assert (await made.head("put")).size == 256 * MIB
"""

_LIST = """
async def work(made):
    names, after = [], ""
    for _ in range(3):
        page = await made.list("many/", after=after, limit=1000, shallow=True)
        names += names_of(page)
        after = names[-1]
    assert names == [f"many/{number:06}" for number in range(3000)]
    page = await made.list("many/", after="many/099990", limit=1000, shallow=False)
    assert len(page.objects) == 9 and not page.more
"""


def _growth_mib(root: Path, script: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", f"{_START}{script}\nasyncio.run(main(sys.argv[1]))", str(root)],
        cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_gigabyte_is_read_through_a_few_megabytes(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        os.truncate(file.fileno(), 1024**3)
    assert _growth_mib(tmp_path, _READ) < 20


def test_a_large_file_is_put_through_a_few_megabytes(tmp_path: Path) -> None:
    assert _growth_mib(tmp_path, _PUT) < 20


def test_a_page_of_a_folder_of_a_hundred_thousand_files_holds_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100_000):
        os.close(os.open(folder / f"{number:06}", os.O_CREAT | os.O_WRONLY, 0o600))
    assert _growth_mib(tmp_path, _LIST) < 20
