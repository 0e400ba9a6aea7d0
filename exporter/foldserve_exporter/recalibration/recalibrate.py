"""Recalibration of a model: its moving statistics become those of the data it will see."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.digest import sha256
from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import Array, Arrays

from ..errors import Refused
from ..graph import Graph, trace
from ..graph.unreadable_layer import unreadable_ops
from ..predictions.change import Change, changes
from ..predictions.running import copied, predict, rows_of
from ..predictions.scores import PredictionTask, Scores, classified, fit_labels, score
from ..samples.files import fit_samples, read_samples
from .estimate import BATCH, MEMORY, estimate
from .locate import assign_all, batch_norms_by_path
from .moments import Moments
from .statistics import LayerStatistics, statistics_by_weight

MIN_SAMPLES = 32
_WORSE = 0.01


class TooFewSamples(FoldserveError):
    """Too few samples for their statistics to be more than chance."""


@dataclass(frozen=True, slots=True, eq=False)
class RecalibrationResult:
    """The result of recalibrating a model, which itself is unchanged until `apply_to` is called.

    Attributes:
        graph: The model's graph on the new statistics.
        layers: Every BatchNormalization, before and after.
        samples: The number of rows that the statistics were taken over.
        sha256: Digest of the samples.
        changes: By output, the predictions before against those after, on the samples.
        before, after: By output, scores on the samples; empty without labels.
    """

    graph: Graph
    layers: tuple[LayerStatistics, ...]
    samples: int
    sha256: str
    changes: Mapping[str, Change]
    before: Mapping[str, Scores]
    after: Mapping[str, Scores]

    @property
    def made_worse(self) -> tuple[str, ...]:
        """A message for every output that is clearly worse than it was."""
        return tuple(
            f"{name}: {self.before[name]} before, {after} after"
            for name, after in self.after.items()
            if _is_worse(self.before[name], after)
        )

    def apply_to(self, model: Any) -> tuple[str, ...]:
        """Writes the new statistics into a model, all or none; nothing else changes it.

        Args:
            model: The model that was recalibrated, or one of the same layers.

        Returns:
            The paths of the layers that were set.

        Raises:
            Refused: The model has no such layers; nothing was changed.
        """
        by_path = batch_norms_by_path(model)
        values: dict[int, tuple[Any, Array]] = {}
        for layer in self.layers:
            if layer.path not in by_path or by_path[layer.path].moving_mean.shape != layer.mean.shape:
                raise Refused(f"{layer.path}: the model has no such BatchNormalization; it was not changed")
            values |= _values(by_path[layer.path], layer)
        assign_all(values)
        return tuple(layer.path for layer in self.layers)


def recalibrate(
    model: Any,
    samples: Path | str | Array | Arrays,
    *,
    labels: Array | Arrays | None = None,
    min_samples: int = MIN_SAMPLES,
    batch_size: int = BATCH,
    memory: int = MEMORY,
) -> RecalibrationResult:
    """Estimates the moving statistics of every BatchNormalization anew from data, without training.

    Layers are set in topological order, in inference, so that each receives the inputs that it will in service. Frozen
    layers are set too; leave a model as it is whose head was trained on the old statistics: scores with labels show it.

    Args:
        model: A built `keras.Model`; it comes back unchanged.
        samples: Inputs as the model will see them: a file, a folder of images, an array, or arrays by input name.
        labels: The right predictions, an array or arrays by output name; for the scores alone.
        min_samples: The least number of rows.
        batch_size: Rows at a time.
        memory: Bytes of activations that may be held between two layers.

    Returns:
        The new statistics, and their effect on the predictions.

    Raises:
        SamplesError: The samples do not fit the model.
        TooFewSamples: There are fewer rows than `min_samples`.
        LabelsError: The labels do not fit the model or the samples.
        Refused: The model has no BatchNormalization, or one that cannot be estimated.
    """
    graph = trace(model)
    signature = copied(graph).signature()
    inputs = (
        read_samples(Path(samples), signature)
        if isinstance(samples, str | Path)
        else fit_samples(samples, signature)
    )  # fmt: skip
    return recalibrate_graph(graph, inputs, labels, min_samples=min_samples, batch_size=batch_size, memory=memory)


def require_better(result: RecalibrationResult) -> None:
    """Checks that no output has clearly worse scores after the recalibration; without labels there are none.

    Raises:
        Refused: An output is clearly worse than it was.
    """
    if result.made_worse:
        raise Refused(
            f"recalibrating makes the model worse ({'; '.join(result.made_worse)}), so nothing was written: the samples"
            " differ from the data it was trained on, or its head was trained on the statistics it has"
        )


def recalibrate_graph(
    graph: Graph,
    inputs: Arrays,
    labels: Array | Arrays | None = None,
    *,
    min_samples: int = MIN_SAMPLES,
    batch_size: int = BATCH,
    memory: int = MEMORY,
) -> RecalibrationResult:
    """Recalibrates a graph on arrays that fit its inputs; see `recalibrate`."""
    rows = rows_of(inputs)
    _require_readable(graph)
    if not graph.batch_norms:
        raise Refused(f"{graph.name}: there is no BatchNormalization in this model, so nothing to recalibrate")
    if rows < min_samples:
        raise TooFewSamples(f"recalibration needs at least {min_samples} samples, received {rows}; give more")
    named = copied(graph)
    fitted = {} if labels is None else fit_labels(labels, named.outputs, rows)
    estimated = estimate(graph, inputs, batch_size=batch_size, memory=memory)
    before, after = predict(named, inputs), predict(copied(estimated.graph), inputs)
    scores = score(before, fitted)
    return RecalibrationResult(
        estimated.graph,
        estimated.layers,
        rows,
        digest_of(inputs),
        changes(before, after, classified(scores)),
        scores,
        score(after, fitted),
    )


def digest_of(inputs: Arrays) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of the samples."""
    parts = [f"{name} {array.dtype} {array.shape}\n".encode() + array.tobytes() for name, array in inputs.items()]
    return sha256(b"".join(parts))


def _is_worse(before: Scores, after: Scores) -> bool:
    if not np.isfinite(after.fit):
        return True
    if before.task is PredictionTask.REGRESSION:
        return after.fit > before.fit * (1 + _WORSE)
    return after.fit < before.fit - max(_WORSE, 2 * before.error)


def _values(layer: Any, statistics: LayerStatistics) -> dict[int, tuple[Any, Array]]:
    moments = Moments(statistics.count, statistics.mean, statistics.variance * statistics.count)
    wanted = statistics_by_weight(moments, statistics.epsilon)
    chosen = [variable for variable in layer.weights if variable.name in wanted]
    return {id(variable): (variable, wanted[variable.name]) for variable in chosen}


def _require_readable(graph: Graph) -> None:
    """Refuses layers with a BatchNormalization inside whose inputs cannot be traced, so that it cannot be estimated."""
    for op in unreadable_ops(graph):
        assert op.unreadable is not None
        if any(norm is not None for norm in op.unreadable.norms):
            raise Refused(
                f"{op.path}: what reaches the BatchNormalization in it cannot be seen ({op.unreadable.reason}), so "
                "that its statistics cannot be estimated anew. Write its call() with keras.ops and layers alone"
            )
