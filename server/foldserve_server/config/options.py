"""What the command line says, as one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from ..predict.request_limits import RequestLimits
from ..repository.source import FolderSource, ListedSource
from .transport_options import TransportOptions

REST_PORT = 8501
EVERY_SIZE = 2**31 - 1  # as the engine has it, which would bring NumPy to --help


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How engines are run.

    Attributes:
        kind: `auto`, `onnx` or `tensorflow`.
        kinds: The same for single models, by name.
        device: `cpu`, `cuda:N` or `tensorrt:N`.
        threads: Threads of one engine; 0 for as many as there are cores.
        max_batch_size: Rows of the largest batch; None for what the bundle was verified with.
        allowed_batch_sizes: The buckets; empty for the engine's own choice.
        max_queue_rows: Rows that may wait.
        max_queue_bytes: Bytes of inputs and outputs that may wait.
        allow_unverified: Whether SavedModels without a manifest are served.
        memory_limit_bytes: What an engine process may allocate; None for no limit.
        together: Whether requests share batches.
        deterministic: Whether a row's bits must depend on nothing but the row.
        tf32: Whether a GPU may round to TF32, where the bundle promises a value for it.
        graph_rows: The largest batch that a GPU replays as a CUDA graph; 0 for none.
        shadow: The engine that a share of the requests is shown to, `onnx` or `tensorflow`; None for none.
        shadow_share: That share, above 0 and up to 1.
    """

    kind: str = "auto"
    kinds: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    device: str = "cpu"
    threads: int = 0
    max_batch_size: int | None = None
    allowed_batch_sizes: tuple[int, ...] = ()
    batch_timeout_micros: int = 0
    max_queue_rows: int = 16_384
    max_queue_bytes: int = 512 << 20
    load_timeout_s: float = 300.0
    memory_limit_bytes: int | None = None
    together: bool = True
    deterministic: bool = False
    allow_unverified: bool = False
    tf32: bool = False
    graph_rows: int = EVERY_SIZE
    shadow: str | None = None
    shadow_share: float = 0.05


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the server is run.

    Attributes:
        roots: The folders of which callers may have models served.
        config_file: What `source` was read from.
        config_poll_s: Seconds between two looks at it; 0 looks once.
        front_ends: How many processes answer callers; one is the supervisor too.
        front_end_timeout_s: How long a front end may be silent, or take to adopt another table, before it is ended.
        stop_first: Whether a version is stopped before its successor is started.
        reload_timeout_s: How long the models of a reload may take to load.
        rest_port: Where REST and the page are; 0 for any free port, None for nowhere.
        rest_timeout_s: How long a REST request may take; 0 for any time.
        poll_s: Seconds between two looks at the repository; 0 looks once.
        drain_delay_s: How long SIGTERM leaves balancers to notice before new work is refused.
        grace_s: How long accepted work may take after that.
    """

    source: FolderSource | ListedSource
    engine: EngineOptions
    limits: RequestLimits
    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int | None = REST_PORT
    rest_timeout_s: float = 30.0
    poll_s: float = 1.0
    transport: TransportOptions = field(default_factory=TransportOptions)
    drain_delay_s: float = 0.0
    grace_s: float = 30.0
    roots: tuple[Path, ...] = ()
    config_file: Path | None = None
    config_poll_s: float = 0.0
    stop_first: bool = False
    reload_timeout_s: float = 600.0
    front_ends: int = 1
    front_end_timeout_s: float = 10.0
