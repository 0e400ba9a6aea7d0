"""An engine process over a GPU that is none; what it computes is right.

Started as `python -P gpu_process.py --control N`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from foldserve_engine.onnx import onnx_engine, session
from foldserve_engine.worker.engine_process_main import run
from tests.engine.fake_gpu import FakeCuda, FakeGpu

if __name__ == "__main__":
    gpu, cuda = FakeGpu(), FakeCuda()
    onnx_engine.import_runtime = lambda: gpu
    session.__dict__["find_cudart"] = lambda: cuda  # where the session looks it up
    run()
