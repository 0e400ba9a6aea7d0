import os
from pathlib import Path

import pytest

from foldserve_server.system.free_memory import artifact_bytes, free_bytes, private_bytes, shortage

GIB = 1 << 30


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: {64 << 20} kB\nMemFree: 100 kB\nMemAvailable: {8 << 20} kB\n")
    return path


def group(path: Path, limit: str, current: int = 3 * GIB, cached: int = GIB) -> Path:
    path.mkdir(exist_ok=True)
    (path / "memory.max").write_text(f"{limit}\n")
    (path / "memory.current").write_text(f"{current}\n")
    (path / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nactive_file 0\n")
    return path


def test_the_lower_limit_of_machine_and_container_counts(tmp_path: Path, meminfo: Path) -> None:
    assert free_bytes(meminfo, tmp_path / "none") == 8 * GIB
    assert free_bytes(meminfo, group(tmp_path / "g", str(4 * GIB))) == 2 * GIB, "the page cache is given back"
    assert free_bytes(meminfo, group(tmp_path / "g", str(2 * GIB))) == 0
    assert free_bytes(meminfo, group(tmp_path / "g", "max")) == 8 * GIB
    assert free_bytes(tmp_path / "none", tmp_path / "none") is None


def test_a_process_and_a_version_are_measured(tmp_path: Path) -> None:
    assert 1 << 20 < (private_bytes(os.getpid()) or 0) < 64 * GIB
    assert private_bytes(os.getpid(), tmp_path) is None
    (tmp_path / "variables").mkdir()
    (tmp_path / "variables" / "data").write_bytes(bytes(1000))
    (tmp_path / "model.onnx").write_bytes(bytes(500))
    assert artifact_bytes(tmp_path) == 1800 and artifact_bytes(tmp_path / "model.onnx") == 600


def test_a_shortage_names_the_amounts_and_the_remedy() -> None:
    assert shortage(GIB, GIB) is None and shortage(GIB, None) is None
    reason = shortage(3 * GIB, GIB) or ""
    assert "3,072 MiB" in reason and "1,024 MiB are free" in reason and "--swap=stop-first" in reason
