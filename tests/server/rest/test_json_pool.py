"""JSON that is read outside the event loop: its size, its limits of memory and time."""

import json
import subprocess
import sys

import pytest

from foldserve_server.errors import DeadlineExceeded
from foldserve_server.rest.json_pool import JsonPool, is_large
from foldserve_server.rest.status import BodyTooLarge


def test_json_of_many_numbers_or_much_text_is_large() -> None:
    numbers, text = b"1," * 10_000, b"x" * (2 << 20)
    assert is_large(numbers) and is_large(text)
    assert not is_large(b"1,2"), "small JSON is read in the event loop"
    assert is_large(numbers, len(numbers)), "also where a header says how much of the body is JSON"
    assert not is_large(b"{}" + numbers + text, 2), "and bytes behind it do not count"


async def test_json_that_takes_too_much_memory_is_refused_and_the_next_is_read() -> None:
    pool = JsonPool(1 << 20, least_memory=64 << 20)
    with pytest.raises(BodyTooLarge, match="takes more than 67,108,864 bytes of memory"):
        await pool.run(True, json.loads, b"[" + b"[]," * 2_000_000 + b"[]]")
    assert await pool.run(True, json.loads, b"[1, 2]") == [1, 2]
    pool.close()


def test_a_memory_limit_of_the_operator_is_kept() -> None:
    program = (
        "import resource; from foldserve_server.rest import json_pool;"
        "resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30)); json_pool._start_worker(1 << 40);"
        "print(resource.getrlimit(resource.RLIMIT_DATA) == (8 << 30, 8 << 30))"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert process.stdout == "True\n"


async def test_json_that_takes_too_long_is_not_waited_for() -> None:
    pool = JsonPool(1 << 20, timeout_s=0.001)
    with pytest.raises(DeadlineExceeded, match=r"not read or written within 0\.001 s"):
        await pool.run(True, json.loads, b"[]")
    pool.close()
