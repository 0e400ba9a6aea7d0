"""Comparison of an artifact's inputs and outputs with the manifest."""

from collections.abc import Iterable
from dataclasses import dataclass

from foldserve_contract.signature import DYNAMIC, Signature, TensorSpec

from .errors import SignatureMismatch


@dataclass(frozen=True, slots=True)
class ArtifactTensor:
    """A tensor as the library describes it; a dimension is None where it is free, the shape where its rank is."""

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


def compare(
    signature: Signature, inputs: Iterable[ArtifactTensor], outputs: Iterable[ArtifactTensor], artifact: str
) -> None:
    """Compares what an artifact takes and gives with the signature.

    Raises:
        SignatureMismatch: A name is missing or unknown, or a dtype or dimension differs.
    """
    _compare(signature.inputs, inputs, f"{artifact}: input", narrower=False)
    _compare(signature.outputs, outputs, f"{artifact}: output", narrower=True)


def _compare(specs: tuple[TensorSpec, ...], offered: Iterable[ArtifactTensor], where: str, *, narrower: bool) -> None:
    tensors = {tensor.name: tensor for tensor in offered}
    wanted = {spec.name for spec in specs}
    if tensors.keys() != wanted:
        raise SignatureMismatch(f"{where}s are {sorted(tensors)}; the manifest says {sorted(wanted)}")
    for spec in specs:
        tensor = tensors[spec.name]
        if tensor.dtype != spec.dtype:
            raise SignatureMismatch(f"{where} {spec.name!r} has dtype {tensor.dtype}; the manifest says {spec.dtype}")
        if tensor.shape is not None and not _agrees(spec.shape, tensor.shape, narrower):
            shape = [DYNAMIC if size is None else size for size in tensor.shape]
            raise SignatureMismatch(
                f"{where} {spec.name!r} has shape {shape}; the manifest says {list(spec.shape)} (-1 is free)"
            )


def _agrees(wanted: tuple[int, ...], offered: tuple[int | None, ...], narrower: bool) -> bool:
    """A dimension the artifact leaves free may be fixed by the manifest; one it fixes must be the manifest's.

    With `narrower`, it may fix what the manifest leaves free, but for the batch: callers are given what they expect.
    """
    free = DYNAMIC if narrower else None
    return len(wanted) == len(offered) and all(
        got is None or got == want or (axis > 0 and want == free)
        for axis, (want, got) in enumerate(zip(wanted, offered, strict=True))
    )
