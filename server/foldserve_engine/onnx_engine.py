"""Runs an ONNX model with ONNX Runtime."""

import importlib.metadata
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from foldserve_contract.signature import Array, Arrays, Signature

from .errors import ArtifactUnusable, DeviceNotFound, RunFailed, RuntimeConflict, RuntimeMissing
from .offered import Offered, compare
from .onnx_options import SessionPlan, session_plan
from .protocol import EngineOptions

_DTYPES: Mapping[str, str] = MappingProxyType(
    {
        "tensor(float)": "float32",
        "tensor(double)": "float64",
        **{
            f"tensor({name})": name
            for name in ("bool", "float16", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
        },
    }
)
RIVALS = ("onnxruntime", "onnxruntime-gpu")
_ERRORS_ONLY = 3


class OnnxEngine:
    """One ONNX Runtime session."""

    def __init__(self, session: Any, signature: Signature) -> None:
        """Made by `from_bytes`."""
        self.signature = signature
        self._session = session
        self._outputs = [spec.name for spec in signature.outputs]

    @classmethod
    def from_bytes(cls, content: bytes, signature: Signature, options: EngineOptions | None = None) -> "OnnxEngine":
        """Loads a model from the bytes of its file.

        Raises:
            RuntimeMissing, RuntimeConflict: ONNX Runtime cannot be used.
            DeviceNotFound: The device asked for is not there.
            ArtifactUnusable: ONNX Runtime refuses the model.
            SignatureMismatch: The model has other names, dtypes or shapes.
        """
        options = options or EngineOptions()
        runtime = import_runtime()
        plan = session_plan(options)
        _require_device(runtime, plan, options)
        session = _session(runtime, content, plan)
        if session.get_providers()[0] != plan.providers[0].name:
            raise DeviceNotFound(f"ONNX Runtime did not take the device {options.device}; it offers no other instead")
        compare(signature, _offered(session.get_inputs()), _offered(session.get_outputs()), "model.onnx")
        return cls(session, signature)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Computes every output; see `Engine.run`."""
        try:
            return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))
        except Exception as error:
            raise RunFailed(f"ONNX Runtime could not compute the batch: {error}") from error

    def close(self) -> None:
        """Ends the session."""
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
    """Where a distribution is installed; None where it is not."""
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


def _require_device(runtime: Any, plan: SessionPlan, options: EngineOptions) -> None:
    offered = runtime.get_available_providers()
    for provider in plan.providers:
        if provider.name not in offered:
            raise DeviceNotFound(
                f"device {options.device} needs ONNX Runtime's {provider.name}, and this build offers {offered};"
                " install foldserve[server-gpu] in an environment of its own"
            )


def _session(runtime: Any, content: bytes, plan: SessionPlan) -> Any:
    settings = runtime.SessionOptions()
    levels = runtime.GraphOptimizationLevel
    settings.graph_optimization_level = levels.ORT_ENABLE_ALL if plan.optimise else levels.ORT_DISABLE_ALL
    settings.intra_op_num_threads = plan.intra_op_threads
    settings.use_deterministic_compute = plan.deterministic
    settings.log_severity_level = _ERRORS_ONLY
    for key, value in plan.config.items():
        settings.add_session_config_entry(key, value)
    providers = [(provider.name, dict(provider.options)) for provider in plan.providers]
    try:
        session = runtime.InferenceSession(content, sess_options=settings, providers=providers)
    except Exception as error:
        raise ArtifactUnusable(f"ONNX Runtime refuses model.onnx: {error}") from error
    session.disable_fallback()
    return session


def _offered(nodes: list[Any]) -> list[Offered]:
    return [Offered(node.name, _DTYPES.get(node.type, node.type), _shape(node.shape)) for node in nodes]


def _shape(shape: list[Any] | None) -> tuple[int | None, ...] | None:
    return None if shape is None else tuple(size if isinstance(size, int) else None for size in shape)
