"""The program that checks a GPU says what is missing where there is none."""

import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "gpu.py"


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there may be a GPU")
def test_without_a_gpu_it_ends_with_status_two_and_says_why() -> None:
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True)
    assert done.returncode == 2
    assert "cuda:0 needs ONNX Runtime's CUDAExecutionProvider" in done.stderr
    assert "foldserve[server-gpu]" in done.stderr and "Traceback" not in done.stderr


def test_everything_but_the_device_works_on_a_cpu() -> None:
    """What cannot be run here is the device; the steps are the same."""
    done = subprocess.run([sys.executable, PROGRAM, "--device=cpu", "--seconds=0.2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
