"""An engine process that does what the rows of a `dense_model` bundle tell it. Only tests start it.

The first feature of a row commands: see `Command`; everything else is computed as it should be. Files beside the
version directory change how it loads: see `Loading`. `entered` and `gate` are named pipes: the engine writes to the
one when it computes a HOLD row, and goes on when the other is written to.
"""

import os
import signal
import threading
from dataclasses import replace
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np

from foldserve_contract.bundle import Bundle
from foldserve_contract.signature import Array, Arrays
from foldserve_engine.device import Device
from foldserve_engine.errors import ArtifactUnusable, EngineLost, RunFailed
from foldserve_engine.load import load_engine
from foldserve_engine.protocol import Engine
from foldserve_engine.spec import EngineKind, EngineSpec
from foldserve_engine.worker.engine_process_main import run

ENTERED, GATE = "entered", "gate"
STEADY = 4


class Command(IntEnum):
    """Behaviour that a row asks for."""

    HOLD = 1000
    DIE = 1001
    FAIL = 1002
    HANG = 1003
    SPEAK_AND_ABORT = 1004
    LOSE = 1005


class Loading(StrEnum):
    """Files that change how it loads."""

    DIES = "dies"
    HANGS = "hangs"
    STALLS = "stalls"
    REFUSES = "refuses"
    FICKLE = "fickle"
    ANYWHERE = "anywhere"


class Fickle:
    """An engine whose last bits depend on a row's place, and on the size of the batch; in batches of 4 on neither."""

    def __init__(self, engine: Engine) -> None:
        self.signature = engine.signature
        self._engine = engine

    def run(self, inputs: Arrays) -> dict[str, Array]:
        (scores,) = self._engine.run(inputs).values()
        rows = len(scores)
        places = np.zeros(rows) if rows == STEADY else np.arange(rows) + rows
        return {"scores": scores + (places[:, None] * 2e-7).astype(np.float32)}

    def close(self) -> None:
        self._engine.close()


class Commanded:
    """ONNX Runtime, and the commands."""

    def __init__(self, engine: Engine, folder: Path, device: Device) -> None:
        self.signature = engine.signature
        self.placement = "" if device == Device() else f"{device}, or so it says"
        self._engine = engine
        self._folder = folder

    def run(self, inputs: Arrays) -> dict[str, Array]:
        commands = set(inputs["features"][:, 0].tolist())
        if Command.DIE in commands:
            os.kill(os.getpid(), signal.SIGKILL)
        if Command.SPEAK_AND_ABORT in commands:
            os.write(2, b"native library: assertion failed\n")
            os.abort()
        if Command.HANG in commands:
            threading.Event().wait()
        if Command.FAIL in commands:
            raise RunFailed("it was told to fail at /secret/path")
        if Command.LOSE in commands:
            raise EngineLost("cuda:0 answers this process with CUDA error 700 from now on")
        if Command.HOLD in commands:
            (self._folder / ENTERED).write_bytes(b".")
            (self._folder / GATE).read_bytes()
        return self._engine.run(inputs)

    def close(self) -> None:
        self._engine.close()


def load(bundle: Bundle, kind: EngineKind, options: EngineSpec) -> Engine:
    folder = bundle.path.parent
    if (folder / Loading.DIES).exists():
        os.kill(os.getpid(), signal.SIGKILL)
    if (folder / Loading.HANGS).exists():
        (folder / ENTERED).write_bytes(b".")
        threading.Event().wait()
    if (folder / Loading.STALLS).exists():
        threading.Event().wait()
    if (folder / Loading.REFUSES).exists():
        raise ArtifactUnusable("it was told to refuse")
    device = options.target
    if (folder / Loading.ANYWHERE).exists():  # whatever device is asked for
        options = replace(options, device="cpu")
    engine = load_engine(bundle, kind, options)
    return Commanded(Fickle(engine) if (folder / Loading.FICKLE).exists() else engine, folder, device)


if __name__ == "__main__":
    run(load)
