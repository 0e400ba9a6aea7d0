"""ONNX Runtime sessions, opened on the device of the options, with buffers and placement on a GPU."""

import contextlib
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

from foldserve_contract.signature import Signature

from ..device import DeviceKind
from ..errors import ArtifactUnusable, DeviceNotFound, EngineError
from ..spec import EngineSpec
from .artifact_files import OnnxFiles
from .binding import BoundBatch, BufferLocation, bind, is_bindable
from .cudart import find_cudart
from .pinned_memory import PinnedMemory
from .placement import Placement
from .session_plan import CPU, SessionPlan, session_plan
from .signature_check import require_signature

_log = logging.getLogger(__name__)
_ERRORS_ONLY = 3
_FOLDER = "session.model_external_initializers_file_folder_path"  # by default, wherever the process happens to be
_NO_DEVICE = re.compile(
    r"invalid device (ordinal|ID)|no CUDA-capable device|driver version is insufficient|LoadLibrary|CUDA_PATH"
    r"|install TensorRT libraries",
    re.IGNORECASE,
)
_MOST_SAID = 500  # cuDNN may append the description of a whole graph
_CORE = re.compile(
    r"(?:(?:CU[A-Z_ ]+ failure \d+|Invalid device ID): |cuDNN is (?:unavailable|not available)|Available memory of \d)"
    r".*?(?= ; |\n|$)"
)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """An opened session, with its buffers and placement.

    Attributes:
        session: ONNX Runtime's.
        bound: By batch size; empty on a CPU, and for rows whose shape is not known beforehand.
        placement: What runs where; None on a CPU.
        pinned: Host memory that the GPU reads directly; None where there is none.
        cudart: The CUDA runtime; None where there is none.
    """

    session: Any
    bound: Mapping[int, BoundBatch] = field(default_factory=dict)
    placement: Placement | None = None
    pinned: PinnedMemory | None = None
    cudart: Any | None = None


def open_session(runtime: Any, files: OnnxFiles, signature: Signature, options: EngineSpec) -> OpenedSession:
    """Opens a session; on a GPU with bound buffers, and with CUDA graphs where the model allows them.

    Whether it does is found out here, once: it can be seen in the placement and in the log, and no request pays for it.

    Raises:
        DeviceNotFound: The device is not there, or none of the model runs on it.
        ArtifactUnusable: ONNX Runtime refuses the model, or there is no memory for its batches.
        SignatureMismatch: The model has other names, dtypes or shapes.
    """
    if options.target.kind is DeviceKind.CPU:
        return OpenedSession(_session(runtime, files, signature, options))
    _load_libraries(runtime)
    graphs = _graph_sizes(signature, options)
    why = _why_no_graphs(signature, options)
    if graphs:
        try:
            return _on_gpu(runtime, files, signature, options, graphs, why)
        except _NoGraphs as error:
            why = str(error)
            _log.warning("no CUDA graphs: %s", why)
    return _on_gpu(runtime, files, signature, options, (), why)


def _load_libraries(runtime: Any) -> None:
    """Loads CUDA and cuDNN: from NVIDIA's packages beside ONNX Runtime where they are installed, else the system's.

    What is said of it goes to stderr: stdout is the program's.
    """
    load = getattr(runtime, "preload_dlls", None)  # since 1.21
    if load is not None:
        with contextlib.redirect_stdout(sys.stderr):
            load()


class _NoGraphs(EngineError):
    """The model cannot be captured."""


def _graph_sizes(signature: Signature, options: EngineSpec) -> tuple[int, ...]:
    if options.target.kind is not DeviceKind.CUDA or not is_bindable(signature):
        return ()
    return tuple(size for size in options.sizes if size <= options.graph_rows)


def _why_no_graphs(signature: Signature, options: EngineSpec) -> str:
    """The reason why no CUDA graph is tried."""
    if options.target.kind is not DeviceKind.CUDA:
        return "TensorRT launches a batch as a whole"
    if not is_bindable(signature):
        return "the shape of a row is dynamic"
    return f"no batch size is {options.graph_rows} or less"


def _on_gpu(
    runtime: Any, files: OnnxFiles, signature: Signature, options: EngineSpec, graphs: Sequence[int], why: str
) -> OpenedSession:
    try:
        session = _session(runtime, files, signature, options, graphs=bool(graphs))
    except ArtifactUnusable as error:
        if graphs and "graph capture" in str(error):
            raise _NoGraphs(" ".join(str(error).split())) from error
        raise
    sizes = options.sizes if is_bindable(signature) else ()
    bound = _bound(runtime, session, signature, sizes, options, graphs)
    for size in graphs:
        try:
            bound[size].warm()
        except Exception as error:  # whatever CUDA says: without graphs it may run
            raise _NoGraphs(f"a batch of {size} rows cannot be captured: {_in_short(error)}") from error
    parts = _parts(session)
    cudart = find_cudart()
    pinned = PinnedMemory.open(options.target.index, cudart)
    placement = Placement(
        device=str(options.target),
        bound=tuple(sizes),
        graphs=tuple(graphs),
        why_no_graphs="" if graphs else why,
        on_cpu=_on_cpu(parts),
        pinned=pinned is not None,
    )
    _require_use(placement, parts)
    return OpenedSession(session, bound, placement, pinned, cudart)


