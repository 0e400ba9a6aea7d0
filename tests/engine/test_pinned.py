import logging
from ctypes.util import find_library
from pathlib import Path

import pytest

from foldserve_engine.pinned import PinnedMemory, find_cudart
from tests.engine.fake_gpu import FakeCuda

LINE = "7f00-7f01 r-xp 00000000 08:01 42                         "


def test_what_is_locked_is_unlocked_before_it_is_freed() -> None:
    cuda = FakeCuda()
    memory = PinnedMemory(cuda, 3).allocate(10_000)
    assert cuda.locked == {memory.ctypes.data: 10_000}
    assert memory.ctypes.data % 4096 == 0 and cuda.devices == [3]
    view = memory[:16].view("f4").reshape(2, 2)
    del memory
    assert cuda.locked, "a view of it is still in use"
    del view
    assert not cuda.locked


def test_a_driver_that_locks_nothing_is_told_and_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert PinnedMemory.open(0, FakeCuda(status=304)) is None
    assert "CUDA error 304" in caplog.text


def test_memory_that_cannot_be_locked_is_ordinary_memory(caplog: pytest.LogCaptureFixture) -> None:
    cuda = FakeCuda(status=2)
    memory = PinnedMemory(cuda, 0).allocate(100)
    memory[:] = 7
    assert memory.tobytes() == b"\7" * 100 and not cuda.locked
    assert "100 bytes of host memory cannot be page-locked: CUDA error 2" in caplog.text


def test_trying_leaves_nothing_locked() -> None:
    cuda = FakeCuda()
    assert PinnedMemory.open(1, cuda) is not None
    assert not cuda.locked and cuda.devices == [1]


def test_the_cuda_runtime_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    library = tmp_path / "libcudart.so.13"
    library.symlink_to(_any_library())
    maps = tmp_path / "maps"
    maps.write_text(f"{LINE}/usr/lib/libc.so.6\n{LINE}{library}\n")
    found = find_cudart(maps)
    assert found is not None and found._name == str(library)


def test_where_none_is_loaded_there_is_none(tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.write_text(f"{LINE}/usr/lib/libc.so.6\n{LINE}[stack]\n")
    assert find_cudart(maps) is None
    assert find_cudart(tmp_path / "gone") is None


def _any_library() -> Path:
    """A shared library that is loaded into every Python."""
    assert find_library("c")
    maps = Path("/proc/self/maps").read_text().splitlines()
    return next(Path(line.split()[-1]) for line in maps if "libc.so" in line or "libc-" in line)
