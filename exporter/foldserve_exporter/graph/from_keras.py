"""Keras model to graph: nested models inlined, learning phases stripped, the model left as it was."""

from typing import Any

import keras

from ..errors import Refused
from .ir import INPUT, Graph, Ref, TensorInfo, live_nodes
from .layout import channels_last
from .losses import servable_outputs
from .model_checks import check_model
from .model_inputs import ModelInputs, read_inputs
from .open_sizes import with_open_upsampling
from .tracer import Tracer
from .unique_names import tensor_names


def trace(model: Any, *, servable: bool = True, custom: bool = False) -> Graph:
    """Read a Keras 3 model into a graph for inference.

    Nested models are inlined, at any depth; layers that act in training alone (dropout, noise, augmentation) are
    bypassed; ``training`` arguments are stripped and recorded on the node; subclassed models and layers that hold
    such layers are traced by calling their ``call`` on symbolic inputs. Shared layers stay shared. Channels-first
    layers become channels-last, with a transposition at the border.

    Args:
        model: a built `keras.Model`. It is not changed: no weight, flag, name or call history.
        servable: True to leave out outputs that are losses, and to refuse others that cannot be served; False for a
            graph that is going to be cut.
        custom: True if every custom layer is traced into where that can be, to look at and not to rebuild.

    Raises:
        Refused: the model holds something that cannot be served safely; the message names the layer and the remedy.
    """
    if not isinstance(model, keras.Model):
        raise Refused(f"Expected a Keras model, received {type(model).__name__}. Load the model first.")
    check_model(model)
    start = read_inputs(model)
    tracer = Tracer(model, custom=custom)
    refs = [Ref(INPUT, position) for position in range(len(start.inputs))]
    for ref, spec in zip(refs, start.inputs, strict=True):
        tracer.specs[ref] = spec
    outputs, structure, names = tracer.enter(model, start, refs)
    graph = with_open_upsampling(channels_last(_graph(model, start, tracer, outputs, structure, names)))
    return servable_outputs(graph) if servable else graph


def _graph(
    model: Any, start: ModelInputs, tracer: Tracer, outputs: list[Ref], structure: Any, names: list[str]
) -> Graph:
    specs = [tracer.specs[ref] for ref in outputs]
    named = tensor_names(names, "output", [spec.name for spec in start.inputs])  # ONNX has a single name space
    return Graph(
        name=model.name,
        nodes=live_nodes(tracer.nodes, outputs),
        inputs=start.inputs,
        outputs=tuple(TensorInfo(n, s.shape, s.dtype) for n, s in zip(named, specs, strict=True)),
        output_refs=tuple(outputs),
        input_structure=start.structure,
        output_structure=structure,
    )
