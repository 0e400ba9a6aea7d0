"""Engine spec: how an engine is to run, as one record from the command line to the library that computes.

It brings no NumPy with it, since `--help` reads it.
"""

import dataclasses
from enum import StrEnum

from foldserve_contract.options import option

from .batch_sizes import check_sizes
from .device import Device, DeviceKind

GRAPH_ROWS = 2**31 - 1  # every size: a convolution that is not replayed is planned anew whenever the size changes


class EngineKind(StrEnum):
    """The library that runs the artifact."""

    ONNXRUNTIME = "onnxruntime"
    TENSORFLOW = "tensorflow"


@dataclasses.dataclass(frozen=True, slots=True)
class EngineSpec:
    """Spec of an engine, in this process or in one of its own.

    Attributes:
        device: `cpu`, `cuda:N` or `tensorrt:N`. A device that is not there is an error, never another device.
        tf32: Whether a GPU may round what it multiplies to ten bits of mantissa, where the bundle promises a value.
        graph_rows: The largest batch that a GPU replays as a CUDA graph; 0 for none.
        threads: Threads of one operation; 0 for as many as there are cores.
        together: Whether requests share batches.
        max_batch_size: Most rows in a batch; None for what the bundle was verified with. Larger requests are split.
        allowed_batch_sizes: Sizes that batches are padded up to, the last the largest; empty for the engine's choice.
        batch_timeout_micros: Microseconds that an unfilled batch waits for more rows.
        max_queue_rows: Most rows that wait or are computed; beyond: QueueFull.
        max_queue_bytes: Most bytes of inputs and outputs of them; beyond: QueueFull.
        memory_limit_bytes: Most private memory of the process on a CPU, or of the library on a GPU; None for no limit.
        deterministic: Whether a row's bits depend on nothing but the row; kernels that give other bits at every run
            are ruled out.
        allow_unverified: Whether a SavedModel without a manifest may be served.
        kind: The library.
        optimise: Whether the library may rewrite the graph. Off for a check of correctness.
        spinning: Whether idle threads spin for work: faster alone, slower beside other engines.
        load_on_one_core: Whether a loading engine leaves the other cores to those that serve.
        background: Whether the process gives way to every other.
        front_ends: Number of front ends that share the queue.
        sizes: Batch sizes that are computed again and again, for which a GPU has buffers; found when it is loaded.
    """

    device: str = option("cpu", "cpu, cuda:N or tensorrt:N (default cpu)", metavar="DEVICE")
    tf32: bool = option(False, "let a GPU round to TF32; only for bundles that promise a value for it")
    graph_rows: int = option(
        GRAPH_ROWS,
        "largest batch that a GPU replays as a CUDA graph (default: any; 0: none)",
        name="cuda-graph-rows",
        parse="count",
    )
    threads: int = option(0, "threads of one engine (default 0: as many as there are cores)", parse="count")
    together: bool = option(
        True,
        "put requests together while the engine is busy (default true); false computes each alone",
        name="enable_batching",
    )
    max_batch_size: int | None = option(
        None, "rows of the largest batch (default: what the bundle was verified with)", parse="positive"
    )
    allowed_batch_sizes: tuple[int, ...] = option(
        (), "batches are padded up to one of these, such as 1,8,32", parse="sizes"
    )
    batch_timeout_micros: int = option(0, "how long to wait for a fuller batch (default 0)", parse="count")
    max_queue_rows: int = option(
        16_384,
        "rows that may wait before callers are told to retry (default 16384)",
        name="max-queue-rows",
        parse="positive",
    )
    max_queue_bytes: int = option(
        512 << 20, "bytes that may wait, such as 512MiB (the default)", name="max-queue-bytes", parse="size"
    )
    memory_limit_bytes: int | None = option(
        None,
        "what one engine may allocate (on a GPU: of its memory), such as 4GiB",
        name="engine-memory-limit",
        parse="size",
    )
    deterministic: bool = option(False, "a row's bits depend on nothing but the row, whoever shares its batch; slower")
    allow_unverified: bool = option(
        False,
        "serve plain SavedModels too, which have no bundle.json; their status says so",
        name="allow-unverified",
        group="models",
    )
    kind: EngineKind = EngineKind.ONNXRUNTIME
    optimise: bool = True
    spinning: bool = False
    load_on_one_core: bool = True
    background: bool = False
    front_ends: int = 1
    sizes: tuple[int, ...] = ()

    def check(self) -> None:
        """Checks what can be checked without a bundle.

        Raises:
            DeviceNotFound: No device can have that name.
            ValueError: A limit is not positive, batch sizes contradict one another, or a CPU is to round to TF32.
        """
        Device.parse(self.device)
        largest = self.max_batch_size if self.max_batch_size is not None else max(self.allowed_batch_sizes, default=1)
        check_sizes(largest, self.allowed_batch_sizes)
        if (
            min(self.max_queue_rows, self.max_queue_bytes) <= 0
            or min(self.threads, self.batch_timeout_micros, self.graph_rows) < 0
        ):
            raise ValueError(f"limits must be positive, received {self}")
        if self.tf32 and not self.on_gpu:
            raise ValueError("--tf32 has a meaning on a GPU only: leave it out, or say --device cuda:N")

    @property
    def target(self) -> Device:
        """The device, parsed."""
        return Device.parse(self.device)

    @property
    def on_gpu(self) -> bool:
        """True if the device is a GPU."""
        return self.target.kind is not DeviceKind.CPU

    def largest_batch(self, verified: int) -> int:
        """Most rows in a batch, for a bundle verified with batches of up to `verified` rows."""
        return self.max_batch_size or max(self.allowed_batch_sizes, default=verified)


SPEC_FIELDS = tuple(field.name for field in dataclasses.fields(EngineSpec))
