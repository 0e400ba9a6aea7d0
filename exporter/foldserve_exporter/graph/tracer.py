"""Walk through a model call by call and write down one node for each that inference needs."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from . import operations, time_distributed, unreadable_layer
from .inference_mode import is_training_only, overrides_training_only
from .inlining import check_leaf, is_inlined, makes_masks
from .instantiate import is_stock
from .ir import Node, Op, Ref, TensorInfo, as_array, map_refs
from .layer_config import with_custom_functions
from .lora import read_weights, without_adapter
from .model_inputs import ModelInputs
from .random_ops import RANDOM_IN_INFERENCE, recorded_random_ops
from .unreadable_layer import UnreadableCall


class Tracer:
    """Collects nodes while models are entered, each nested one in place of its call."""

    def __init__(self, model: Any) -> None:
        self.masked = makes_masks(model)
        self.nodes: list[Node] = []
        self.specs: dict[Ref, TensorInfo] = {}
        self.rows: dict[Ref, Ref] = {}
        self._ops: dict[int, Op] = {}
        self._kept: list[Any] = []
        self._calls: Counter[int] = Counter()
        self._baked: list[bool | None] = [None]

    def enter(self, model: Any, start: ModelInputs, refs: list[Ref]) -> tuple[list[Ref], Any, list[str]]:
        """Walk the outermost model: its output refs, their structure and the names of the layers that make them."""
        inner = private.functional(model)
        if inner is None:
            feed = keras.tree.map_structure(lambda position: refs[position], start.structure)
            return self._outputs(self._subclassed(model, feed), None)
        return self._outputs(self.inline(inner, refs, ""), private.output_structure(inner))

    def _subclassed(self, model: Any, feed: Any) -> Any:
        """The outermost model, where it is a class: read, or left whole."""
        try:
            return self.symbolic(model, (feed,), {}, "")
        except UnreadableCall as error:
            tensors = self._stand_ins(feed, {}, [])
            results = model.compute_output_spec(tensors)
            specs = tuple(_spec(tensor) for tensor in keras.tree.flatten(results))
            refs = self.record(self.unreadable_op(model, model.name, error), (feed,), {}, specs)
            return keras.tree.pack_sequence_as(results, refs)

    def _stand_ins(self, structure: Any, known: dict[int, Ref], inputs: list[Any]) -> Any:
        """Symbolic tensors in the place of refs: listed, and by their ids what each stands for."""

        def stand_in(ref: Ref) -> Any:
            spec = self.specs[ref]
            tensor = keras.KerasTensor(spec.shape, "float32" if spec.is_float else spec.dtype)
            known[id(tensor)] = ref
            inputs.append(tensor)
            return tensor

        return map_refs(structure, stand_in)

    def _outputs(self, results: Any, tensors: Any) -> tuple[list[Ref], Any, list[str]]:
        structure = results if tensors is None else tensors
        flat = keras.tree.flatten(results)
        count = iter(range(len(flat)))
        positions = keras.tree.map_structure(lambda _: next(count), structure)
        names = [""] * len(flat)
        if tensors is not None:
            names = [private.input_layer(tensor).name for tensor in keras.tree.flatten(tensors)]
        if isinstance(structure, Mapping) and len(structure) == len(flat):
            names = [str(key) for key in keras.tree.flatten({key: key for key in structure})]
        return flat, positions, names

    def inline(self, model: Any, refs: list[Ref], scope: str) -> list[Ref]:
        """Walk a functional model whose inputs are ``refs``; its outputs' refs, flat.

        Raises:
            Refused: an operation in it is given functions: there is no class that could be made anew with them.
        """
        known = {id(t): ref for t, ref in zip(model.inputs, self._fit(model, refs), strict=True)}
        try:
            self._follow(private.calls_in_order(model), known, scope)
        except UnreadableCall as error:
            raise Refused(
                f"{scope or model.name}: {error}, in which nothing can be seen or folded. Call it in call() of a "
                "layer of your own that has a get_config()."
            ) from error
        return [known[id(tensor)] for tensor in model.outputs]

    def _follow(self, calls: list[Any], known: dict[int, Ref], scope: str) -> None:
        for call in calls:
            if any(id(tensor) not in known for tensor in call.input_tensors):
                continue
            args, kwargs = keras.tree.map_structure(
                lambda leaf: known[id(leaf)] if isinstance(leaf, keras.KerasTensor) else _constant(leaf),
                (call.arguments.args, call.arguments.kwargs),
            )
            _check_plain(call)
            specs = tuple(_spec(tensor) for tensor in call.outputs)
            for tensor, ref in zip(call.outputs, self.call(call.operation, args, kwargs, specs, scope), strict=True):
                known[id(tensor)] = ref

    def call(
        self,
        operation: Any,
        args: Any,
        kwargs: dict[str, Any],
        specs: tuple[TensorInfo, ...],
        scope: str,
        name: str | None = None,
    ) -> list[Ref]:
        """Write down one call, in the way that fits what is called; the refs of its results.

        ``name`` stands in for the operation's own, where that hides in a wrapper.
        """
        path = f"{scope}/{name or operation.name}" if scope else name or operation.name
        if is_training_only(operation):
            return self._bypass(keras.tree.flatten(args)[:1], specs, path)
        if isinstance(operation, keras.layers.SpectralNormalization):
            return self.call(operation.layer, args, _without_phase(kwargs), specs, scope, name or operation.name)
        try:
            return self._read(operation, args, kwargs, specs, path)
        except UnreadableCall as error:
            if overrides_training_only(operation):
                raise Refused(unreadable_layer.custom_training_layer_error(operation, path)) from error
            return self.record(self.unreadable_op(operation, path, error), args, kwargs, specs)

    def _read(
        self, operation: Any, args: Any, kwargs: dict[str, Any], specs: tuple[TensorInfo, ...], path: str
    ) -> list[Ref]:
        """Write down a call as what it consists of where that matters.

        Raises:
            Unreadable: it matters and cannot be found out.
        """
        if type(operation) is keras.layers.TimeDistributed:
            lowered = time_distributed.lower(self, operation, keras.tree.flatten(args)[0], specs, path)
            if lowered is not None:
                return lowered
        inner = private.functional(operation)
        if inner is not None or is_inlined(operation, self.masked):
            return self._enter_nested(operation, inner, args, kwargs, path)
        check_leaf(operation)
        return self.record(self.op(operation, path), args, kwargs, specs)

    def _enter_nested(self, layer: Any, inner: Any, args: Any, kwargs: dict[str, Any], path: str) -> list[Ref]:
        """A phase that is baked into the call of a model holds for every layer in it that has none of its own."""
        self._baked.append(self._baked[-1] if kwargs.get("training") is None else kwargs["training"])
        try:
            if inner is not None:
                return self.inline(inner, self._arguments(inner, args, kwargs), path)
            return list(keras.tree.flatten(self.symbolic(layer, args, kwargs, path)))
        finally:
            self._baked.pop()

    def record(self, op: Op, args: Any, kwargs: dict[str, Any], specs: tuple[TensorInfo, ...]) -> list[Ref]:
        """Add one node and name its results."""
        node = Node(
            key=len(self.nodes),
            op=op,
            args=tuple(args),
            kwargs=_without_phase(kwargs),
            outputs=specs,
            call=self._calls[id(op)],
            training=self._baked[-1] if kwargs.get("training") is None else kwargs["training"],
        )
        self._calls[id(op)] += 1
        self.nodes.append(node)
        refs = [Ref(node.key, position) for position in range(len(specs))]
        self.specs.update(zip(refs, specs, strict=True))
        return refs

    def symbolic(self, layer: Any, args: Any, kwargs: dict[str, Any], scope: str) -> Any:
        """Walk a subclassed model or layer by calling its ``call`` on symbolic tensors; refs in its output's structure.

        Raises:
            Unreadable: ``call`` does something that symbolic tensors cannot go through.
        """
        known: dict[int, Ref] = {}
        inputs: list[Any] = []
        fed, words = self._stand_ins((tuple(args), _without_phase(kwargs)), known, inputs)
        if private.accepts(layer, "training"):
            words["training"] = False
        with private.restored_call_history(layer), keras.StatelessScope():  # what a call assigns, it assigns to nobody
            try:
                with recorded_random_ops() as drawn:
                    results = layer.call(*fed, **words)
            except Exception as error:
                raise UnreadableCall(unreadable_layer.failure_reason(error)) from error
            if drawn:
                raise Refused(f"{scope or layer.name}: {RANDOM_IN_INFERENCE}")
            self._kept.append(results)
            self._follow(private.calls_between(inputs, keras.tree.flatten(results)), known, scope)
        return keras.tree.map_structure(lambda tensor: known[id(tensor)], results)

    def _arguments(self, model: Any, args: Any, kwargs: dict[str, Any]) -> list[Ref]:
        fed = args[0] if args else kwargs["inputs"]
        wanted = private.input_structure(model)
        if isinstance(fed, Mapping) and not isinstance(wanted, Mapping):
            return [fed[tensor.name] for tensor in model.inputs]
        return list(keras.tree.flatten(fed))

    def _fit(self, model: Any, refs: list[Ref]) -> list[Ref]:
        """Cast where a nested model takes another kind of number than it is fed, as Keras does."""
        wanted = [_spec(tensor) for tensor in model.inputs]
        return [self._cast(ref, spec) for ref, spec in zip(refs, wanted, strict=True)]

    def _bypass(self, refs: list[Ref], specs: tuple[TensorInfo, ...], path: str) -> list[Ref]:
        _check_size(path, self.specs[refs[0]], specs[0])
        return [self._cast(ref, spec) for ref, spec in zip(refs, specs, strict=True)]

    def _cast(self, ref: Ref, wanted: TensorInfo) -> Ref:
        given = self.specs[ref]
        if given.dtype == wanted.dtype or (given.is_float and wanted.is_float):
            return ref
        operation = operations.cast(wanted.dtype)
        spec = TensorInfo(operation.name, given.shape, wanted.dtype)
        return self.record(self.op(operation, operation.name), (ref,), {}, (spec,))[0]

    def op(self, operation: Any, path: str) -> Op:
        """The op for a Keras layer or operation, one for all of its calls."""
        if id(operation) not in self._ops:
            self._kept.append(operation)
            self._ops[id(operation)] = _read(operation, path)
        return self._ops[id(operation)]

    def unreadable_op(self, layer: Any, path: str, error: UnreadableCall) -> Op:
        """The op for a layer whose ``call`` cannot be read, one for all of its calls."""
        op = self.op(layer, path)
        if op.unreadable is None:
            op = replace(op, unreadable=unreadable_layer.read_unreadable(layer, path, str(error)))
            self._ops[id(layer)] = op
        return op


def _read(operation: Any, path: str) -> Op:
    kind = type(operation)
    if not isinstance(operation, keras.layers.Layer):
        return Op(path, kind, template=private.detached(operation))
    weights = read_weights(operation)
    if isinstance(operation, keras.layers.Lambda):
        return Op(path, kind, {"dtype": "float32"}, weights, template=operation)
    try:
        config = without_adapter(private.config_of(operation))
        return Op(path, kind, with_custom_functions(operation, config) if is_stock(kind) else config, weights)
    except Exception as error:  # Keras 3.11 stumbles over its own message
        raise Refused(
            f"{path}: {kind.__name__} has no get_config(). Give the class one that returns its constructor arguments."
        ) from error


def _check_size(path: str, given: TensorInfo, wanted: TensorInfo) -> None:
    if given.shape != wanted.shape:
        raise Refused(
            f"{path}: outside of training it lets tensors of {given.shape} through whole, though the layers "
            f"behind it are made for {wanted.shape}. Put a CenterCrop or a Resizing in the place of a RandomCrop."
        )


def _check_plain(call: Any) -> None:
    """An operation that is given functions, such as ``keras.ops.cond``, reads what they close over unseen."""
    if isinstance(call.operation, keras.layers.Layer):
        return
    given = [*keras.tree.flatten((call.arguments.args, call.arguments.kwargs)), *private.functions_of(call.operation)]
    if any(callable(each) for each in given):
        raise UnreadableCall(
            f"it gives functions to {call.operation.name!r}, a {type(call.operation).__name__} of keras.ops"
        )


def _without_phase(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in kwargs.items() if key != "training"}


def _constant(leaf: Any) -> Any:
    """A tensor or variable captured by a call becomes an array; anything else stays."""
    return as_array(leaf) if keras.ops.is_tensor(leaf) or isinstance(leaf, keras.Variable) else leaf


def _spec(tensor: Any) -> TensorInfo:
    return TensorInfo(tensor.name, tuple(tensor.shape), str(tensor.dtype))
