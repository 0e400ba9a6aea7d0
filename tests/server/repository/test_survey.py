import logging
import os
import shutil
from pathlib import Path

import pytest

from foldserve_server.models.model_config import ModelConfig
from foldserve_server.repository.scanner import VersionScanner
from foldserve_server.repository.source import FolderSource, ListedSource
from foldserve_server.repository.survey import MOST_NOTICES, survey
from tests.server.fakes import write_version

from .watching import watching

LARGE = 1796077369162000000


async def test_a_version_of_nineteen_digits_serves(tmp_path: Path) -> None:
    async with watching(tmp_path) as harness:
        write_version(tmp_path, 7)
        write_version(tmp_path, LARGE)
        await harness.look()
        assert harness.serving() == LARGE and not harness.table.notices


async def test_what_is_passed_over_is_logged_once_and_shown_as_long_as_it_is_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(tmp_path) as harness:
        write_version(tmp_path, 1)
        (tmp_path / "my model").mkdir()
        (tmp_path / "m" / "v2").mkdir()
        (tmp_path / "empty").mkdir()
        for _ in range(3):
            await harness.look()
        notices = harness.table.notices
        assert [notice.split(" is passed over: ")[0] for notice in notices] == [
            str(tmp_path / "empty"),
            str(tmp_path / "m" / "v2"),
            str(tmp_path / "my model"),
        ]
        assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == list(notices)
        shutil.rmtree(tmp_path / "m" / "v2")
        await harness.look()
        assert len(harness.table.notices) == 2
        (tmp_path / "m" / "v2").mkdir()
        await harness.look()
        assert caplog.text.count("/m/v2 is passed over") == 2, "it came back"


async def test_a_folder_that_cannot_be_read_is_not_said_to_be_empty(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(tmp_path) as harness:
        write_version(tmp_path, 1)
        write_version(tmp_path, 1, name="n")
        await harness.look()
        caplog.clear()
        listed = Path.iterdir

        def refuse(path: Path) -> object:
            if path.name == "m":
                raise PermissionError(13, "Permission denied", str(path))
            return listed(path)

        monkeypatch.setattr(Path, "iterdir", refuse)
        for _ in range(3):
            await harness.look()
        (line,) = (record.getMessage() for record in caplog.records)
        assert line.startswith(f"{tmp_path / 'm'} cannot be read: ") and line.endswith(
            "what serves of it keeps serving"
        )
        assert harness.serving() == 1 and harness.serving("n") == 1
        monkeypatch.undo()
        shutil.rmtree(tmp_path / "m")
        await harness.look()
        assert "m: no version is there any more; what serves keeps serving" in caplog.text


def test_the_folder_of_a_bundle_in_the_place_of_the_repository_is_named(tmp_path: Path) -> None:
    path = write_version(tmp_path, 1)
    above = survey(FolderSource(path.parent), VersionScanner())
    assert f"{path} is a bundle itself: serve the folder two levels above it, MODELS_DIR/NAME/VERSION" in above.notices


def test_a_model_that_an_export_is_writing_is_not_reported(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    (tmp_path / "new" / ".staging-1-0123abcd").mkdir(parents=True)
    assert survey(FolderSource(tmp_path), VersionScanner()).notices == ()


def test_any_number_of_strange_folders_takes_a_few_lines(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    for number in range(MOST_NOTICES + 7):
        (tmp_path / f"folder {number}").mkdir()
    notices = survey(FolderSource(tmp_path), VersionScanner()).notices
    assert len(notices) == MOST_NOTICES + 1 and notices[-1] == "more entries than these are passed over"


def test_what_cannot_be_read_is_never_among_those_that_are_left_out(tmp_path: Path) -> None:
    for number in range(MOST_NOTICES + 7):
        (tmp_path / f"folder {number}").mkdir()
    listed = ListedSource((ModelConfig("gone", tmp_path / "gone"),), "models.config")
    assert survey(listed, VersionScanner()).notices[0].startswith(f"{tmp_path / 'gone'} cannot be read")
    write_version(tmp_path, 1)
    (tmp_path / "m" / "2").mkdir()
    assert survey(FolderSource(tmp_path), VersionScanner()).notices[0].endswith("not one yet: it has no bundle.json")


def test_a_link_that_leads_nowhere_is_reported_by_itself(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    for place in (tmp_path / "model", tmp_path / "_odd", tmp_path / "m" / "vbroken", tmp_path / "m" / "7"):
        place.symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    result = survey(FolderSource(tmp_path), VersionScanner())
    assert result.listings.keys() == {"m"} and len(result.notices) == 5
    assert all(" is passed over: it cannot be read: " in notice for notice in result.notices)


def test_the_names_of_folders_cannot_forge_lines_of_the_log(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    for name in ("new\nline", "esc\x1b[31m", "cr\r", "größe \u202e", os.fsdecode(b"raw \xff")):
        (tmp_path / name).mkdir()
    notices = survey(FolderSource(tmp_path), VersionScanner()).notices
    assert len(notices) == 5 and all(notice.isprintable() for notice in notices)
    assert any("größe \\u202e is passed over" in notice for notice in notices)


def test_two_models_of_one_folder_make_one_notice(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    (tmp_path / "m" / "v2").mkdir()
    configs = (ModelConfig("a", tmp_path / "m"), ModelConfig("b", tmp_path / "m"))
    assert len(survey(ListedSource(configs, "models.config"), VersionScanner()).notices) == 1


def test_beside_listed_models_nothing_is_looked_at(tmp_path: Path) -> None:
    write_version(tmp_path, 1)
    (tmp_path / "my model").mkdir()
    source = ListedSource((ModelConfig("m", tmp_path / "m"),), "models.config")
    assert survey(source, VersionScanner()).notices == ()
