"""Manifest `bundle.json`: the files of a bundle, the results of its verification and the tolerances for engines."""

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
    """A file of the bundle; `path` is relative to the version directory, with forward slashes."""

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
    """Tolerances of one output.

    Attributes:
        scale: max|reference| over the samples of the verification.
        noise: max|float32 − float64| of the unfolded model.
        limit: Bound of every candidate's deviation on the samples, `tolerance.limit(noise, scale)`.
        measured: The worst deviation of any candidate.
        promised: Tolerance of the golden samples on any other machine, `tolerance.promised(limit, scale)`.
        tf32: Tolerance of the golden samples with factors rounded to TF32; None if that was not verified.
    """

    scale: float
    noise: float
    limit: float
    measured: float
    promised: float
    tf32: float | None = None

    @property
    def bound(self) -> float:
        """Bound of the deviation for unseen inputs, `tolerance.bound(limit)`."""
        return tolerance.bound(self.limit)


@dataclass(frozen=True, slots=True)
class VerifiedEngine:
    """An engine that passed the verification, with its worst deviation for each output."""

    version: str
    device: str
    deviations: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FoldEntry:
    """Result of the fold for one call of a BatchNormalization layer."""

    bn: str
    call: int
    action: str
    reason: str


@dataclass(frozen=True, slots=True)
class GoldenInfo:
    """Origin of the golden samples.

    Attributes:
        samples: Number of samples, stretched ones included.
        stretched: Number of samples that were moved to three times their distance from the samples' mean.
        synthetic: True if they were drawn at random rather than from the user's data.
        seed: The seed of the random numbers.
    """

    samples: int
    stretched: int
    synthetic: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Data from which the moving statistics were estimated again, before the fold.

    Attributes:
        samples: Number of rows.
        sha256: Digest over names, dtypes, shapes and bytes of the rows.
    """

    samples: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Content of `bundle.json`.

    Attributes:
        created: UTC, ISO 8601.
        tools: Version of each library used, and the flags that change its results.
        host: The CPU model of the verification.
        signatures: Signatures by key; `serving_default` always exists.
        tolerances: Tolerances by output name.
        engines: Verified engines by name, `onnxruntime` and `tensorflow`.
        batch_composition: Worst difference of a row in another batch, by output name.
        max_batch_size: The largest batch that was verified.
        files: All files of the version directory but the manifest.
        recalibration: Data of the moving statistics; None if they are those of the source file.
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
        """Serializes to indented JSON, UTF-8."""
        return (json.dumps(to_json(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Manifest":
        """Reads and validates a manifest.

        Raises:
            UnknownSchema: The manifest was written by another release with another schema.
            ManifestInvalid: The content is not JSON, or a field is missing, unknown, or of a wrong type or value.
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
        raise ManifestInvalid(f"bundle.json is not valid JSON: {error}") from error
