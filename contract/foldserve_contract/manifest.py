"""`bundle.json`: what a bundle holds, what was verified, and what every engine must keep to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import tolerance
from .errors import ManifestInvalid, UnknownSchema
from .records import RecordError, from_json, to_json
from .signature import DEFAULT_SIGNATURE, Signature

SCHEMA = 1
MAX_MANIFEST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class SealedFile:
    """One file of the bundle; `path` is relative to the version directory, with forward slashes."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Source:
    """The model file that was exported."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class OutputTolerance:
    """How far one output may be from its reference.

    Attributes:
        scale: max|reference| over the samples of the verification.
        noise: max|float32 − float64| of the unfolded model.
        limit: What every candidate had to keep on the samples, `tolerance.limit(noise, scale)`.
        measured: The worst deviation any candidate had.
        promised: What an engine on any other machine must keep, `tolerance.promised(limit, scale)`.
        tf32: What an engine must keep that rounds what it multiplies to TF32; None where that was not verified.
    """

    scale: float
    noise: float
    limit: float
    measured: float
    promised: float
    tf32: float | None = None

    @property
    def bound(self) -> float:
        """What holds for inputs nobody has seen, `tolerance.bound(limit)`."""
        return tolerance.bound(self.limit)


@dataclass(frozen=True, slots=True)
class VerifiedEngine:
    """An engine that answered within the bound: its worst deviation for each output."""

    version: str
    device: str
    deviations: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FoldEntry:
    """What became of one call of a BatchNormalization layer."""

    bn: str
    call: int
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class GoldenInfo:
    """Where the golden samples come from.

    Attributes:
        samples: How many there are, stretched ones included.
        stretched: How many lie three times as far from the samples' mean as a sample does.
        synthetic: Whether they were drawn at random rather than from the user's data.
        seed: The seed they were drawn with.
    """

    samples: int
    stretched: int
    synthetic: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Recalibration:
    """The data that the moving statistics were estimated anew from before the fold.

    Attributes:
        samples: How many rows.
        sha256: Digest over names, dtypes, shapes and bytes of the rows.
    """

    samples: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that `bundle.json` says.

    Attributes:
        created: UTC, ISO 8601.
        tools: Version of each library that took part, and the flags that change its numbers.
        host: The CPU model that verified.
        signatures: By key; `serving_default` is always there.
        tolerances: By output name.
        engines: By engine name, `onnxruntime` and `tensorflow`.
        batch_composition: By output name: the worst difference of a row among other neighbours.
        max_batch_size: The largest batch that was verified.
        files: Every file of the version directory but the manifest.
        recalibration: Where the moving statistics come from; None where they are those of the source file.
    """

    model: str
    version: int
    created: str
    tools: Mapping[str, str]
    host: str
    source: Source
    signatures: Mapping[str, Signature]
    tolerances: Mapping[str, OutputTolerance]
    engines: Mapping[str, VerifiedEngine]
    batch_composition: Mapping[str, float]
    max_batch_size: int
    fold: tuple[FoldEntry, ...]
    golden: GoldenInfo
    files: tuple[SealedFile, ...]
    labels: tuple[str, ...] | None = None
    preprocessing: str | None = None
    recalibration: Recalibration | None = None
    schema: int = field(default=SCHEMA)

    def __post_init__(self) -> None:
        if DEFAULT_SIGNATURE not in self.signatures:
            raise ValueError(f"signatures must hold {DEFAULT_SIGNATURE!r}, received {sorted(self.signatures)}")
        outputs = {spec.name for spec in self.signature.outputs}
        if self.tolerances.keys() != outputs:
            raise ValueError(f"tolerances must be given for {sorted(outputs)}, received {sorted(self.tolerances)}")
        paths = [file.path for file in self.files]
        if len(set(paths)) != len(paths):
            raise ValueError("a file is sealed twice")

    @property
    def signature(self) -> Signature:
        """The default signature."""
        return self.signatures[DEFAULT_SIGNATURE]

    def to_bytes(self) -> bytes:
        """The manifest as indented JSON, UTF-8."""
        return (json.dumps(to_json(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Reads and validates a manifest.

        Raises:
            UnknownSchema: It was written by a foldserve that this one does not know.
            ManifestInvalid: It is not JSON, or a field is missing, unknown, or of a wrong type or value.
        """
        value = _parse_json(content)
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise UnknownSchema(f"bundle.json has schema {schema!r}; this foldserve reads schema {SCHEMA}: upgrade it")
        try:
            return from_json(cls, value, "bundle.json")
        except RecordError as error:
            raise ManifestInvalid(str(error)) from error


def _parse_json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"bundle.json is no valid JSON: {error}") from error
