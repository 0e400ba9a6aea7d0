from ctypes.util import find_library
from pathlib import Path

from foldserve_engine.onnx.cudart import find_cudart, lasting_fault
from tests.engine.fake_gpu import FakeCuda

LINE = "7f00-7f01 r-xp 00000000 08:01 42                         "


def test_the_cuda_runtime_is_the_one_that_is_loaded(tmp_path: Path) -> None:
    library = tmp_path / "libcudart.so.13"
    library.symlink_to(_any_library())
    maps = tmp_path / "maps"
    maps.write_text(f"{LINE}/usr/lib/libc.so.6\n{LINE}{library}\n")
    results = find_cudart(maps)
    assert results is not None and results._name == str(library)


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


def test_an_error_that_stays_is_told_from_one_that_has_passed() -> None:
    cuda = FakeCuda()
    assert lasting_fault(cuda, 3) == 0 and cuda.devices == [3]
    cuda.fault = 719
    assert lasting_fault(cuda, 3) == 719
