"""What ONNX Runtime is told for given options. Pure: nothing is imported and nothing is made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .device import DeviceKind
from .protocol import EngineOptions

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
    """All that is set on a session.

    Attributes:
        optimise: Whether every graph optimisation is on, or none is.
        intra_op_threads: 0 lets ONNX Runtime decide.
        config: Session configuration entries.
        providers: In order of preference; the first must take its place, or loading fails.
        deterministic: Whether kernels that give other bits at every run are ruled out.
    """

    optimise: bool
    intra_op_threads: int
    config: Mapping[str, str]
    providers: tuple[Provider, ...]
    deterministic: bool = False


def session_plan(options: EngineOptions) -> SessionPlan:
    """What a session is made with."""
    spinning = "1" if options.spinning else "0"
    config = {"session.intra_op.allow_spinning": spinning, "session.inter_op.allow_spinning": spinning}
    return SessionPlan(options.optimise, options.threads, config, _providers(options), options.deterministic)


def _providers(options: EngineOptions) -> tuple[Provider, ...]:
    if options.device.kind is DeviceKind.CPU:
        return (Provider(CPU, {}),)
    cuda = Provider(CUDA, _cuda_options(options))
    if options.device.kind is DeviceKind.CUDA:
        return (cuda,)
    return (Provider(TENSORRT, {"device_id": str(options.device.index), "trt_fp16_enable": "0"}), cuda)


def _cuda_options(options: EngineOptions) -> dict[str, str]:
    chosen = {
        "device_id": str(options.device.index),
        "use_tf32": "1" if options.tf32 else "0",  # ten bits of mantissa would not keep the promised tolerance
        "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE times each new shape and may choose otherwise next time
        "arena_extend_strategy": "kSameAsRequested",
    }
    if options.memory_limit_bytes is not None:
        chosen["gpu_mem_limit"] = str(math.floor(options.memory_limit_bytes))
    return chosen
