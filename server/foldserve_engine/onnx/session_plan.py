"""Plan of an ONNX Runtime session for given options. Pure: nothing is imported and nothing is made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foldserve_contract.signature import DYNAMIC, TensorSpec

from ..device import DeviceKind
from ..spec import EngineSpec

_SEPARATORS = re.compile("[:,]")
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider and its options, all texts as ONNX Runtime wants them."""

    name: str
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """Settings of a session.

    Attributes:
        optimise: Whether every graph optimisation is on, or none is.
        intra_op_threads: 0 lets ONNX Runtime decide.
        config: Session configuration entries.
        providers: In order of preference; the first must take its place, or loading fails.
        deterministic: Whether kernels that give other bits at every run are ruled out.
        environment: What NVIDIA's libraries read once, when they are loaded.
    """

    optimise: bool
    intra_op_threads: int
    config: Mapping[str, str]
    providers: tuple[Provider, ...]
    deterministic: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def session_plan(options: EngineSpec, *, graphs: bool = False, inputs: Sequence[TensorSpec] = ()) -> SessionPlan:
    """The plan of a session.

    Args:
        options: How the engine is to run.
        graphs: Whether runs that say so are captured as CUDA graphs, and replayed.
        inputs: What the model takes, so that TensorRT builds once for every batch size.
    """
    spinning = "1" if options.spinning else "0"
    config = {"session.intra_op.allow_spinning": spinning, "session.inter_op.allow_spinning": spinning}
    if options.target.kind is not DeviceKind.CPU:
        config["session.record_ep_graph_assignment_info"] = "1"  # which nodes stay on the CPU is told
    return SessionPlan(
        options.optimise,
        options.threads,
        config,
        _providers(options, graphs, inputs),
        options.deterministic,
        _environment(options),
    )


def _providers(options: EngineSpec, graphs: bool, inputs: Sequence[TensorSpec]) -> tuple[Provider, ...]:
    if options.target.kind is DeviceKind.CPU:
        return (Provider(CPU, {}),)
    cuda = Provider(CUDA, _cuda_options(options, graphs))
    if options.target.kind is DeviceKind.CUDA:
        return (cuda,)
    return (Provider(TENSORRT, {**_tensorrt_options(options), **_shapes(options, inputs)}), cuda)


def _tensorrt_options(options: EngineSpec) -> dict[str, str]:
    chosen = {
        "device_id": str(options.target.index),
        "trt_fp16_enable": "0",
        "trt_int8_enable": "0",
        "trt_engine_cache_enable": "0",  # what was built for another bundle, or by anyone else, is never run
        "trt_timing_cache_enable": "0",
    }
    if options.memory_limit_bytes is not None:
        chosen["trt_max_workspace_size"] = str(options.memory_limit_bytes)
    return chosen


def _shapes(options: EngineSpec, inputs: Sequence[TensorSpec]) -> dict[str, str]:
    """The batches that TensorRT builds for; else it builds anew for each that is larger or smaller than any before."""
    fixed = all(DYNAMIC not in spec.row_shape and not _SEPARATORS.search(spec.name) for spec in inputs)
    if not (options.sizes and inputs and fixed):
        return {}
    chosen = {"min": options.sizes[0], "opt": options.sizes[-1], "max": options.sizes[-1]}
    return {
        f"trt_profile_{which}_shapes": ",".join(
            f"{spec.name}:{'x'.join(map(str, (rows, *spec.row_shape)))}" for spec in inputs
        )
        for which, rows in chosen.items()
    }


def _environment(options: EngineSpec) -> dict[str, str]:
    """Keeps TF32 out of NVIDIA's libraries, whatever is set later.

    TensorRT's provider has no option for it. That of CUDA has one, and yet lets a convolution round to TF32 where
    cuDNN has no plan for it otherwise.
    """
    if options.target.kind is DeviceKind.CPU or options.tf32:
        return {}
    return {"NVIDIA_TF32_OVERRIDE": "0"}


def _cuda_options(options: EngineSpec, graphs: bool) -> dict[str, str]:
    chosen = {
        "device_id": str(options.target.index),
        "use_tf32": "1" if options.tf32 else "0",  # ten bits of mantissa would not keep the promised tolerance
        "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE times each new shape and may choose otherwise next time
        "arena_extend_strategy": "kSameAsRequested",
    }
    if options.memory_limit_bytes is not None:
        chosen["gpu_mem_limit"] = str(options.memory_limit_bytes)
    if graphs and options.target.kind is DeviceKind.CUDA:  # TensorRT launches a batch as a whole
        chosen["enable_cuda_graph"] = "1"
    return chosen
