"""Warnings for the user, although nothing failed."""

from collections.abc import Iterator, Mapping

import numpy as np

from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo

from ..graph import Graph

_FEW_PROMISES = 100
_FEW_SAMPLES = 8


def input_warnings(graph: Graph) -> Iterator[str]:
    """Warns of optional inputs, which every request must give to the exported model."""
    for spec in graph.inputs:
        if spec.is_optional:
            yield (
                f"input {spec.name!r} could be left out of the model; every request must give it now, as neither a "
                "SavedModel nor ONNX has optional inputs. For callers without it, export a model that lacks it"
            )


def sample_warnings(given: int) -> Iterator[str]:
    """Warns of so few samples that mixtures of them are nearly the same."""
    if 0 < given < _FEW_SAMPLES:
        are = "is a sample" if given == 1 else "are samples"
        yield (
            f"only {given} of the rows used for verification {are}, the others mixtures of them: what they do"
            " not reach in the model was not verified. Give --samples of 32 or more"
        )


def golden_warnings(golden: Golden, info: GoldenInfo, promised: Mapping[str, float]) -> Iterator[str]:
    """Warns of golden samples that are less sensitive than they might be."""
    if info.synthetic:
        yield "the golden samples are synthetic; --samples with real inputs makes the check at every reload sharper"
    for name, array in golden.outputs.items():
        if golden.rows > 1 and np.ptp(array.astype(np.float64), axis=0).max(initial=0) < _FEW_PROMISES * promised[name]:
            yield f"output {name!r} hardly varies over the golden samples, so that they notice little; give --samples"
