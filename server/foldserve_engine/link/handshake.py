"""What is said once: how an engine is to run, and what became of its start."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from foldserve_contract.records import from_json, to_json

from ..gate.golden_check import GoldenVerdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineHello:
    """What an engine process is to load, and how.

    Attributes:
        bundle: The version directory.
        kind: An `EngineKind`.
        device: The name of a `Device`.
        threads: Threads of one operation; 0: as many as there are cores.
        optimise: Whether the library may rewrite the graph.
        spinning: Whether idle threads spin.
        max_batch_size: Most rows in a batch; None: what the manifest says was verified.
        allowed_batch_sizes: Sizes batches are padded up to; none: any.
        batch_timeout_ns: How long an unfilled batch waits for more rows.
        credit_rows: Most rows that may be submitted and not answered.
        credit_bytes: Most bytes of them.
        memory_limit_bytes: Most private memory of the process (RLIMIT_DATA), or of ONNX Runtime on a GPU.
        load_on_one_core: Whether loading leaves the other cores to those who serve.
        parent: The process that started it.
        together: Whether requests share batches.
        deterministic: Whether a batch size is looked for in which a row's bits depend on nothing but the row.
        allow_unverified: Whether a SavedModel without a manifest may be served.
        background: Whether the process gives way to every other.
        front_ends: How many front ends share the credits.
        tf32: Whether a GPU may round what it multiplies to ten bits of mantissa.
        graph_rows: The largest batch that a GPU replays as a CUDA graph; 0 for none.
    """

    bundle: str
    kind: str
    device: str
    threads: int
    optimise: bool
    spinning: bool
    max_batch_size: int | None
    allowed_batch_sizes: tuple[int, ...]
    batch_timeout_ns: int
    credit_rows: int
    credit_bytes: int
    memory_limit_bytes: int | None
    load_on_one_core: bool
    parent: int
    together: bool = True
    deterministic: bool = False
    allow_unverified: bool = False
    background: bool = False
    front_ends: int = 1
    tf32: bool = False
    graph_rows: int = 0


@dataclass(frozen=True, slots=True)
class WarmedSize:
    """A batch size that was warmed, and the seconds that took."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EngineReady:
    """An engine that was loaded, warmed and checked.

    Attributes:
        digest: SHA-256 of the manifest that was loaded.
        max_batch_size: Most rows in a batch.
        credit_rows: Rows that may be submitted and not answered: the engine's word, not the front ends' wish.
        credit_bytes: Bytes of them.
        verdict: How it answered the golden samples.
        warmed: By size, ascending.
        stages: Seconds of each stage of the start.
        exact_rows: The batch size of exact requests: 1 unless a larger one was looked for and found.
        manifest: What stands for the manifest where there is none.
        sizes: What batches are padded up to; none: any size.
        placement: What runs where, on a GPU; empty on a CPU.
    """

    digest: str
    max_batch_size: int
    credit_rows: int
    credit_bytes: int
    verdict: GoldenVerdict
    warmed: tuple[WarmedSize, ...]
    stages: Mapping[str, float]
    exact_rows: int = 1
    manifest: str | None = None
    sizes: tuple[int, ...] = ()
    placement: str = ""


@dataclass(frozen=True, slots=True)
class StartFailed:
    """An engine that must not serve.

    Attributes:
        cause: What kind of failure it is: the name of the error.
        reason: What operators are told.
    """

    cause: str
    reason: str


def dump(document: EngineHello | EngineReady | StartFailed) -> bytes:
    """The document as JSON."""
    return json.dumps(to_json(document), allow_nan=False).encode()


def parse(kind: type[T], content: bytes) -> T:
    """The document that the JSON holds.

    Raises:
        ValueError: It is no such document.
    """
    return from_json(kind, json.loads(content))
