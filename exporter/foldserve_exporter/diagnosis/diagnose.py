"""The full diagnosis of a model: evidence of its weights, its behaviour and the samples, and the findings from it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from foldserve_contract.signature import Array, Arrays

from ..errors import NotFinite, Refused
from ..graph import Graph, trace
from ..naming import NamedModel
from ..predictions.running import copied, predict, rows_of
from ..predictions.scores import fit_labels, score
from ..recalibration.locate import lent_values
from ..recalibration.recalibrate import MIN_SAMPLES
from ..samples.files import fit_samples, read_samples
from ..samples.input_source import refusing_unsuitable, source_for
from .behaviour import Behaviour, baked_layers, run_untouched
from .budget import FULL
from .evidence import Evidence
from .full_estimate import full_estimate
from .result import Diagnosis, diagnosis_of

_SYNTHETIC = 32
_TOO_FEW = "samples: {} are few, so that only layers off by more than {:.2g} could be told from chance; give 32 or more"


def diagnose(
    model: Any,
    samples: Path | str | Array | Arrays | None = None,
    *,
    labels: Array | Arrays | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Looks for all faults of a model's BatchNormalization, and measures their effects on the predictions.

    Args:
        model: A built `keras.Model`. It is run itself, and every variable is put back bit by bit, also on failure.
        samples: Inputs as the model takes them: a file, a folder of images, an array, or arrays by input name. Without
            them, only faults that need no data are looked for.
        labels: The expected predictions, an array or arrays by output name.
        seed: The seed of the rows that are drawn where no samples are given.

    Raises:
        Refused: The model cannot be read as a graph; the message names the layer and the reason.
        SamplesError: The samples do not fit the model.
        LabelsError: The labels do not fit the model or the samples.
    """
    with lent_values(model.variables):
        graph = trace(model)
        named = copied(graph)
        inputs, given = _inputs(graph, named, samples, seed)
        fitted = {} if labels is None else fit_labels(labels, named.outputs, rows_of(inputs))
        with refusing_unsuitable(named.model, drawn=not given):
            outputs = predict(named, inputs)
        overflows = _any_not_finite(outputs)
        # values that are not numbers compare with nothing; a baked phase is read off the graph all the same
        behaviour = (
            Behaviour(baked=baked_layers(graph)) if overflows else run_untouched(model, graph, named, inputs, outputs)
        )
        evidence = Evidence(FULL, graph, rows_of(inputs) if given else 0, behaviour, overflows)
        if given and graph.batch_norms:
            evidence = _sampled(evidence, model, inputs, fitted, outputs)
        return diagnosis_of(evidence)


def _inputs(graph: Graph, named: NamedModel, samples: Any, seed: int) -> tuple[dict[str, Array], bool]:
    """The samples, or rows that are drawn; and whether samples were given."""
    signature = named.signature()
    if samples is None:
        return source_for(graph, named.model, signature).draw(_SYNTHETIC, seed), False
    if isinstance(samples, str | Path):
        return read_samples(Path(samples), signature), True
    return fit_samples(samples, signature), True


def _any_not_finite(outputs: Arrays) -> bool:
    return any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in outputs.values())


def _sampled(evidence: Evidence, model: Any, inputs: Arrays, labels: Arrays, outputs: Arrays) -> Evidence:
    """The evidence with the measurements on samples, or with the reason why there are none."""
    try:
        sampled = full_estimate(model, evidence.graph, inputs, labels, outputs)
    except NotFinite as error:
        return replace(evidence, unmeasurable=str(error))
    except Refused as error:  # a limit of the estimate, not a fault of the model
        note = f"statistics were not compared with those of the samples: {error}"
        return replace(evidence, scores=score(outputs, labels), notes=(note,))
    few = (_TOO_FEW.format(evidence.rows, sampled.limit),) if evidence.rows < MIN_SAMPLES else ()
    return replace(evidence, sampled=sampled, scores=sampled.scores, notes=few)
