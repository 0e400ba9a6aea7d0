import asyncio
from typing import Any

import numpy as np
import pytest

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_engine.link.packets import Arena, Credits
from foldserve_server.engines import EngineSettings
from foldserve_server.engines.client.pending import PendingRequest, PendingRequests
from foldserve_server.engines.client.slabs import RequestSize, Slabs
from foldserve_server.engines.settings import MAX_SLOTS
from foldserve_server.errors import QueueFull, ResourceExhausted


def slabs(side: int, max_batch_size: int = 32, **settings: Any) -> Slabs:
    signature = Signature(
        (TensorSpec("image", "float32", (-1, side, side, 3)),), (TensorSpec("scores", "float32", (-1, 1000)),)
    )
    return Slabs(signature, max_batch_size, EngineSettings(**settings))


@pytest.mark.parametrize("side", [1, 8, 64, 224, 1024, 4096])
@pytest.mark.parametrize("queue_bytes", [256 << 20, 512 << 20, 4 << 30])
def test_all_slabs_fit_into_the_bytes_that_may_be_queued(side: int, queue_bytes: int) -> None:
    arena = slabs(side, max_queue_bytes=queue_bytes).arena
    row = side * side * 12 + 4000
    assert arena.slab_bytes >= row
    assert arena.size <= max(queue_bytes, 16 * arena.slab_bytes)
    assert 16 <= arena.all_slots <= MAX_SLOTS


def test_a_full_batch_has_slabs_of_its_own_where_a_row_is_large() -> None:
    arena = slabs(224).arena
    batch = 32 * (224 * 224 * 12 + 4000)
    assert arena.slab_bytes < batch <= arena.large_bytes
    assert arena.large_slots > 4


def test_a_batch_that_fits_a_small_slab_needs_no_other() -> None:
    assert slabs(8).arena.large_slots == 0


async def test_a_slot_used_before_is_used_first() -> None:
    calls = calls_of(Arena(4, 100))
    first = admit(calls, 10)
    calls.free(first)
    second = admit(calls, 10)
    assert (second.slot, second.generation) == (first.slot, first.generation + 1)


async def test_a_request_goes_where_it_fits_and_otherwise_where_there_is_room() -> None:
    calls = calls_of(Arena(2, 100, 1, 1000))
    assert admit(calls, 500).slot == 2
    assert admit(calls, 500).slot == 0  # in memory of its own
    assert admit(calls, 10).slot == 1
    with pytest.raises(QueueFull):
        admit(calls, 10)


async def test_room_is_counted_in_rows_and_bytes_and_given_back() -> None:
    calls = calls_of(Arena(4, 100), rows=3, size=250)
    calls.seconds_per_row = 0.5
    held = admit(calls, 200, rows=2)
    with pytest.raises(QueueFull, match="200 bytes") as caught:
        admit(calls, 51)
    assert caught.value.retry_after_ms == 1001
    calls.delay_s = 0.25
    with pytest.raises(QueueFull) as caught:
        admit(calls, 51)
    assert caught.value.retry_after_ms == 1251, "an unfilled batch waits for so long"
    with pytest.raises(QueueFull, match="2 rows"):
        admit(calls, 10, rows=2)
    for total, rows in ((251, 1), (10, 4)):
        with pytest.raises(ResourceExhausted):
            admit(calls, total, rows=rows)
    calls.free(held)
    assert (calls.rows, calls.bytes, len(calls)) == (0, 0, 0)
    admit(calls, 250, rows=3)


def test_inputs_are_written_and_outputs_are_read_behind_them() -> None:
    kept = slabs(2, 4)
    inputs = {"image": np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)}
    size = kept.measure(inputs)
    place = kept.write(3, size, inputs)
    assert place.offset == 3 * kept.arena.slab_bytes
    written = np.frombuffer(place.memory, np.float32, 24, place.offset)
    assert written.tolist() == inputs["image"].ravel().tolist()
    behind = np.frombuffer(place.memory, np.float32, 2000, place.offset + size.inputs)
    behind[:] = 7
    answer = kept.read(place, size, ())["scores"]
    behind[:] = 8
    assert answer.shape == (2, 1000)
    assert set(answer.ravel().tolist()) == {7.0}


def calls_of(arena: Arena, rows: int = 100, size: int = 10_000) -> PendingRequests:
    return PendingRequests(arena, Credits(rows, size), size)


def admit(calls: PendingRequests, total: int, rows: int = 1) -> PendingRequest:
    return calls.admit(RequestSize(rows, (), total, 0), asyncio.get_running_loop().create_future())
