"""Triton's `config.pbtxt`, with which it serves `model.onnx` of every version beside it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from foldserve_contract.digest import sha256
from foldserve_contract.signature import Signature, TensorSpec

_CONFIG = "config.pbtxt"
_FIRST_LINE = "# By export-model, which writes it anew while it is unchanged: "
_BEFORE_ORDER = re.compile(r'name: .*\nbackend: "onnxruntime"\nmax_batch_size: \d+\n')  # named no inputs and outputs
_KINDS: Mapping[str, str] = MappingProxyType({"float32": "FP32", "float64": "FP64", "float16": "FP16"})


@contextmanager
def published_config(
    staging: Path, version: int, name: str, signature: Signature, max_batch_size: int
) -> Iterator[None]:
    """Writes the file beside the version that is published meanwhile, and restores the former one if that fails.

    A file that somebody else wrote or changed is left alone: an operator may have tuned it. So is one that describes a
    later version, the one that Triton serves.

    Args:
        staging: The directory that is being published.
        version: The version that it becomes.
        name: The model's name.
        signature: The model's inputs and outputs, in the order in which Triton is to list them.
        max_batch_size: The most rows that Triton may put in a batch.

    Raises:
        OSError: It cannot be written.
    """
    path = staging.parent / _CONFIG
    former = path.read_bytes() if path.exists() else None
    if former is not None and (not _is_own(former) or max(_versions(staging), default=version) > version):
        yield
        return
    _write_whole(path, staging, config_text(name, signature, max_batch_size).encode())
    try:
        yield
    except BaseException:
        _restore(path, staging, former)
        raise


def config_text(name: str, signature: Signature, max_batch_size: int) -> str:
    """The file's content: Triton lists inputs and outputs as they stand here, and in any order where none do."""
    body = f'name: {json.dumps(name)}\nbackend: "onnxruntime"\nmax_batch_size: {max_batch_size}\n'
    body += "".join(_tensor("input", spec) for spec in signature.inputs)
    body += "".join(_tensor("output", spec) for spec in signature.outputs)
    return f"{_FIRST_LINE}{sha256(body.encode())}\n{body}"


def _tensor(field: str, spec: TensorSpec) -> str:
    """An input or output; Triton wants a dimension where a row has none."""
    dims = ", ".join(map(str, spec.row_shape)) or "1"
    reshape = "" if spec.row_shape else " reshape { shape: [ ] }"
    kind = _KINDS.get(spec.dtype, spec.dtype.upper())
    return f"{field} {{ name: {json.dumps(spec.name)} data_type: TYPE_{kind} dims: [ {dims} ]{reshape} }}\n"


def _is_own(content: bytes) -> bool:
    """True if an export wrote the file and nobody changed it since."""
    text = content.decode(errors="replace")
    first, _, body = text.partition("\n")
    return first == f"{_FIRST_LINE}{sha256(body.encode())}" or _BEFORE_ORDER.fullmatch(text) is not None


def _write_whole(path: Path, staging: Path, content: bytes) -> None:
    temporary = staging / _CONFIG  # complete before it is visible
    temporary.write_bytes(content)
    temporary.replace(path)


def _restore(path: Path, staging: Path, former: bytes | None) -> None:
    if former is not None:
        _write_whole(path, staging, former)
    elif not _versions(staging):  # no other version is published
        path.unlink(missing_ok=True)


def _versions(staging: Path) -> list[int]:
    return [int(entry.name) for entry in staging.parent.iterdir() if entry.name.isdecimal()]
