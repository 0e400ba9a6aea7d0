"""Keras model to graph: nested models flattened, phases stripped, the model left as it was."""

from typing import Any

import keras

from ..errors import Refused
from .entry import Entry, entry
from .ir import INPUT, Graph, Ref, TensorSpec, live
from .layout import channels_last
from .limits import check, check_output
from .names import tensor_names
from .walk import Walker


def trace(model: Any) -> Graph:
    """Read a Keras 3 model into a graph for inference.

    Nested models become flat, at any depth; layers that say nothing in inference (dropout, noise, augmentation) are
    bypassed; ``training`` arguments are stripped and remembered on the node; subclassed models and layers that hold
    such layers are read by calling their ``call`` on symbolic inputs. Shared layers stay shared. Channels-first layers
    become channels-last, with a transposition at the border.

    Args:
        model: a built `keras.Model`. It is not changed: no weight, flag, name or call history.

    Raises:
        Refused: the model holds something that cannot be served safely; the message names the layer and the remedy.
    """
    if not isinstance(model, keras.Model):
        raise Refused(f"Expected a Keras model, received {type(model).__name__}. Load the model first.")
    check(model)
    start = entry(model)
    walker = Walker(model)
    refs = [Ref(INPUT, position) for position in range(len(start.inputs))]
    for ref, spec in zip(refs, start.inputs, strict=True):
        walker.specs[ref] = spec
    outputs, structure, names = walker.enter(model, start, refs)
    return channels_last(_graph(model, start, walker, outputs, structure, names))


def _graph(model: Any, start: Entry, walker: Walker, outputs: list[Ref], structure: Any, names: list[str]) -> Graph:
    specs = [walker.specs[ref] for ref in outputs]
    named = tensor_names(names, "output", [spec.name for spec in start.inputs])  # ONNX has one space of names
    for name, spec in zip(named, specs, strict=True):
        check_output(name, spec)
    return Graph(
        name=model.name,
        nodes=live(walker.nodes, outputs),
        inputs=start.inputs,
        outputs=tuple(TensorSpec(n, s.shape, s.dtype) for n, s in zip(named, specs, strict=True)),
        output_refs=tuple(outputs),
        input_structure=start.structure,
        output_structure=structure,
    )
