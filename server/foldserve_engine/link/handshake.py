"""Handshake with an engine process: what it is to load and how, and the outcome of its start."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from foldserve_contract.records import from_json, to_json

from ..gate.golden_check import GoldenVerdict
from ..spec import EngineSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineHello:
    """The first message to an engine process: what it is to load, and how it is to run.

    Attributes:
        bundle: The version directory.
        parent: The process that started it.
        spec: How it is to run.
    """

    bundle: str
    parent: int
    spec: EngineSpec


@dataclass(frozen=True, slots=True)
class WarmedSize:
    """A batch size that was warmed, and the seconds of one batch."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EngineReady:
    """An engine that was loaded, warmed and checked.

    Attributes:
        digest: SHA-256 of the manifest that was loaded.
        max_batch_size: Most rows in a batch.
        credit_rows: Rows that may be submitted and not answered.
        credit_bytes: Bytes of them.
        verdict: The verdict on the golden samples.
        warmed: By size, ascending.
        stages: Seconds of each stage of the start.
        exact_rows: The batch size of exact requests: 1 unless a larger one was looked for and found.
        manifest: A stand-in for the manifest where there is none.
        sizes: Sizes that batches are padded up to; empty for any size.
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
        cause: The kind of failure: the name of the error.
        reason: The reason for operators.
    """

    cause: str
    reason: str


def dump(document: EngineHello | EngineReady | StartFailed) -> bytes:
    """The document as JSON."""
    return json.dumps(to_json(document), allow_nan=False).encode()


def parse(kind: type[T], content: bytes) -> T:
    """The document that the JSON holds.

    Raises:
        ValueError: It is not such a document.
    """
    return from_json(kind, json.loads(content))
