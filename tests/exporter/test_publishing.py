"""Files beside a version are there whole, or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest

from foldserve_exporter.emit.triton import published_config
from foldserve_exporter.output_files import write_whole


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    path = tmp_path / "flowers" / ".staging-1-0"
    path.mkdir(parents=True)
    return path


def test_triton_is_told_before_the_version_is_there(staging: Path) -> None:
    with published_config(staging, "flowers", 16):
        assert "max_batch_size: 16" in (staging.parent / "config.pbtxt").read_text()
        assert list(staging.iterdir()) == []
    assert (staging.parent / "config.pbtxt").exists()


def test_a_version_that_cannot_be_published_leaves_no_configuration(staging: Path) -> None:
    with pytest.raises(OSError, match="full"), published_config(staging, "flowers", 16):
        raise OSError("the disk is full")
    assert [path.name for path in staging.parent.iterdir()] == [staging.name]


def test_a_configuration_that_is_there_is_left_alone(staging: Path) -> None:
    (staging.parent / "config.pbtxt").write_text("tuned")
    with pytest.raises(OSError, match="full"), published_config(staging, "flowers", 16):
        raise OSError("the disk is full")
    assert (staging.parent / "config.pbtxt").read_text() == "tuned"


def test_a_page_that_cannot_be_written_is_as_it_was(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(page, "half of it, then \ud800")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]
    page.chmod(0o640)
    write_whole(page, "after")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["after"] and page.stat().st_mode & 0o777 == 0o640


def test_what_standard_output_leads_to_keeps_what_is_in_it(tmp_path: Path) -> None:
    code = """
from pathlib import Path
from foldserve_exporter.output_files import write_whole
print("before", flush=True)
write_whole(Path("/dev/stdout"), "a page\\n")
print("after")
"""
    with (tmp_path / "out").open("w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text().split("\n") == ["before", "a page", "after", ""]
