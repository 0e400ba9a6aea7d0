"""Tracer: follows a model call by call and records one node for each call that inference needs."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import keras

from ..errors import Refused
from . import keras_private as private
from . import operations, time_distributed, unreadable_layer
from .call_checks import check_plain, check_size
from .inference_mode import is_training_only, overrides_training_only
from .inlining import check_leaf, is_inlined, makes_masks
from .ir import Node, Op, Ref, TensorInfo, map_refs
from .model_inputs import ModelInputs, keys_in_order
from .own_calls import is_own_layer, record_own_call
from .random_ops import RANDOM_IN_INFERENCE, recorded_random_ops
from .read_op import read_op
from .symbolic_tensors import constant_of, output_specs, tensor_info, without_phase
from .unreadable_layer import RandomCall, UnreadableCall


class Tracer:
    """Collects the nodes of a model; a nested model is inlined in place of its call.

    Attributes:
        masked: True if masks travel beside the tensors of the model.
        float_dtype: The dtype of the symbolic tensors that a layer's ``call`` is followed with.
        custom: True if every custom layer is traced into.
        nodes: The nodes recorded so far; a node's key is its position here.
        specs: Name, shape and dtype of every tensor recorded so far.
        rows: For a tensor of steps that was made by a reshape of rows, the tensor of rows (see `time_distributed`).
    """

    def __init__(self, model: Any, float_dtype: str = "float32", custom: bool = False) -> None:
        self.masked = makes_masks(model)
        self.float_dtype = float_dtype
        self.custom = custom
        self.nodes: list[Node] = []
        self.specs: dict[Ref, TensorInfo] = {}
        self.rows: dict[Ref, Ref] = {}
        self._ops: dict[int, Op] = {}
        self._alive: list[Any] = []  # objects known by their id, which must not be used again for another object
        self._calls: Counter[int] = Counter()
        self._phases: list[bool | None] = [None]  # the `training` argument of each call that is being inlined

    def enter(self, model: Any, start: ModelInputs, refs: list[Ref]) -> tuple[list[Ref], Any, list[str]]:
        """Trace the outermost model: its output refs, their structure and the names of the layers that make them."""
        inner = private.functional(model)
        if inner is None:
            feed = keras.tree.map_structure(lambda position: refs[position], start.structure)
            return self._outputs(self._subclassed(model, feed), None)
        return self._outputs(self.inline(inner, refs, ""), private.output_structure(inner))

    def _subclassed(self, model: Any, feed: Any) -> Any:
        """Trace an outermost model that is a subclass; one that cannot be read becomes a single node."""
        try:
            return self.symbolic(model, (feed,), {}, "")
        except UnreadableCall as error:
            results = output_specs(model, self._symbolic_inputs(feed, {}, []))
            specs = tuple(tensor_info(tensor) for tensor in keras.tree.flatten(results))
            refs = self.record(self.unreadable_op(model, model.name, error), (feed,), {}, specs)
            return keras.tree.pack_sequence_as(results, refs)

    def _symbolic_inputs(self, structure: Any, ref_of: dict[int, Ref], inputs: list[Any]) -> Any:
        """The structure with a symbolic tensor for each ref; fills ``inputs``, and ``ref_of`` by the tensors' ids."""

        def symbolic_input(ref: Ref) -> Any:
            spec = self.specs[ref]
            tensor = keras.KerasTensor(spec.shape, self.float_dtype if spec.is_float else spec.dtype)
            ref_of[id(tensor)] = ref
            inputs.append(tensor)
            return tensor

        return map_refs(structure, symbolic_input)

    def _outputs(self, results: Any, tensors: Any) -> tuple[list[Ref], Any, list[str]]:
        structure = results if tensors is None else tensors
        flat = keras.tree.flatten(results)
        count = iter(range(len(flat)))
        positions = keras.tree.map_structure(lambda _: next(count), structure)
        names = [""] * len(flat)
        if tensors is not None:
            names = [private.input_layer(tensor).name for tensor in keras.tree.flatten(tensors)]
        if isinstance(structure, Mapping) and len(structure) == len(flat):
            names = keys_in_order(structure)
        return flat, positions, names

    def inline(self, model: Any, refs: list[Ref], scope: str) -> list[Ref]:
        """Record a functional model whose inputs are ``refs``; returns the refs of its outputs, flat.

        Raises:
            Refused: an operation in it takes functions as arguments: no class could be instantiated with them.
        """
        ref_of = {id(t): ref for t, ref in zip(model.inputs, self._cast_inputs(model, refs), strict=True)}
        try:
            self._follow(private.calls_in_order(model), ref_of, scope, private.fixed_batch(model))
        except UnreadableCall as error:
            raise Refused(
                f"{scope or model.name}: {error}, in which nothing can be seen or folded. Call it in call() of a "
                "layer of your own that has a get_config()."
            ) from error
        return [ref_of[id(tensor)] for tensor in model.outputs]

    def _follow(self, calls: list[Any], ref_of: dict[int, Ref], scope: str, batch: int | None = None) -> None:
        """Record Keras calls in order; ``ref_of`` maps ids of symbolic tensors to refs and gains the calls' results.

        ``batch`` is the number of rows that the model was built on, in whose place any number may come.
        """
        for call in calls:
            # a call that does not depend on the inputs alone is not part of this model
            if any(id(tensor) not in ref_of for tensor in call.input_tensors):
                continue
            args, kwargs = keras.tree.map_structure(
                lambda leaf: ref_of[id(leaf)] if isinstance(leaf, keras.KerasTensor) else constant_of(leaf),
                (call.arguments.args, call.arguments.kwargs),
            )
            check_plain(call)
            specs = tuple(tensor_info(tensor, batch) for tensor in call.outputs)
            for tensor, ref in zip(call.outputs, self.call(call.operation, args, kwargs, specs, scope), strict=True):
                ref_of[id(tensor)] = ref

    def call(
        self,
        operation: Any,
        args: Any,
        kwargs: dict[str, Any],
        specs: tuple[TensorInfo, ...],
        scope: str,
        name: str | None = None,
    ) -> list[Ref]:
        """Record one call of a layer or operation; returns the refs of its results.

        ``name`` replaces the operation's own name where the operation is inside a wrapper.
        """
        path = f"{scope}/{name or operation.name}" if scope else name or operation.name
        # training-only layers leave no node of their own
        if is_training_only(operation):
            return self._bypass(keras.tree.flatten(args)[:1], specs, path)
        # a wrapper whose kernel is normalized already: the layer in it is called instead
        if isinstance(operation, keras.layers.SpectralNormalization):
            return self.call(operation.layer, args, without_phase(kwargs), specs, scope, name or operation.name)
        try:
            return self._read(operation, args, kwargs, specs, path)
        # the layer becomes a single node of which copies run its own code, unless that may be random
        except UnreadableCall as error:
            if overrides_training_only(operation):
                raise Refused(unreadable_layer.custom_training_layer_error(operation, path)) from error
            refused = error  # the name of a caught exception ends with its block
            return self._leaf(
                operation, lambda: self.unreadable_op(operation, path, refused), args, kwargs, specs, path
            )

    def _read(
        self, operation: Any, args: Any, kwargs: dict[str, Any], specs: tuple[TensorInfo, ...], path: str
    ) -> list[Ref]:
        """Record a call, inlined where inference has to know what it consists of.

        Raises:
            UnreadableCall: it would have to be inlined and cannot be read.
        """
        if type(operation) is keras.layers.TimeDistributed:
            source, masked = keras.tree.flatten(args)[0], self._may_be_masked(path, kwargs)
            lowered = time_distributed.lower(self, operation, source, specs, path, masked=masked)
            if lowered is not None:
                return lowered
        inner = private.functional(operation)
        if inner is not None or is_inlined(operation, self.masked, self.custom):
            return self._enter_nested(operation, inner, args, kwargs, path)
        check_leaf(operation)
        return self._leaf(operation, lambda: self.op(operation, path), args, kwargs, specs, path)

    def _leaf(
        self,
        operation: Any,
        make_op: Callable[[], Op],
        args: Any,
        kwargs: dict[str, Any],
        specs: tuple[TensorInfo, ...],
        path: str,
    ) -> list[Ref]:
        """Record a call as a single node, unless it is a layer of the user's own that passes its inputs on."""
        if is_own_layer(operation):
            return record_own_call(self, operation, make_op, args, kwargs, specs, path)
        return self.record(make_op(), args, kwargs, specs)

    def _may_be_masked(self, path: str, kwargs: Mapping[str, Any]) -> bool:
        """True if a mask may reach a call: in a nested model it does not stand among the call's arguments."""
        return self.masked and (kwargs.get("mask") is not None or "/" in path)

    def _enter_nested(self, layer: Any, inner: Any, args: Any, kwargs: dict[str, Any], path: str) -> list[Ref]:
        """Inline a model or layer; a phase baked into its call holds for every layer in it without one of its own."""
        self._phases.append(self._phases[-1] if kwargs.get("training") is None else kwargs["training"])
        try:
            if inner is not None:
                return self.inline(inner, self._arguments(inner, args, kwargs), path)
            return list(keras.tree.flatten(self.symbolic(layer, args, kwargs, path)))
        finally:
            self._phases.pop()

    def record(self, op: Op, args: Any, kwargs: dict[str, Any], specs: tuple[TensorInfo, ...]) -> list[Ref]:
        """Add one node; returns the refs of its results."""
        node = Node(
            key=len(self.nodes),
            op=op,
            args=tuple(args),
            kwargs=without_phase(kwargs),
            outputs=specs,
            call=self._calls[id(op)],
            training=self._phases[-1] if kwargs.get("training") is None else kwargs["training"],
        )
        self._calls[id(op)] += 1
        self.nodes.append(node)
        refs = [Ref(node.key, position) for position in range(len(specs))]
        self.specs.update(zip(refs, specs, strict=True))
        return refs

    def symbolic(self, layer: Any, args: Any, kwargs: dict[str, Any], scope: str) -> Any:
        """Record a subclassed model or layer by its ``call`` on symbolic tensors; refs in its output's structure.

        Raises:
            UnreadableCall: ``call`` does something that symbolic tensors cannot go through.
        """
        ref_of: dict[int, Ref] = {}
        inputs: list[Any] = []
        # symbolic tensors for the refs among the arguments, and learning phase 0 where the call takes a phase
        call_args, call_kwargs = self._symbolic_inputs((tuple(args), without_phase(kwargs)), ref_of, inputs)
        if private.accepts(layer, "training"):
            call_kwargs["training"] = False
        # the call itself: nothing that it assigns or appends stays on the layer
        quiet = private.without_losses_and_metrics(layer)
        with private.restored_call_history(layer), quiet, keras.StatelessScope():
            try:
                with recorded_random_ops() as random_ops:
                    results = layer.call(*call_args, **call_kwargs)
            except Exception as error:
                raise UnreadableCall(unreadable_layer.failure_reason(error)) from error
            # a number drawn now would be a constant of the graph
            if random_ops:
                raise RandomCall(f"{scope or layer.name}: {RANDOM_IN_INFERENCE}")
            # the calls that lead from its inputs to its results, while the history is there
            self._alive.append(results)
            self._follow(private.calls_between(inputs, keras.tree.flatten(results)), ref_of, scope)
        return keras.tree.map_structure(lambda tensor: ref_of[id(tensor)], results)

    def _arguments(self, model: Any, args: Any, kwargs: dict[str, Any]) -> list[Ref]:
        """The refs that a call feeds a functional model with, in the order of its inputs."""
        feed = args[0] if args else kwargs["inputs"]
        if isinstance(feed, Mapping) and not isinstance(private.input_structure(model), Mapping):
            return [feed[tensor.name] for tensor in model.inputs]
        return list(keras.tree.flatten(feed))

    def _cast_inputs(self, model: Any, refs: list[Ref]) -> list[Ref]:
        """Cast between integers and floats where a nested model takes the other kind, as Keras does."""
        expected = [tensor_info(tensor) for tensor in model.inputs]
        return [self.as_specified(ref, spec) for ref, spec in zip(refs, expected, strict=True)]

    def _bypass(self, refs: list[Ref], specs: tuple[TensorInfo, ...], path: str) -> list[Ref]:
        check_size(path, self.specs[refs[0]], specs[0])
        return [self.as_specified(ref, spec) for ref, spec in zip(refs, specs, strict=True)]

    def as_specified(self, ref: Ref, expected: TensorInfo) -> Ref:
        """The tensor, cast where the other kind of number, integers or floats, is expected."""
        source = self.specs[ref]
        if source.dtype == expected.dtype or (source.is_float and expected.is_float):
            return ref
        operation = operations.cast(expected.dtype)
        spec = TensorInfo(operation.name, source.shape, expected.dtype)
        return self.record(self.op(operation, operation.name), (ref,), {}, (spec,))[0]

    def op(self, operation: Any, path: str) -> Op:
        """The op for a Keras layer or operation, one for all of its calls."""
        if id(operation) not in self._ops:
            self._alive.append(operation)
            self._ops[id(operation)] = read_op(operation, path)
        return self._ops[id(operation)]

    def unreadable_op(self, layer: Any, path: str, error: UnreadableCall) -> Op:
        """The op for a layer whose ``call`` cannot be read, one for all of its calls."""
        op = self.op(layer, path)
        if op.unreadable is None:
            refusal = str(error) if isinstance(error, RandomCall) else ""
            unreadable = unreadable_layer.read_unreadable(layer, path, str(error))
            op = replace(op, unreadable=unreadable, refusal=refusal)
            self._ops[id(layer)] = op
        return op
