import logging

import pytest

from foldserve_engine.onnx.pinned_memory import PinnedMemory
from tests.engine.fake_gpu import FakeCuda


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
