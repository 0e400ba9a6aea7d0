"""What the artifacts are made from and judged by: the folded model, the rows, and the reference."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foldserve_contract.golden import Golden
from foldserve_contract.manifest import GoldenInfo, Source
from foldserve_contract.signature import Array, Arrays, Signature

from .artifacts import make_golden
from .class_names import check_class_names, read_class_names
from .diagnosis.examined import Examination, Subject, examine, gaps_of, joined
from .diagnosis.findings import Findings, find
from .folding import PlanEntry, fold_graph
from .graph import Graph, cut, rebuild, trace
from .graph.unreadable_layer import is_savable, unreadable_ops
from .load.digest import weights_digest
from .load.loader import Loaded, load_model
from .naming import NamedModel
from .options import ExportOptions
from .predictions.labels import read_labels
from .preprocessing import Preprocessing, with_preprocessing
from .recalibration.recalibrate import Recalibration, recalibrate_graph, require_better
from .renaming import Renames
from .samples.files import fit_samples, read_samples
from .samples.rows import MIN_JUDGED, VerificationRows, choose_rows
from .samples.synthetic import synthesize
from .verify.evaluation import Evaluation, Unfolded
from .verify.reference import Reference, finish_reference, start_reference
from .verify.sensitivity import Sensitivity, sensitivity

PLAIN = ExportOptions(Path(), "model")


@dataclass(frozen=True, slots=True, eq=False)
class FoldedModel:
    """The folded model, the graph it was before, and what is known about it.

    Attributes:
        as_given: Whether the graph is that of the caller's model: not cut, on its own statistics, and with
            nothing put before it.
        labels: The names of its classes.
        preprocessing: What was put before it.
        recalibration: What estimating its moving statistics anew did.
        unread: Paths of the layers whose code could not be read, each with whether a file may hold it.
    """

    graph: Graph
    model: NamedModel
    plan: tuple[PlanEntry, ...]
    signature: Signature
    as_given: bool = True
    labels: tuple[str, ...] | None = None
    preprocessing: str | None = None
    recalibration: Recalibration | None = None
    unread: tuple[tuple[str, bool], ...] = ()

    @property
    def is_unread(self) -> bool:
        """Whether layers are left whose code could not be read."""
        return bool(self.unread)

    @property
    def unsavable(self) -> str:
        """The path of the first one that no file may hold; empty where all may."""
        return next((path for path, is_savable in self.unread if not is_savable), "")


def open_model(model: Any, options: ExportOptions) -> Loaded:
    """A model file is loaded; a model object is taken as it is, and known by the digest of its weights."""
    if isinstance(model, str | Path):
        return load_model(Path(model), trust_code=options.trust_code, custom_objects=options.custom_objects)
    source = Source(f"{type(model).__name__} {model.name!r} in memory", weights_digest(model))
    return Loaded(model, source, modules=options.custom_objects)


def fold_model(loaded: Loaded, options: ExportOptions = PLAIN) -> FoldedModel:
    """Puts preprocessing before a copy of the model, recalibrates it, cuts it at the features asked for, and folds it.

    Raises:
        OptionsError: The preprocessing, the labels or the new names cannot be used.
        Refused: The model cannot be folded or served safely, or would be worse recalibrated.
    """
    renames = Renames.parse(options.rename)
    traced = trace(_with_preprocessing(loaded.model, options))
    graph = renames.of_inputs(traced)
    recalibrated = _recalibrated(graph, options)
    graph = graph if recalibrated is None else recalibrated.graph
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
        as_given=options.features is None and options.preprocess is None and recalibrated is None,
        labels=_class_names(signature, options),
        preprocessing=options.preprocess,
        recalibration=recalibrated,
        unread=tuple((op.path, is_savable(op)) for op in unreadable_ops(folded_graph)),
    )


def _recalibrated(graph: Graph, options: ExportOptions) -> Recalibration | None:
    if options.recalibrate is None:
        return None
    given = options.recalibrate_labels
    labels = read_labels(Path(given)) if isinstance(given, str | Path) else given
    signature = NamedModel.of(rebuild(graph), graph).signature()
    done = recalibrate_graph(graph, _fitted(options.recalibrate, signature), labels)
    require_better(done)
    return done


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


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What every candidate is asked, and what it must answer.

    Attributes:
        rows: The rows, golden ones first.
        reference: The right answers.
        golden: The golden samples of the bundle.
        golden_info: Where they come from.
        given: Of every judged row, whether it is one of the user's samples.
        unfolded: A float32 copy of the model before the fold.
    """

    rows: VerificationRows
    reference: Reference
    golden: Golden
    golden_info: GoldenInfo
    given: Array
    unfolded: Unfolded

    @property
    def promised(self) -> dict[str, float]:
        """The tolerance every engine must keep, by output."""
        return {output: self.reference.promised(output) for output in self.reference.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """The rows, and the unfolded graph that is being asked them.

    Attributes:
        drawn: The rows, before those are left out that would need tolerances of their own.
        synthetic: Whether the golden ones are synthetic.
        given: Whether the user gave samples.
        seed: Of the draw.
        signature: The model's.
        evaluation: The graph in float64 and in float32.
    """

    drawn: VerificationRows
    synthetic: bool
    given: bool
    seed: int
    signature: Signature
    evaluation: Evaluation

    def expectation(self) -> Expectation:
        """What must be answered, once it is known.

        Raises:
            Refused: The model's own answers are not finite, or cannot be computed here.
        """
        reference, rows = finish_reference(self.evaluation, self.drawn)
        info = GoldenInfo(rows.golden, rows.stretched, self.synthetic, self.seed)
        given = rows.are_samples(golden=not self.synthetic) & self.given
        golden = make_golden(rows, reference, self.signature)
        return Expectation(rows, reference, golden, info, given, self.evaluation.unfolded("float32"))


@contextmanager
def asked(folded: FoldedModel, options: ExportOptions) -> Iterator[Question]:
    """Draws the rows, and has the reference computed beside whatever is done meanwhile.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
    """
    drawn, synthetic = _draw_rows(folded, options)
    with Evaluation(folded.graph, drawn.judged_inputs) as evaluation:
        start_reference(evaluation)
        yield Question(drawn, synthetic, options.samples is not None, options.seed, folded.signature, evaluation)


def expect(folded: FoldedModel, options: ExportOptions) -> Expectation:
    """Draws the rows and waits for the reference.

    Raises:
        SamplesError: The samples cannot be read or do not fit the model.
        Refused: The model's own answers are not finite, or cannot be computed here.
    """
    with asked(folded, options) as question:
        return question.expectation()


def diagnose(loaded: Loaded, folded: FoldedModel, expected: Expectation) -> tuple[Findings, Examination, Sensitivity]:
    """Looks at the model as it was before the fold and, where it is the same model, as it was given.

    Gives its behaviour in both learning phases, what the report's first page says is wrong with it, and how small a
    change of the folded model the golden samples notice.
    """
    given = loaded.model if folded.as_given else None
    rows, right = expected.rows.judged_inputs, expected.reference.outputs
    subject = Subject(folded.graph, given, rows, right, expected.given, expected.unfolded)
    joint = joined(subject)
    known = gaps_of(subject, joint) if joint is not None and joint.is_phase_1 else None
    findings = find(given, folded.graph, expected.unfolded.named, rows, right, known)
    limits = {name: expected.reference.limit(name) for name in expected.promised}
    noticed = sensitivity(folded.model, expected.rows.golden_inputs, expected.promised)
    return findings, examine(subject, findings, limits, joint), noticed


def _draw_rows(folded: FoldedModel, options: ExportOptions) -> tuple[VerificationRows, bool]:
    """The rows to judge, the first of which become golden, and whether those are synthetic."""
    wanted = max(options.golden, MIN_JUDGED)
    synthetic = options.samples is None or options.golden_synthetic
    drawn = synthesize(folded.graph, folded.signature, wanted, options.seed) if synthetic else None
    if drawn is not None and options.samples is None:
        rows = choose_rows(drawn, options.golden, options.seed)
    else:
        assert options.samples is not None
        rows = choose_rows(
            _fitted(options.samples, folded.signature), options.golden, options.seed, _head(drawn, options.golden)
        )
    return rows, synthetic


def _fitted(samples: Path | str | Array | Arrays, signature: Signature) -> Arrays:
    if isinstance(samples, str | Path):
        return read_samples(Path(samples), signature)
    return fit_samples(samples, signature)


def _head(drawn: Arrays | None, rows: int) -> Arrays | None:
    return None if drawn is None else {name: array[:rows] for name, array in drawn.items()}
