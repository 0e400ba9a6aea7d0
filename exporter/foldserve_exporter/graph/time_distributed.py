"""TimeDistributed without the wrapper: the steps become rows of the batch, or the layer works on all of them at once.

Keras unrolls a TimeDistributed into one copy of the layer a step, or into a loop where the number of steps is open.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import keras

from ..errors import Refused
from . import keras_private as private
from . import operations
from .ir import Op, Ref, Shape, TensorSpec
from .opaque import Unreadable
from .silence import has_phase, is_silent

if TYPE_CHECKING:
    from .walk import Walker

_L = keras.layers
POINTWISE = (_L.Dense, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.Activation, _L.Identity, _L.Rescaling)


def lower(walker: "Walker", wrapper: Any, source: Ref, specs: tuple[TensorSpec, ...], path: str) -> list[Ref] | None:
    """The nodes that compute what a TimeDistributed does; None where it has to stay as it is.

    Raises:
        Refused: the number of steps is open.
        Unreadable: it has to stay, and holds BatchNormalization or dropout.
    """
    layer = wrapper.layer
    if is_silent(layer):
        return [source]
    if source not in walker.rows and isinstance(layer, _L.BatchNormalization):
        return walker.record(_shifted(walker.op(layer, path)), (source,), {}, specs)
    if source not in walker.rows and type(layer) in POINTWISE:
        return walker.record(walker.op(layer, path), (source,), {}, specs)
    sizes = (*walker.specs[source].shape[1:], *specs[0].shape[1:])
    if sizes[0] is None:
        raise Refused(_open_steps(path))
    if walker.masked or None in sizes:
        _check_silent(layer)
        return None
    return [_as_rows(walker, layer, source, specs[0], path)]


def _as_rows(walker: "Walker", layer: Any, source: Ref, result: TensorSpec, path: str) -> Ref:
    """Steps to rows, the layer, rows to steps; where rows were made steps just before, both are left out."""
    rows = walker.rows.get(source)
    if rows is None:
        rows = _reshaped(walker, source, walker.specs[source].shape[2:], f"{path}/rows")
    inner = private.functional(layer)
    if inner is not None:
        answer = walker.inline(inner, [rows], path)[0]
    else:
        spec = replace(result, shape=(None, *result.shape[2:]))
        scope, _, name = path.rpartition("/")
        answer = walker.call(layer, (rows,), {}, (spec,), scope, name)[0]
    steps = _reshaped(walker, answer, result.shape[1:], f"{path}/steps")
    walker.rows[steps] = answer
    return steps


def _reshaped(walker: "Walker", source: Ref, shape: Shape, path: str) -> Ref:
    op = operations.reshape(path, (-1, *(int(n or 0) for n in shape)))
    spec = TensorSpec(path.rsplit("/", 1)[-1], (None, *shape), walker.specs[source].dtype)
    return walker.record(op, (source,), {}, (spec,))[0]


def _shifted(op: Op) -> Op:
    """BatchNormalization counts its axis within a step."""
    axis = op.config["axis"]
    axis = axis[0] if isinstance(axis, list | tuple) else axis
    config: Mapping[str, Any] = {**op.config, "axis": axis + 1 if axis > 0 else axis}
    return replace(op, config=config)


def _open_steps(path: str) -> str:
    """Keras 3.15 goes through as many steps as the batch has rows, once it is traced by TensorFlow."""
    return (
        f"{path}: over an open number of steps Keras computes a TimeDistributed wrongly in every SavedModel. "
        "Give the Input a fixed number of steps."
    )


def _check_silent(layer: Any) -> None:
    if has_phase(layer) or any(map(has_phase, private.sublayers(layer))):
        raise Unreadable("what a TimeDistributed holds is read where every size is fixed and nothing masks")
