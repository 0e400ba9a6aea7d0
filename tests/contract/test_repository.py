from pathlib import Path

import pytest

from foldserve_contract.errors import UnsafePath, VersionExists
from foldserve_contract.publish import stage
from foldserve_contract.repository import MAX_VERSION, list_repository, list_versions, version_of


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("0", 0),
        ("7", 7),
        ("007", 7),
        ("1796077369162000000", 1796077369162000000),  # nanoseconds since 1970
        (str(MAX_VERSION), 2**63 - 1),
        ("0" * 200 + "7", 7),
        (str(MAX_VERSION + 1), None),
        ("9" * 20, None),
        ("-1", None),
        ("1.5", None),
        ("٧", None),
        ("1_000", None),
        (" 1", None),
        ("", None),
    ],
)
def test_a_version_is_an_int64_as_in_tensorflow_serving(name: str, version: int | None) -> None:
    assert version_of(name) == version


def test_version_directories_are_ordered_by_number(tmp_path: Path) -> None:
    for name in ("1796077369162000000", "20", "3"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert list(list_versions(tmp_path, "m").versions) == [3, 20, 1796077369162000000]


def test_what_is_no_version_is_listed_with_the_reason(tmp_path: Path) -> None:
    model = tmp_path / "m"
    for name in ("7", "007", "new", str(MAX_VERSION + 1), ".staging-3-abc", "lost+found"):
        (model / name).mkdir(parents=True)
    (model / "9").write_text("a file")
    (model / "config.pbtxt").write_text("Triton's")
    reasons = {path.name: reason for path, reason in list_versions(tmp_path, "m").passed_over.items()}
    number = f"its name is not a version, a number from 0 to {MAX_VERSION}"
    assert reasons == {
        "007": "version 7 is 7 already",
        "9": "a version is a folder, and this is not one",
        str(MAX_VERSION + 1): number,
        "new": number,
    }


def test_folders_that_may_not_be_models_are_listed(tmp_path: Path) -> None:
    for name in ("good", "my model", "größe", ".git", "lost+found", "a" * 129):
        (tmp_path / name).mkdir()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "read me.txt").write_text("a file")
    assert [path.name for path in list_repository(tmp_path).passed_over] == ["a" * 129, "größe", "my model", "nowhere"]


@pytest.mark.parametrize("version", [-1, MAX_VERSION + 1])
def test_a_version_that_no_server_would_serve_is_not_published(tmp_path: Path, version: int) -> None:
    with pytest.raises(UnsafePath, match="a version is a number from 0 to"), stage(tmp_path, "m", version):
        pass


def test_there_is_no_next_version_behind_the_highest(tmp_path: Path) -> None:
    (tmp_path / "m" / str(MAX_VERSION)).mkdir(parents=True)
    with pytest.raises(VersionExists, match="the highest there can be"), stage(tmp_path, "m"):
        pass
    with stage(tmp_path, "m", MAX_VERSION - 1) as staging:
        assert staging.version == MAX_VERSION - 1
