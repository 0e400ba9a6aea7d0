"""Runs an ONNX model with ONNX Runtime."""

import importlib.metadata
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from foldserve_contract.signature import Array, Arrays, Signature

from ..device import Device
from ..errors import EngineLost, RunFailed, RuntimeConflict, RuntimeMissing
from ..rows import aligned
from ..spec import EngineSpec
from .artifact_files import OnnxFiles
from .binding import run_options
from .cudart import lasting_fault
from .session import OpenedSession, open_session
from .session_plan import session_plan
from .signature_check import require_order

RIVALS = ("onnxruntime", "onnxruntime-gpu")


class OnnxEngine:
    """Engine over an ONNX Runtime session. On a GPU it belongs to the thread that loaded it, which captures graphs."""

    def __init__(self, opened: OpenedSession, signature: Signature, device: Device, unbound: Any) -> None:
        """Made by `from_bytes`; `unbound` are the run options for sizes that have no buffers."""
        self.signature = signature
        self.placement = "" if opened.placement is None else str(opened.placement)
        self._session = opened.session
        self._device = device
        self._cudart = opened.cudart
        self._bound = opened.bound
        self._allocate = aligned if opened.pinned is None else opened.pinned.allocate
        self._unbound = unbound
        self._outputs = [spec.name for spec in signature.outputs]

    @classmethod
    def from_bytes(
        cls, content: bytes | OnnxFiles, signature: Signature, options: EngineSpec | None = None
    ) -> "OnnxEngine":
        """Loads a model from the bytes of its file, or of its files.

        Raises:
            RuntimeMissing, RuntimeConflict: ONNX Runtime cannot be used.
            DeviceNotFound: The device asked for is not there.
            ArtifactUnusable: ONNX Runtime refuses the model.
            SignatureMismatch: The model has other names, dtypes or shapes.
        """
        options = options or EngineSpec()
        os.environ.update(session_plan(options).environment)
        runtime = import_runtime()
        files = OnnxFiles(content) if isinstance(content, bytes) else content
        opened = open_session(runtime, files, signature, options)
        return cls(opened, signature, options.target, None if opened.placement is None else run_options(runtime))

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Computes every output; see `Engine.run`.

        Raises:
            RunFailed: This batch could not be computed.
            EngineLost: No batch can be, until another process takes the GPU.
        """
        try:
            bound = self._bound.get(len(next(iter(inputs.values())))) if self._bound else None
            if bound is not None:
                return bound.run(inputs)
            return dict(zip(self._outputs, self._session.run(self._outputs, inputs, self._unbound), strict=True))
        except RunFailed:
            raise
        except Exception as error:
            fault = 0 if self._cudart is None else lasting_fault(self._cudart, self._device.index)
            if fault:
                raise EngineLost(
                    f"{self._device} answers this process with CUDA error {fault} from now on; another must take its"
                    f" place: {error}"
                ) from error
            raise RunFailed(f"ONNX Runtime could not compute the batch: {error}") from error

    def require_order(self) -> None:
        """Compares the order of the model's inputs and outputs with the signature's, which `run` does not depend on.

        Raises:
            SignatureMismatch: The model has the same names in another order.
        """
        require_order(self._session, self.signature)

    def allocate(self, size: int) -> Array:
        """Bytes on the host in which batches are best put together."""
        return self._allocate(size)

    def close(self) -> None:
        """Ends the session, and gives back its buffers."""
        self._bound = {}
        self._session = None


def runtime_version() -> str:
    """The version of the ONNX Runtime that is imported."""
    return str(import_runtime().__version__)


def check_installed(folder: Callable[[str], Path | None]) -> None:
    """Refuses an environment in which two ONNX Runtimes overwrite each other's files.

    Args:
        folder: Where a distribution is installed; None where it is not. Two in folders of their own do each other no
            harm: the one that comes first on the path is imported.

    Raises:
        RuntimeConflict: Both onnxruntime and onnxruntime-gpu are installed in one folder.
    """
    first, second = map(folder, RIVALS)
    if first is not None and first == second:
        raise RuntimeConflict(
            f"{' and '.join(RIVALS)} are both installed in {first} and overwrite each other's files;"
            " uninstall both, then install one (foldserve[server] or foldserve[server-gpu])"
        )


def folder_of(distribution: str) -> Path | None:
    """The folder in which a distribution is installed; None where it is not."""
    try:
        return Path(str(importlib.metadata.distribution(distribution).locate_file(""))).resolve()
    except importlib.metadata.PackageNotFoundError:
        return None


def import_runtime() -> Any:
    """ONNX Runtime, with its telemetry off: it makes a device identifier and may report from where models run.

    Raises:
        RuntimeMissing, RuntimeConflict: It cannot be used.
    """
    check_installed(folder_of)
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the library is loaded
    try:
        import onnxruntime
    except ImportError as error:
        if find_spec("onnxruntime") is None:
            raise RuntimeMissing("onnxruntime is not installed; install foldserve[server]") from error
        raise RuntimeMissing(f"onnxruntime is installed and cannot be loaded: {error}") from error
    onnxruntime.disable_telemetry_events()
    return onnxruntime
