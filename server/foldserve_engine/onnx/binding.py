"""Batches of one size over buffers of their own, which lie on the device and are used again for every batch.

A row's way: into the device's buffer, through the model, and with one copy out of the device into an array that is the
caller's. Nothing else is allocated or copied, and the addresses never change, as CUDA graphs need it.

On a CPU the same code gives the same bits as `InferenceSession.run`; nothing is gained by it there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foldserve_contract.dtypes import dtype_named
from foldserve_contract.signature import DYNAMIC, Array, Arrays, Signature, TensorSpec

from ..errors import RunFailed

NO_GRAPH = -1
_GRAPH_ID = "gpu_graph_id"  # ONNX Runtime's name for it


@dataclass(frozen=True, slots=True)
class BufferLocation:
    """Location of buffers, in ONNX Runtime's terms: `cpu` or `cuda`, and the device's number."""

    kind: str
    index: int = 0


class BoundBatch:
    """Batches of one size, over bound buffers of a session."""

    def __init__(
        self, runtime: Any, session: Any, signature: Signature, rows: int, memory: BufferLocation, graph: int = NO_GRAPH
    ) -> None:
        """Allocates and binds the buffers.

        Args:
            runtime: The module `onnxruntime`.
            session: What runs the model.
            signature: What it takes and gives; see `is_bindable`.
            rows: The batch size.
            memory: Where the buffers lie.
            graph: The number of the CUDA graph that is captured by the first run and replayed by the others.
        """
        self._session = session
        self._specs = {spec.name: (spec.row_shape, dtype_named(spec.dtype).numpy) for spec in signature.inputs}
        self._names = [spec.name for spec in signature.outputs]
        self._rows = rows
        self._how = run_options(runtime, graph)
        self._binding = session.io_binding()
        self._inputs = {spec.name: _buffer(runtime, spec, rows, memory) for spec in signature.inputs}
        self._outputs = {spec.name: _buffer(runtime, spec, rows, memory) for spec in signature.outputs}
        for name, buffer in self._inputs.items():
            self._binding.bind_ortvalue_input(name, buffer)
        for name, buffer in self._outputs.items():
            self._binding.bind_ortvalue_output(name, buffer)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Computes every output. The arrays are the caller's: no later batch writes into them.

        Raises:
            RunFailed: The inputs are not those that were bound; ONNX Runtime would read their bytes as if they were.
        """
        for name, buffer in self._inputs.items():
            buffer.update_inplace(self._fitting(name, inputs))
        self._session.run_with_iobinding(self._binding, self._how)
        return dict(zip(self._names, self._binding.copy_outputs_to_cpu(), strict=True))

    def warm(self) -> None:
        """Runs zeros: memory is allocated, kernels are chosen, and a graph is captured."""
        self.run({name: np.zeros((self._rows, *shape), dtype) for name, (shape, dtype) in self._specs.items()})

    def _fitting(self, name: str, inputs: Arrays) -> Array:
        row_shape, dtype = self._specs[name]
        array = inputs.get(name)
        wanted = (self._rows, *row_shape)
        if array is None or array.shape != wanted or array.dtype != dtype:
            received = "nothing" if array is None else f"{array.dtype}{list(array.shape)}"
            raise RunFailed(f"input {name!r} is bound as {dtype}{list(wanted)}, received {received}")
        return np.ascontiguousarray(array)  # some ONNX Runtimes read the bytes that follow the first


def bind(
    runtime: Any,
    session: Any,
    signature: Signature,
    sizes: Sequence[int],
    memory: BufferLocation,
    graphs: Sequence[int] = (),
) -> Mapping[int, BoundBatch]:
    """A bound batch for each size; those of `graphs` are captured as CUDA graphs, each under its size as number."""
    return {
        rows: BoundBatch(runtime, session, signature, rows, memory, rows if rows in graphs else NO_GRAPH)
        for rows in sizes
    }


def is_bindable(signature: Signature) -> bool:
    """Tests whether the batch size determines the size of every input and output."""
    return all(DYNAMIC not in spec.row_shape for spec in (*signature.inputs, *signature.outputs))


def run_options(runtime: Any, graph: int = NO_GRAPH) -> Any:
    """The run options of a session: with the CUDA graph of that number, or without one."""
    options = runtime.RunOptions()
    options.add_run_config_entry(_GRAPH_ID, str(graph))
    return options


def _buffer(runtime: Any, spec: TensorSpec, rows: int, memory: BufferLocation) -> Any:
    dtype = dtype_named(spec.dtype).numpy
    return runtime.OrtValue.ortvalue_from_shape_and_type([rows, *spec.row_shape], dtype.type, memory.kind, memory.index)
