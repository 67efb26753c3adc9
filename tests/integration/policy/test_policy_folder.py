"""The policy folder on a real file system: what is written is in force, or the last good policy is."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from app.policy.casbin_model import MODEL
from app.policy.connections import ConnectionKind
from app.policy.findings import Finding, PolicyBroken
from app.policy.loaded import LoadedPolicy
from app.store.policy_files import FolderUnsettled, PolicyFolder, load_folder, read_folder

CONNECTIONS = {"shop": ConnectionKind.SQL}
GOOD = "p, role:a, shop/*, select, allow,\n"


def written(folder: Path, rules: str = GOOD) -> Path:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "model.conf").write_text(MODEL)
    (folder / "policy.csv").write_text(rules)
    return folder


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_change_is_in_force_without_a_restart(tmp_path: Path) -> None:
    changes: list[tuple[str, str]] = []

    async def on_change(old: LoadedPolicy, new: LoadedPolicy) -> None:
        changes.append((old.version, new.version))

    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=0.02, on_change=on_change) as policies:
        first = policies.current
        (tmp_path / "data" / "shop.yaml").write_text("max_rows: 7\n")
        await until(lambda: policies.current is not first)
        assert policies.current.limits("shop") == (7, None)
        assert first.limits("shop") == (None, None)
        await until(lambda: changes == [(first.version, policies.current.version)])


async def test_a_broken_file_leaves_the_last_good_policy_and_says_what_is_wrong(tmp_path: Path) -> None:
    told: list[Sequence[str]] = []

    async def on_broken(lines: Sequence[str]) -> None:
        told.append(lines)

    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=0.02, on_broken=on_broken) as policies:
        first = policies.current
        written(tmp_path, GOOD + "p, role:a, nowhere/x.y, select, allow,\n")
        await until(lambda: bool(policies.broken))
        assert policies.current is first
        assert policies.broken[0].startswith("policy.csv:2:12: unknown connection 'nowhere'")
        await until(lambda: len(told) == 1)
        written(tmp_path)
        await until(lambda: not policies.broken)
        assert policies.current is first


async def test_a_folder_that_is_broken_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyBroken):
        async with PolicyFolder(written(tmp_path, "nonsense\n"), CONNECTIONS):
            pass
    with pytest.raises(NotADirectoryError):
        async with PolicyFolder(tmp_path / "absent", CONNECTIONS):
            pass


async def test_a_reload_now_does_not_wait_for_the_watch(tmp_path: Path) -> None:
    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=3600) as policies:
        first = policies.current
        assert await policies.reload()
        assert policies.current is first
        (tmp_path / "masks.yaml").write_text("masks: {}\n")
        assert await policies.reload()
        assert policies.current.version != first.version
        (tmp_path / "masks.yaml").write_text("masks: [\n")
        assert not await policies.reload()
        assert policies.broken


async def test_a_folder_that_disappears_leaves_the_policy_in_force(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    async with PolicyFolder(written(folder), CONNECTIONS, interval_s=0.02) as policies:
        first = policies.current
        folder.rename(tmp_path / "moved")
        await until(lambda: bool(policies.broken))
        assert policies.current is first
        assert str(tmp_path) not in " ".join(policies.broken)
        (tmp_path / "moved").rename(folder)
        await until(lambda: not policies.broken)


async def test_what_only_the_caller_knows_can_refuse_a_policy(tmp_path: Path) -> None:
    def objections(new: LoadedPolicy) -> Sequence[Finding]:
        fault = Finding(file="data/shop.yaml", line=1, column=1, what="no such table")
        return [fault] if new.limits("shop") == (7, None) else []

    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=3600, objections=objections) as policies:
        first = policies.current
        (tmp_path / "data" / "shop.yaml").write_text("max_rows: 7\n")
        assert not await policies.reload()
        assert policies.current is first
        assert policies.broken == ("data/shop.yaml:1:1: no such table",)


async def test_a_policy_is_in_force_once_it_is_on_record_and_the_watch_goes_on_until_it_is(tmp_path: Path) -> None:
    in_force: list[tuple[int | None, int | None]] = []

    async def on_change(_old: LoadedPolicy, _new: LoadedPolicy) -> None:
        in_force.append(policies.current.limits("shop"))
        if len(in_force) < 3:
            raise OSError("the trail is full")

    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=0.02, on_change=on_change) as policies:
        (tmp_path / "data" / "shop.yaml").write_text("max_rows: 1\n")
        await until(lambda: policies.current.limits("shop") == (1, None))
        assert in_force == [(None, None)] * 3


async def test_a_broken_folder_is_told_until_it_is_on_record_and_then_no_more(tmp_path: Path) -> None:
    told: list[int] = []

    async def on_broken(lines: Sequence[str]) -> None:
        told.append(len(lines))
        if len(told) < 3:
            raise OSError("the trail is full")

    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=0.02, on_broken=on_broken) as policies:
        (tmp_path / "policy.csv").write_text("p, nobody")
        await until(lambda: len(told) == 3)
        assert policies.broken
        (tmp_path / "policy.csv").write_text("p, nobody")
        await policies.reload()
        assert len(told) == 3


async def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path) -> None:
    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=0.02) as policies:
        (tmp_path / "data" / "shop.yaml").write_text("max_rows: 1\n")
        await until(lambda: policies.current.limits("shop") == (1, None))
        os.chmod(tmp_path / "data", 0)
        try:
            if os.access(tmp_path / "data", os.R_OK):
                # Rights do not bind root: too few descriptors have the same effect, in a process of its own.
                assert _version_without_descriptors(tmp_path) == "OSError"
            else:
                await until(lambda: bool(policies.broken))
                assert policies.current.limits("shop") == (1, None)
        finally:
            os.chmod(tmp_path / "data", 0o700)


def _version_without_descriptors(folder: Path) -> str:
    program = (
        "import os, resource, sys; from pathlib import Path; from app.store.policy_files import signature_of\n"
        "listed = os.scandir\n"
        "def scandir(path):\n"
        "    if str(path).endswith('data'): resource.setrlimit(resource.RLIMIT_NOFILE, (0, 4096))\n"
        "    return listed(path)\n"
        "os.scandir = scandir\n"
        "try: print(sorted(signature_of(Path(sys.argv[1]))))\n"
        "except OSError: print('OSError')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_hidden_files_and_backups_are_no_policy_files(tmp_path: Path) -> None:
    written(tmp_path)
    for name in (".policy.csv.swp", "policy.csv~", ".git"):
        (tmp_path / name).write_text("x")
    assert set(read_folder(tmp_path)) == {"model.conf", "policy.csv"}


def test_symbolic_links_are_followed_as_mounted_configuration_needs(tmp_path: Path) -> None:
    real = tmp_path / "..data"
    real.mkdir()
    folder = tmp_path / "policies"
    folder.mkdir()
    for name, text in (("model.conf", MODEL), ("policy.csv", GOOD)):
        (real / name).write_text(text)
        (folder / name).symlink_to(real / name)
    (folder / "dangling.csv").symlink_to(real / "absent")
    assert set(read_folder(folder)) == {"model.conf", "policy.csv"}
    assert load_folder(folder, CONNECTIONS).rule_count == 1


def test_things_that_are_no_files_are_not_read(tmp_path: Path) -> None:
    written(tmp_path)
    os.mkfifo(tmp_path / "budgets.yaml")
    assert "budgets.yaml" not in read_folder(tmp_path)


def test_files_that_never_rest_are_not_half_read(tmp_path: Path) -> None:
    class Restless(type(tmp_path)):  # type: ignore[misc]
        """Each read finds the file longer afterwards."""

        def read_bytes(self) -> bytes:
            found = super().read_bytes()
            with self.open("ab") as file:
                file.write(b"# more\n")
            return found

    with pytest.raises(FolderUnsettled):
        read_folder(Restless(written(tmp_path)))


async def test_terms_of_approval_change_with_their_file_and_stay_when_it_breaks(tmp_path: Path) -> None:
    async with PolicyFolder(written(tmp_path), CONNECTIONS, interval_s=3600) as policies:
        first = policies.current
        (tmp_path / "approvals.yaml").write_text("default: {quorum: 2}\n")
        assert await policies.reload()
        assert [each.quorum for each in policies.current.terms([]).requirements] == [2]
        assert policies.current.version != first.version
        (tmp_path / "approvals.yaml").write_text("default: {quorum: 0}\n")
        assert not await policies.reload()
        assert policies.broken == (
            "approvals.yaml:1:11: Input should be greater than or equal to 1; expected a larger number",
        )
        assert [each.quorum for each in policies.current.terms([]).requirements] == [2]