def _bound(
    runtime: Any,
    session: Any,
    signature: Signature,
    sizes: Sequence[int],
    options: EngineSpec,
    graphs: Sequence[int],
) -> Mapping[int, BoundBatch]:
    try:
        return bind(runtime, session, signature, sizes, BufferLocation("cuda", options.target.index), graphs)
    except Exception as error:
        raise ArtifactUnusable(
            f"no buffers for batches of {', '.join(map(str, sizes))} rows can be made on {options.target}: {error}"
        ) from error


def _session(runtime: Any, files: OnnxFiles, signature: Signature, options: EngineSpec, *, graphs: bool = False) -> Any:
    plan = session_plan(options, graphs=graphs, inputs=signature.inputs)
    _require_offered(runtime, plan, options)
    providers = [(provider.name, dict(provider.options)) for provider in plan.providers]
    try:
        session = runtime.InferenceSession(
            files.model, sess_options=_settings(runtime, plan, files), providers=providers, enable_fallback=0
        )
    except Exception as error:
        if options.target.kind is not DeviceKind.CPU and _NO_DEVICE.search(str(error)):
            raise DeviceNotFound(f"device {options.target} cannot be used: {_in_short(error)}") from error
        raise ArtifactUnusable(f"ONNX Runtime refuses model.onnx: {error}") from error
    session.disable_fallback()
    if session.get_providers()[0] != plan.providers[0].name:
        raise DeviceNotFound(
            f"ONNX Runtime did not take the device {options.target}, and nothing else is taken instead: is there such a"
            " GPU, with its driver, and are CUDA's and cuDNN's libraries found (LD_LIBRARY_PATH)? Its log says more"
        )
    require_signature(session, signature)
    return session


def _in_short(error: Exception) -> str:
    """CUDA's message without the templates, files and host name around it; else its beginning."""
    match = _CORE.search(str(error))
    return match[0] if match else shorten(str(error), _MOST_SAID, placeholder=" …")


def _settings(runtime: Any, plan: SessionPlan, files: OnnxFiles) -> Any:
    settings = runtime.SessionOptions()
    levels = runtime.GraphOptimizationLevel
    settings.graph_optimization_level = levels.ORT_ENABLE_ALL if plan.optimise else levels.ORT_DISABLE_ALL
    settings.intra_op_num_threads = plan.intra_op_threads
    settings.use_deterministic_compute = plan.deterministic
    settings.log_severity_level = _ERRORS_ONLY
    for key, value in plan.config.items():
        settings.add_session_config_entry(key, value)
    settings.add_session_config_entry(_FOLDER, os.devnull)
    if files.external:
        names, contents = list(files.external), list(files.external.values())
        settings.add_external_initializers_from_files_in_memory(names, contents, [len(content) for content in contents])
    return settings


def _require_offered(runtime: Any, plan: SessionPlan, options: EngineSpec) -> None:
    offered = runtime.get_available_providers()
    for provider in plan.providers:
        if provider.name not in offered:
            raise DeviceNotFound(
                f"device {options.target} needs ONNX Runtime's {provider.name}, and the build in"
                f" {Path(runtime.__file__).parent}, which comes first on the path, offers {offered}; install"
                " foldserve[server-gpu] in an environment of its own"
            )


def _on_cpu(parts: Sequence[Any]) -> Mapping[str, int]:
    """Nodes that ONNX Runtime left on the CPU, as it does with arithmetic on shapes, by operation."""
    return Counter(node.op_type for part in parts if part.ep_name == CPU for node in part.get_nodes())


def _require_use(placement: Placement, parts: Sequence[Any]) -> None:
    """A session may take a provider and run nothing on it."""
    if parts and all(part.ep_name == CPU for part in parts):
        raise DeviceNotFound(f"ONNX Runtime runs none of the model on {placement.device}; say --device cpu for it")


def _parts(session: Any) -> Sequence[Any]:
    """Nodes by the provider that runs them; empty where ONNX Runtime is too old to tell."""
    try:
        parts: Sequence[Any] = session.get_provider_graph_assignment_info()
    except (AttributeError, RuntimeError) as error:
        _log.warning("ONNX Runtime does not tell what it left on the CPU: %s", error)
        return ()
    return parts
