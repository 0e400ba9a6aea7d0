"""How an engine process is to run and what it may take."""

from collections.abc import Callable
from dataclasses import dataclass, field

from foldserve_engine.batch_sizes import check_sizes
from foldserve_engine.device import Device, DeviceKind
from foldserve_engine.protocol import GRAPH_ROWS, EngineKind

MAX_SLOTS = 1024  # requests that one front end may have in flight to one engine


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a crashed engine is started again.

    Attributes:
        limit: So many crashes within `window_s` end it.
        window_s: See `limit`.
        first_delay_s: Wait before the first restart; doubled for each crash in the window.
        longest_delay_s: Most of that.
    """

    limit: int = 5
    window_s: float = 60.0
    first_delay_s: float = 0.1
    longest_delay_s: float = 5.0


@dataclass(frozen=True, slots=True)
class WatchdogPolicy:
    """When an engine counts as hung: its batch is older than max(`least_s`, `factor` × the warm time of its size).

    Attributes:
        least_s: No batch younger than this is a hang. An engine without a batch hangs if it does nothing for so long.
        factor: How many times slower than when it was warmed a batch may be.
        interval_s: How often is looked.
    """

    least_s: float = 10.0
    factor: float = 20.0
    interval_s: float = 1.0


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How an engine process is to run.

    Attributes:
        kind: The library.
        device: `cpu`, `cuda:N` or `tensorrt:N`.
        threads: Threads of one operation; 0: as many as there are cores.
        optimise: Whether the library may rewrite the graph.
        spinning: Whether idle threads spin for work; only for an engine that has the machine to itself.
        max_batch_size: Most rows in a batch; None: what the bundle says was verified. Larger requests are split.
        allowed_batch_sizes: Sizes batches are padded up to, the last the largest; none: any size.
        batch_timeout_micros: How long an unfilled batch waits for more rows.
        max_queue_rows: Most rows that wait or are computed; beyond: QueueFull.
        max_queue_bytes: Most bytes of inputs and outputs of them; beyond: QueueFull.
        max_request_bytes: Most bytes of inputs and outputs of one request; beyond: ResourceExhausted.
        load_timeout_s: How long loading, warming and checking may take.
        memory_limit_bytes: Most private memory of the process on a CPU, or of ONNX Runtime on a GPU.
        load_on_one_core: Whether a loading engine leaves the other cores to those who serve.
        others: How many batches those who serve have begun so far, where an engine loads in short turns for them.
        together: Whether requests share batches.
        deterministic: Whether every request is answered with bits that depend on nothing but the row.
        allow_unverified: Whether a SavedModel without a manifest may be served.
        background: Whether it gives way to every other process.
        front_ends: How many front ends share what may be queued.
        tf32: Whether a GPU may round what it multiplies to ten bits of mantissa.
        graph_rows: The largest batch that a GPU replays as a CUDA graph; 0 for none.
        restarts: When a crashed engine is started again.
        watchdog: When it counts as hung.
    """

    kind: EngineKind = EngineKind.ONNXRUNTIME
    device: str = "cpu"
    threads: int = 0
    optimise: bool = True
    spinning: bool = False
    max_batch_size: int | None = None
    allowed_batch_sizes: tuple[int, ...] = ()
    batch_timeout_micros: int = 0
    max_queue_rows: int = 16_384
    max_queue_bytes: int = 512 << 20
    max_request_bytes: int = 256 << 20
    load_timeout_s: float = 300.0
    memory_limit_bytes: int | None = None
    load_on_one_core: bool = True
    others: Callable[[], int] | None = field(default=None, compare=False)
    together: bool = True
    deterministic: bool = False
    allow_unverified: bool = False
    background: bool = False
    front_ends: int = 1
    tf32: bool = False
    graph_rows: int = GRAPH_ROWS
    restarts: RestartPolicy = field(default_factory=RestartPolicy)
    watchdog: WatchdogPolicy = field(default_factory=WatchdogPolicy)

    def __post_init__(self) -> None:
        Device.parse(self.device)
        largest = self.max_batch_size if self.max_batch_size is not None else max(self.allowed_batch_sizes, default=1)
        check_sizes(largest, self.allowed_batch_sizes)
        limits = (self.max_queue_rows, self.max_queue_bytes, self.max_request_bytes, self.load_timeout_s)
        if min(limits) <= 0 or min(self.threads, self.batch_timeout_micros, self.graph_rows) < 0:
            raise ValueError(f"limits must be positive, received {self}")
        if self.tf32 and Device.parse(self.device).kind is DeviceKind.CPU:
            raise ValueError("--tf32 has a meaning on a GPU only: leave it out, or say --device cuda:N")
