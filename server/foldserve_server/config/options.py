"""Options of the server, as one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from foldserve_contract.options import option
from foldserve_engine.spec import EngineSpec

from ..predict.request_options import RequestOptions
from ..repository.source import FolderSource, ListedSource
from .transport_options import TransportOptions

REST_PORT = 8501


@dataclass(frozen=True, slots=True)
class EngineFlags(EngineSpec):
    """Options of the engines; the library is chosen for each model.

    Attributes:
        choice: `auto`, `onnx` or `tensorflow`.
        choices: The same for single models, by name.
        load_timeout_s: Seconds that a version may take to load.
        shadow: The engine to which a share of the requests is mirrored, `onnx` or `tensorflow`; None for none.
        shadow_share: That share, above 0 and up to 1.
    """

    choice: str = "auto"
    choices: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    load_timeout_s: float = option(
        300.0, "seconds a version may take to load (default 300)", name="load-timeout", parse="seconds"
    )
    shadow: str | None = option(
        None,
        "also show requests to this engine, and report how far its answers deviate",
        name="shadow_engine",
        choices=("onnx", "tensorflow"),
    )
    shadow_share: float = option(0.05, "share of the requests that are shown to it (default 0.05)", parse="share")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Options of the server.

    Attributes:
        roots: The folders of which callers may have models served.
        config_file: The file that `source` was read from.
        config_poll_s: Seconds between two looks at it; 0 looks once.
        front_ends: Number of processes that answer callers; a single one is the supervisor too.
        front_end_timeout_s: Seconds that a front end may be silent, or take to adopt a table, before it is killed.
        stop_first: Whether a version is stopped before its successor is started.
        reload_timeout_s: Seconds that the models of a reload may take to load.
        rest_port: Where REST and the page are; 0 for any free port, None for nowhere.
        rest_timeout_s: Seconds that a REST request may take; 0 for any time.
        poll_s: Seconds between two looks at the repository; 0 looks once.
        drain_delay_s: Seconds between SIGTERM and the refusal of new work, for balancers to notice.
        grace_s: Seconds that accepted work may take after that.
    """

    source: FolderSource | ListedSource
    engine: EngineFlags
    limits: RequestOptions
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
