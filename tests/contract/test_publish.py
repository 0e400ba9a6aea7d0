"""Publication: a version is published whole or not at all."""

import ctypes
import errno
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import UnsafePath, VersionExists
from foldserve_contract.manifest import Manifest
from foldserve_contract.publish import Staging, stage
from foldserve_contract.repository import list_versions
from tests.bundles import make_bundle


@pytest.fixture
def template(tmp_path: Path) -> Manifest:
    return Bundle.open(make_bundle(tmp_path / "elsewhere", "m")).manifest


def fill(staging: Staging, template: Manifest, content: str = "new") -> Manifest:
    (staging.path / "variables").mkdir()
    (staging.path / "variables" / "weights").write_text(content)
    return replace(template, version=staging.version, files=staging.seal())


def publish_one(
    root: Path, template: Manifest, content: str = "new", *, version: int | None = None, force: bool = False
) -> Path:
    with stage(root, "m", version, force=force) as staging:
        return staging.publish(fill(staging, template, content), force=force)


def test_versions_count_up_and_leave_nothing_else_behind(tmp_path: Path, template: Manifest) -> None:
    for number in (1, 2, 3):
        assert publish_one(tmp_path, template).name == str(number)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["1", "2", "3"]
    assert Bundle.open(tmp_path / "m" / "3").manifest.version == 3


def test_an_existing_version_is_refused_before_any_work(tmp_path: Path, template: Manifest) -> None:
    publish_one(tmp_path, template, version=7)
    with pytest.raises(VersionExists, match="--force"), stage(tmp_path, "m", 7):
        pytest.fail("work was begun")


def test_a_version_published_meanwhile_is_not_overwritten(tmp_path: Path, template: Manifest) -> None:
    with stage(tmp_path, "m", 7) as staging:
        manifest = fill(staging, template)
        publish_one(tmp_path / "other", template)
        (tmp_path / "other" / "m" / "1").rename(tmp_path / "m" / "7")
        with pytest.raises(VersionExists):
            staging.publish(manifest)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["7"]


@pytest.mark.parametrize("renameat2", [True, False], ids=["exchanged", "moved aside"])
def test_force_replaces_and_the_old_version_is_gone(
    tmp_path: Path, template: Manifest, renameat2: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_one(tmp_path, template, "old", version=7)
    if not renameat2:
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    path = publish_one(tmp_path, template, "new", version=7, force=True)
    assert (path / "variables" / "weights").read_text() == "new"
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["7"]
    Bundle.open(path)


def test_a_system_without_renameat2_still_refuses_to_overwrite(
    tmp_path: Path, template: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    with stage(tmp_path, "m", 7) as staging:
        manifest = fill(staging, template)
        (tmp_path / "m" / "7").mkdir()
        with pytest.raises(VersionExists):
            staging.publish(manifest)


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), stage(tmp_path, "m") as staging:
        (staging.path / "half").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_no_version(tmp_path: Path, template: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        publish_one(tmp_path, template)
    assert list(tmp_path.glob("m/*")) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from foldserve_contract import publish
root = Path(sys.argv[1])
with publish.stage(root, "m") as staging:
    (staging.path / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_no_version_and_the_next_run_cleans_up(tmp_path: Path, template: Manifest) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list_versions(tmp_path, "m").versions == {}
    assert len(list((tmp_path / "m").glob(".staging-*"))) == 1
    publish_one(tmp_path, template)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["1"]


def test_concurrent_exports_take_different_numbers_and_do_not_disturb_each_other(
    tmp_path: Path, template: Manifest
) -> None:
    with stage(tmp_path, "m") as first, stage(tmp_path, "m") as second:
        assert {first.version, second.version} == {1, 2}
        second.publish(fill(second, template))
        first.publish(fill(first, template))
    assert list(list_versions(tmp_path, "m").versions) == [1, 2]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "ü", "x" * 200])
def test_names_that_are_not_valid_for_a_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafePath), stage(tmp_path / "models", name):
        pytest.fail("a folder was made")
    assert list(tmp_path.iterdir()) == []


def test_only_numbers_are_versions_and_the_one_without_zeros_wins(tmp_path: Path) -> None:
    for name in ("1", "007", "7", ".staging-8-x", "nine", "10"):
        (tmp_path / "m" / name).mkdir(parents=True)
    (tmp_path / "m" / "11").write_text("a file")
    assert {number: path.name for number, path in list_versions(tmp_path, "m").versions.items()} == {
        1: "1",
        7: "7",
        10: "10",
    }
