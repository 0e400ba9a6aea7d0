"""ONNX Runtime as if it had a GPU: its CUDA provider computes on the CPU, and what it is told is kept."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import onnxruntime

from foldserve_engine.onnx.session_plan import CPU, CUDA, TENSORRT


@dataclass(frozen=True)
class Node:
    op_type: str


@dataclass(frozen=True)
class Part:
    ep_name: str
    nodes: tuple[Node, ...]

    def get_nodes(self) -> tuple[Node, ...]:
        return self.nodes


def part(provider: str, *operations: str) -> Part:
    return Part(provider, tuple(map(Node, operations)))


class Fail(Exception):
    """Error of ONNX Runtime where it returns an error; a RuntimeError where it throws one."""


class FakeSession:
    """A session of the CPU that says it is a GPU's.

    Attributes:
        runs: The number of the graph of every run, with `bound` or `unbound`.
    """

    def __init__(self, real: Any, providers: Sequence[tuple[str, dict[str, str]]], gpu: "FakeGpu") -> None:
        self.providers = dict(providers)
        self.runs: list[tuple[str, str]] = []
        self._real = real
        self._gpu = gpu
        self._captured: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def graphs(self) -> bool:
        return self.providers.get(CUDA, {}).get("enable_cuda_graph") == "1"

    def get_providers(self) -> list[str]:
        return [*self.providers, CPU] if self._gpu.takes_it else [CPU]

    def get_provider_graph_assignment_info(self) -> Sequence[Part]:
        return self._gpu.parts

    def run(self, names: list[str], inputs: Any, how: Any = None) -> Any:
        assert how is not None or not self.graphs, "a run that says nothing would be captured"
        self.runs.append(("unbound", _graph(how)))
        self._gpu.require_health()
        return self._real.run(names, inputs)

    def run_with_iobinding(self, binding: Any, how: Any) -> None:
        graph = _graph(how)
        self.runs.append(("bound", graph))
        self._gpu.require_health()
        if graph != "-1":
            assert self.graphs
            if self._gpu.fails_to_capture:
                raise RuntimeError("CUDA failure 900: operation not permitted when stream is capturing")
            assert self._captured.setdefault(graph, binding) is binding, "a graph is replayed over its own buffers"
        self._real.run_with_iobinding(binding, how)


@dataclass
class FakeGpu:
    """The module `onnxruntime`.

    Attributes:
        takes_it: Whether a session takes the GPU.
        refuses_graphs: What is said to a session that wants to capture graphs.
        refuses: What is said to every session.
        fails_to_capture: Whether a run that is captured fails.
        fails: What is said to every run.
        parts: Which provider runs which nodes.
        sessions: Every session that was made.
        buffers: Where each buffer was asked for.
        had_libraries: How many sessions there were whenever CUDA's libraries were loaded.
    """

    takes_it: bool = True
    refuses_graphs: str = ""
    refuses: str = ""
    fails_to_capture: bool = False
    fails: str = ""
    parts: Sequence[Part] = (part(CUDA, "Conv", "Gemm"),)
    sessions: list[FakeSession] = field(default_factory=list)
    buffers: list[tuple[tuple[int, ...], str, int]] = field(default_factory=list)
    had_libraries: list[int] = field(default_factory=list)

    SessionOptions = onnxruntime.SessionOptions
    RunOptions = onnxruntime.RunOptions
    GraphOptimizationLevel = onnxruntime.GraphOptimizationLevel

    def require_health(self) -> None:
        if self.fails:
            raise RuntimeError(self.fails)

    def preload_dlls(self) -> None:
        print("libraries are loaded")
        self.had_libraries.append(len(self.sessions))

    def get_available_providers(self) -> list[str]:
        return [TENSORRT, CUDA, CPU]

    def InferenceSession(  # noqa: N802
        self, content: bytes, sess_options: Any = None, providers: Any = (), enable_fallback: int = 1
    ) -> FakeSession:
        if self.refuses and not enable_fallback:
            raise RuntimeError(self.refuses)
        real = onnxruntime.InferenceSession(content, sess_options, providers=[CPU])
        session = FakeSession(real, [] if self.refuses else providers, self)
        if session.graphs and self.refuses_graphs:
            raise Fail(self.refuses_graphs)
        self.sessions.append(session)
        return session

    @property
    def OrtValue(self) -> "FakeGpu":  # noqa: N802
        return self

    def ortvalue_from_shape_and_type(self, shape: list[int], dtype: Any, kind: str, index: int) -> Any:
        self.buffers.append((tuple(shape), kind, index))
        return onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, dtype, "cpu", 0)


def _graph(how: Any) -> str:
    return "" if how is None else str(how.get_run_config_entry("gpu_graph_id"))


class FakeCuda:
    """The CUDA runtime: locks what it is told to, or answers with an error.

    Attributes:
        fault: What every call but those that lock answers with.
    """

    def __init__(self, status: int = 0) -> None:
        self.fault = 0
        self.locked: dict[int, int] = {}
        self.devices: list[int] = []
        self._status = status

    def cudaSetDevice(self, device: int) -> int:  # noqa: N802
        self.devices.append(device)
        return self.fault

    def cudaGetLastError(self) -> int:  # noqa: N802
        return self.fault

    def cudaDeviceSynchronize(self) -> int:  # noqa: N802
        return self.fault

    def cudaHostRegister(self, address: Any, size: Any, flags: int) -> int:  # noqa: N802
        if not self._status:
            self.locked[address.value] = size.value
        return self._status

    def cudaHostUnregister(self, address: Any) -> int:  # noqa: N802
        del self.locked[address.value]
        return 0
