"""The check of a model that failed its verification for answers that depend on the batch."""

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..graph import Graph
from ..predictions.change import Change, changes
from ..samples.rows import VerificationRows
from ..tracing import TracedFunction
from ..verify.reference import Reference
from .batch_dependence import batch_dependent_layer
from .behaviour_checks import neighbours_finding
from .finding import Finding

_ROWS = 4  # the results of all layers are compared, and are held at once
_LEAST = 1e-4


def batch_dependence(graph: Graph, run: TracedFunction, rows: VerificationRows, reference: Reference) -> Finding | None:
    """The layer by which the model itself, before the fold, answers rows differently among other rows.

    Args:
        graph: The model before the fold.
        run: Its inference in float32.
        rows: The verification rows; outliers among them are the others.
        reference: The right outputs, whose limits the change must exceed; None is returned where it does not.
    """
    alone = {name: array[:_ROWS] for name, array in rows.judged_inputs.items()}
    among = {name: np.concatenate([_outliers(rows, name), array]) for name, array in alone.items()}
    changed = _beyond(changes(run(alone), _last(run(among))), reference)
    if changed is None:
        return None
    return neighbours_finding(batch_dependent_layer(graph, alone, among, _LEAST), changed)


def _outliers(rows: VerificationRows, name: str) -> Array:
    array: Array = rows.inputs[name][-_ROWS:]
    return array


def _last(outputs: Arrays) -> dict[str, Array]:
    return {name: array[-_ROWS:] for name, array in outputs.items()}


def _beyond(changed: dict[str, Change], reference: Reference) -> Change | None:
    """The output that changes most, where one does by more than its limit; NaN is more."""
    seen = [change for name, change in changed.items() if not change.largest <= reference.limit(name)]
    return max(seen, key=lambda change: (change.size, change.mean), default=None)
