"""Source of drawn inputs that suit a model: in sizes and with values that it can be computed on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from foldserve_contract.signature import Array, Arrays, Signature, TensorSpec

from ..computation import computation_error, failing_layer, is_of_machine
from ..errors import Refused
from ..graph import Graph, trace
from ..graph.instantiate import is_stock
from .index_ranges import index_ranges
from .model_walk import ModelWalk, RowShapes, walk_values
from .size_search import OpenSizes, find_sizes, has_open_sizes
from .synthetic import default_shapes, synthesize

_TRIED = 2


@dataclass(frozen=True, slots=True, eq=False)
class InputSource:
    """Source of drawn inputs.

    Attributes:
        graph: The model.
        opened: The same, with custom layers traced into where they can be.
        signature: The model's.
        sizes: Row shapes that suit it: those to draw in, then further ones; only the first where nothing is open.
    """

    graph: Graph
    opened: Graph
    signature: Signature
    sizes: tuple[RowShapes, ...]

    @property
    def whole(self) -> dict[str, Array]:
        """By input of floats, mask of a row's elements that are whole numbers to look something up by."""
        return self.whole_at(0)

    def whole_at(self, sizes: int) -> dict[str, Array]:
        """The same in the sizes of this number."""
        ranges = index_ranges(self.opened, self.sizes[sizes])
        masks = {spec.name: limits.is_index for spec, limits in zip(self.signature.inputs, ranges, strict=True)}
        return {spec.name: masks[spec.name] for spec in self.signature.inputs if _is_whole(spec, masks[spec.name])}

    def draw(self, rows: int, seed: int, sizes: int = 0) -> dict[str, Array]:
        """Draws random rows for every input, the same for the same seed, in the sizes of this number."""
        return synthesize(self.graph, self.signature, rows, seed, self.sizes[sizes], self.opened)


def sizes_of(inputs: Arrays, signature: Signature) -> RowShapes:
    """The sizes of given inputs."""
    return tuple(inputs[spec.name].shape[1:] for spec in signature.inputs)


def source_for(graph: Graph, model: Any, signature: Signature, sizes: RowShapes | None = None) -> InputSource:
    """Finds inputs that suit a model, and computes it on some where sizes or values had to be chosen.

    Args:
        graph: The model.
        model: A functional `keras.Model` made from it, or from which it was made.
        signature: Names, dtypes and shapes of its inputs, in that order.
        sizes: Row shapes to draw in, those of the user's samples.

    Raises:
        Refused: No sizes fit, or the model cannot be computed on what is drawn; the message names the layer.
    """
    opened = _opened(graph, model)

    def trial(shapes: RowShapes) -> ModelWalk:
        drawn = synthesize(graph, signature, _TRIED, 0, shapes, opened)
        return walk_values(model, [drawn[spec.name] for spec in signature.inputs])

    if sizes is not None:
        return InputSource(graph, opened, signature, (sizes,))
    if has_open_sizes(signature.inputs):
        found = find_sizes(model, signature.inputs, trial)
        _require_sizes(found, signature.inputs)
        return InputSource(graph, opened, signature, found.fitting)
    usual = default_shapes(signature.inputs)
    source = InputSource(graph, opened, signature, (usual,))
    if source.whole or not all(spec.dtype.startswith("float") for spec in signature.inputs):
        _require_suitable(trial(usual))
    return source


def _is_whole(spec: TensorSpec, mask: Array) -> bool:
    return spec.dtype.startswith("float") and bool(mask.any())


@contextmanager
def refusing_unsuitable(model: Any, *, drawn: bool) -> Iterator[None]:
    """Refuses, by the layer's name, inputs on which TensorFlow cannot compute a model.

    Args:
        model: The functional `keras.Model`.
        drawn: True if inputs were drawn, False if all of them are the user's samples.

    Raises:
        Refused: TensorFlow failed; where the machine is the cause (no kernel, no memory), the message says so.
    """
    try:
        yield
    except tf.errors.OpError as error:
        layer, reason = (
            failing_layer(error, [operation.name for operation in model.operations]),
            computation_error(error),
        )
        if is_of_machine(error):
            place = layer or "one of its layers"
            raise Refused(f"the model itself cannot be computed on this machine ({place}): {reason}") from error
        raise Refused(_unsuitable(layer, reason, drawn)) from error


def _unsuitable(layer: str, reason: str, drawn: bool) -> str:
    place = f"layer {layer!r}" if layer else "the model"
    if drawn:
        which, remedy = "the drawn samples do not suit the model", "Give real inputs with --samples"
    else:
        which, remedy = "the samples do not suit the model", "Give inputs as the model takes them"
    return f"{which}: {place} cannot be computed on them: {reason}. {remedy}"


def _opened(graph: Graph, model: Any) -> Graph:
    """The graph with every custom layer traced into, where there are any."""
    if all(is_stock(node.op.kind) and node.op.kind is not keras.layers.Lambda for node in graph.nodes):
        return graph
    try:
        return trace(model, custom=True)
    except Refused:  # what stands in the way of looking into a custom layer is none of its other uses
        return graph


def _require_sizes(found: OpenSizes, inputs: tuple[TensorSpec, ...]) -> None:
    if found.fitting:
        return
    assert found.failed is not None
    names = ", ".join(repr(spec.name) for spec in inputs if has_open_sizes((spec,)))
    raise Refused(
        f"no sizes were found for the open dimensions of the input {names} at which every layer has something left: "
        f"layer {found.failed.layer!r}: {found.failed.reason}. Give real inputs with --samples, whose sizes are taken"
    )


def _require_suitable(walk: ModelWalk) -> None:
    if not walk.fits:
        raise Refused(_unsuitable(walk.layer, walk.reason, drawn=True))
