import errno
import os
import time
from pathlib import Path
from typing import NoReturn

import pytest

from foldserve_contract.bundle import MANIFEST, Bundle
from foldserve_contract.errors import UnsafePath
from foldserve_contract.plain_saved_model import is_plain, plain_digest
from foldserve_server.repository import scanner
from foldserve_server.repository.scanner import VersionScanner
from tests.bundles import dense_model, make_bundle


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, model=dense_model())


def test_a_whole_bundle_is_ready_at_first_sight(version: Path) -> None:
    snapshot = VersionScanner().look(1, version)
    assert snapshot.ready
    assert snapshot.digest == Bundle.open(version).digest


def test_a_directory_without_a_manifest_is_no_bundle_yet(version: Path) -> None:
    (version / MANIFEST).unlink()
    eye = VersionScanner(patience=1)
    assert not any(eye.look(1, version).ready for _ in range(5))


@pytest.mark.parametrize("spoil", ["missing", "short", "torn manifest"])
def test_a_directory_that_is_being_copied_waits_until_nothing_changes_any_more(version: Path, spoil: str) -> None:
    victim = version / (MANIFEST if spoil == "torn manifest" else "model.onnx")
    content = victim.read_bytes()
    if spoil == "missing":
        victim.unlink()
    else:
        victim.write_bytes(content[: len(content) // 2])
    eye = VersionScanner(patience=2)
    assert [eye.look(1, version).ready for _ in range(4)] == [False, False, True, True]
    if spoil != "missing":
        victim.write_bytes(content[: len(content) // 2 + 1])
        assert not eye.look(1, version).ready
    victim.write_bytes(content)
    assert eye.look(1, version).ready


def test_a_pipe_in_the_manifest_s_place_is_not_waited_for_and_gets_a_reason(version: Path) -> None:
    (version / MANIFEST).unlink()
    os.mkfifo(version / MANIFEST)
    eye = VersionScanner(patience=1)
    assert [eye.look(1, version).ready for _ in range(3)] == [False, True, True]
    with pytest.raises(UnsafePath, match=f"{MANIFEST} is not a regular file"):
        Bundle.open(version)


def test_a_touched_file_changes_the_fingerprint_and_not_the_digest(version: Path) -> None:
    eye = VersionScanner()
    before = eye.look(1, version)
    os.utime(version / "model.onnx", ns=(1, 1))
    after = eye.look(1, version)
    assert before.fingerprint != after.fingerprint and before.digest == after.digest


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    path = tmp_path / "m" / "1"
    (path / "variables").mkdir(parents=True)
    (path / "saved_model.pb").write_bytes(b"graph")
    (path / "variables" / "variables.data").write_bytes(b"weights")
    return path


def test_a_plain_saved_model_counts_only_where_it_is_allowed(plain: Path) -> None:
    assert VersionScanner(patience=0).look(1, plain).digest is None
    eye = VersionScanner(patience=2, allow_unverified=True)
    snapshots = [eye.look(1, plain) for _ in range(4)]
    assert [snapshot.ready for snapshot in snapshots] == [False, False, True, True], "somebody may be copying it"
    assert snapshots[0].digest == plain_digest(plain)


def test_a_plain_saved_model_that_nobody_has_touched_for_long_is_ready_at_first_sight(plain: Path) -> None:
    later = time.time_ns() + 10_000_000_000
    assert VersionScanner(allow_unverified=True, now_ns=lambda: later).look(1, plain).ready


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data"])
def test_another_content_is_another_identity(plain: Path, file: str) -> None:
    before = plain_digest(plain)
    (plain / file).write_bytes(b"others")
    assert plain_digest(plain) != before


def test_a_bundle_is_verified_also_where_plain_ones_are_allowed(version: Path) -> None:
    assert VersionScanner(allow_unverified=True).look(1, version).digest == Bundle.open(version).digest


def test_a_directory_that_cannot_be_read_is_there_and_not_ready(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.onnx").symlink_to("nowhere")
    assert not VersionScanner().look(1, tmp_path / "1").ready


@pytest.mark.parametrize("target", ["nowhere", "stray"])  # a link that leads nowhere, and one that leads to itself
def test_a_bundle_with_a_link_that_leads_nowhere_is_tried_so_that_it_gets_a_reason(version: Path, target: str) -> None:
    (version / "stray").symlink_to(target)
    assert VersionScanner().look(1, version).ready


def test_what_cannot_be_read_for_long_is_tried_so_that_it_gets_a_reason(
    version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = Bundle.open(version).digest
    eye = VersionScanner(patience=2)
    monkeypatch.setattr(Path, "stat", denied)
    looks = [eye.look(1, version) for _ in range(4)]
    assert [look.ready for look in looks] == [False, False, True, True]
    assert {look.digest for look in looks} == {digest}, "it is the same version when it can be read again"
    monkeypatch.setattr(scanner, "read_small", denied)
    assert VersionScanner(patience=0).look(1, version).digest == ""


def test_a_folder_that_may_not_be_searched_holds_no_saved_model(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_plain(plain)
    monkeypatch.setattr(Path, "stat", denied)
    assert not is_plain(plain)


def denied(path: Path, *_: object, **__: object) -> NoReturn:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))
