"""Second step: the folded model, with its preprocessing, recalibration and names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldserve_contract.signature import Signature

from ..class_names import check_class_names, named_outputs, read_class_names
from ..folding import PlanEntry, fold_graph
from ..graph import Graph, cut, rebuild, trace
from ..graph.model_checks import is_servable
from ..graph.open_sizes import open_sized_layers
from ..graph.servable_names import servable_input
from ..graph.unreadable_layer import is_savable, unreadable_ops
from ..graph.unused_inputs import without_unused_inputs
from ..load.loader import Loaded
from ..naming import NamedModel
from ..options import ExportOptions
from ..predictions.labels import read_labels
from ..preprocessing import Preprocessing, with_preprocessing
from ..recalibration.recalibrate import RecalibrationResult, recalibrate_graph, require_better
from ..renaming import Renames
from ..samples.files import load_samples

PLAIN = ExportOptions(Path(), "model")


@dataclass(frozen=True, slots=True, eq=False)
class FoldedModel:
    """The folded model, and the graph from which it was folded.

    Attributes:
        as_given: Whether the graph is that of the caller's model: not cut, on its own statistics, and with
            nothing put before it.
        labels: The names of its classes, if given.
        preprocessing: The preprocessing put before it, if any.
        recalibration: The result of recalibrating it, if requested.
        unread: Paths of the layers whose code could not be read, each with whether it may be saved.
        unused: Names of the given model's inputs that it lacks, since no answer depends on them.
        open_sized: Paths of the layers of the exporter's own, which work where Keras' layers ask for fixed sizes.
    """

    graph: Graph
    model: NamedModel
    plan: tuple[PlanEntry, ...]
    signature: Signature
    as_given: bool = True
    labels: tuple[str, ...] | None = None
    preprocessing: str | None = None
    recalibration: RecalibrationResult | None = None
    unread: tuple[tuple[str, bool], ...] = ()
    open_sized: tuple[str, ...] = ()
    unused: frozenset[str] = frozenset()

    @property
    def classified(self) -> frozenset[str]:
        """The outputs that are vectors of as many scores as there are names of classes."""
        return named_outputs(self.labels or (), self.signature)

    @property
    def has_code(self) -> bool:
        """True if layers are left whose code could not be read, or is the exporter's own."""
        return bool(self.unread or self.open_sized)

    @property
    def unsavable(self) -> str:
        """The path of the first such layer that may not be saved; empty where all may."""
        return next((path for path, is_savable in self.unread if not is_savable), "")


def fold_model(loaded: Loaded, options: ExportOptions = PLAIN) -> FoldedModel:
    """Puts preprocessing before a copy of the model, recalibrates it, cuts it at the requested features, and folds it.

    Raises:
        OptionsError: The preprocessing, the labels or the new names cannot be used.
        Refused: The model cannot be folded or served safely, or would be worse recalibrated.
    """
    renames = Renames.parse(options.rename)
    traced = trace(_with_preprocessing(loaded.model, options), servable=options.features is None)
    named = renames.of_inputs(traced)
    graph, recalibrated = _recalibrated(named, options)
    if options.features is not None:
        graph = cut(graph, options.features)
    graph = renames.of_outputs(graph, traced.input_names)
    folded_graph, plan = fold_graph(graph)
    model = NamedModel.of(rebuild(folded_graph), folded_graph)
    signature = model.signature()
    return FoldedModel(
        graph,
        model,
        plan,
        signature,
        as_given=not (options.features or options.preprocess or recalibrated or graph.notes),
        labels=_class_names(signature, options),
        preprocessing=options.preprocess,
        recalibration=recalibrated,
        unread=tuple((op.path, is_savable(op)) for op in unreadable_ops(folded_graph)),
        open_sized=open_sized_layers(folded_graph),
        unused=_dropped(named, graph),
    )


def _whole(graph: Graph, options: ExportOptions) -> Graph:
    """The graph before the cut; one whose outputs cannot be served, such as a loss alone, is cut at once."""
    if options.features is not None and not all(map(is_servable, graph.outputs)):
        graph = cut(graph, options.features)
    return without_unused_inputs(graph)


def _recalibrated(given: Graph, options: ExportOptions) -> tuple[Graph, RecalibrationResult | None]:
    graph = _whole(given, options)
    if options.recalibrate is None:
        return graph, None
    labels = options.recalibrate_labels
    labels = read_labels(Path(labels)) if isinstance(labels, str | Path) else labels
    signature = NamedModel.of(rebuild(graph), graph).signature()
    samples = load_samples(options.recalibrate, signature, _dropped(given, graph))
    result = recalibrate_graph(graph, samples, labels)
    require_better(result)
    return result.graph, result


def _dropped(given: Graph, graph: Graph) -> frozenset[str]:
    """The names of the inputs that a graph lacks, in the model and as a signature would have them."""
    names = set(given.input_names) - set(graph.input_names)
    return frozenset(names | {servable_input(name) for name in names})


def _with_preprocessing(model: Any, options: ExportOptions) -> Any:
    if options.preprocess is None:
        return model
    return with_preprocessing(model, Preprocessing.parse(options.preprocess))


def _class_names(signature: Signature, options: ExportOptions) -> tuple[str, ...] | None:
    if options.labels is None:
        return None
    given = options.labels
    names = read_class_names(Path(given)) if isinstance(given, str | Path) else tuple(given)
    check_class_names(names, signature)
    return names
