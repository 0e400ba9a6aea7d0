"""Ways to spoil a SavedModel. Each is a name and a function that changes a directory in place."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from .weights import OF_ALL, Change, flipped_bit, of_one

Spoil = Callable[[Path], None]
PREFIX = "variables/variables"
DATA, INDEX, GRAPH = f"{PREFIX}.data-00000-of-00001", f"{PREFIX}.index", "saved_model.pb"
_SHARES = (0.0, 0.3, 0.9, 0.999)
_OTHERS = {"Relu": "Relu6", "AddV2": "Sub", "Softmax": "Softplus", "Mean": "Max", "BiasAdd": "Identity"}


def saved_model_spoils(directory: Path, seed: int = 0, draws: int = 3) -> Iterator[tuple[str, Spoil]]:
    """Changes to every file of the directory; the same for the same seed."""
    generator = np.random.default_rng(seed)
    for key, values in _floats(directory).items():
        for name, change in of_one(key.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"), values, generator, draws):
            yield name, _weights({key: change})
    for name, change in OF_ALL.items():
        yield name, _weights(dict.fromkeys(_floats(directory), change))
    yield from _exchanged(directory)
    yield from _of_graph(directory)
    yield from _of_files(directory, generator)


def _of_graph(directory: Path) -> Iterator[tuple[str, Spoil]]:
    for position, node in enumerate(_serving_nodes(_graph(directory))):
        if node.op in _OTHERS:
            yield f"{node.name} becomes {_OTHERS[node.op]}", _nodes(_retyped(position, _OTHERS[node.op]))
        for attribute in ("strides", "dilations"):
            if attribute in node.attr and len(node.attr[attribute].list.i) == 4:
                yield f"{node.name}: other {attribute}", _nodes(_turned(position, attribute))
        if node.op in ("Conv2D", "DepthwiseConv2dNative"):
            other = b"VALID" if node.attr["padding"].s == b"SAME" else b"SAME"
            yield f"{node.name}: padding {other.decode()}", _nodes(_padded(position, other))
        if node.op == "Const" and node.attr["dtype"].type in (tf.int32.as_datatype_enum, tf.float32.as_datatype_enum):
            yield f"{node.name}: another constant", _nodes(_other_constant(position))


def _of_files(directory: Path, generator: np.random.Generator) -> Iterator[tuple[str, Spoil]]:
    for file in (DATA, INDEX, GRAPH):
        content = (directory / file).read_bytes()
        for share in _SHARES:
            yield f"{file} cut off after {share:.1%}", _written(file, content[: int(share * len(content))])
        for _ in range(6):
            name, flipped = flipped_bit(content, generator)
            yield f"{file}: {name}", _written(file, flipped)
        yield f"{file} gone", partial(_removed, file)


def foreign(name: str, other: Path) -> Iterator[tuple[str, Spoil]]:
    """Replacements by another SavedModel, whole and in parts."""
    yield name, _taken(other, (DATA, INDEX, GRAPH))
    yield f"{name}: its variables alone", _taken(other, (DATA, INDEX))
    yield f"{name}: its graph alone", _taken(other, (GRAPH,))
    yield f"{name}: its variables.data alone", _taken(other, (DATA,))
    yield f"{name}: its variables.index alone", _taken(other, (INDEX,))


SOUND: dict[str, Spoil] = {
    "as it is": lambda path: None,
    "without a fingerprint": lambda path: (path / "fingerprint.pb").unlink(),
    "variables written again": lambda path: write_tensors(path, _tensors(path)),
    "other names of nodes": lambda path: _edit(path, _renamed),
}


def _exchanged(directory: Path) -> Iterator[tuple[str, Spoil]]:
    """Exchange of two variables of equal shapes."""
    tensors = _floats(directory)
    keys = sorted(tensors)
    for place, first in enumerate(keys):
        for second in keys[place + 1 :]:
            if tensors[first].shape == tensors[second].shape:
                changes = {first: lambda v, o=tensors[second]: o, second: lambda v, o=tensors[first]: o}
                yield f"{first.split('/')[1]} and {second.split('/')[1]} exchanged", _weights(changes)


def _tensors(directory: Path) -> dict[str, Any]:
    """Arrays by key, and the bytes of the object graph."""
    reader = tf.train.load_checkpoint(str(directory / PREFIX))
    return {key: reader.get_tensor(key) for key in sorted(reader.get_variable_to_shape_map())}


def _floats(directory: Path) -> dict[str, np.ndarray]:
    return {key: values for key, values in _tensors(directory).items() if isinstance(values, np.ndarray)}


def write_tensors(directory: Path, tensors: Mapping[str, Any]) -> None:
    """A checkpoint with the right checksums, as a tool that edits models would write it."""
    tf.raw_ops.SaveV2(
        prefix=str(directory / PREFIX),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=[tf.constant(values) for values in tensors.values()],
    )


def _weights(changes: Mapping[str, Change]) -> Spoil:
    def spoil(path: Path) -> None:
        tensors = _tensors(path)
        write_tensors(path, tensors | {key: change(tensors[key].copy()) for key, change in changes.items()})

    return spoil


def _graph(directory: Path) -> Any:
    return SavedModel.FromString((directory / GRAPH).read_bytes())


def _serving_nodes(model: Any) -> Any:
    """Nodes of the function that computes the answers."""
    functions = model.meta_graphs[0].graph_def.library.function
    return next(f for f in functions if f.signature.name.startswith("__inference_serve")).node_def


def _edit(path: Path, edit: Callable[[Any], None]) -> None:
    model = _graph(path)
    edit(model)
    (path / GRAPH).write_bytes(model.SerializeToString())


def _nodes(edit: Callable[[Any], None]) -> Spoil:
    return lambda path: _edit(path, lambda model: edit(_serving_nodes(model)))


def _removed(file: str, path: Path) -> None:
    (path / file).unlink()


def _retyped(position: int, kind: str) -> Callable[[Any], None]:
    def edit(nodes: Any) -> None:
        node = nodes[position]
        if kind == "Identity":
            del node.input[1:]
            node.attr.pop("data_format", None)
        node.op = kind

    return edit


def _turned(position: int, attribute: str) -> Callable[[Any], None]:
    def edit(nodes: Any) -> None:
        sizes = nodes[position].attr[attribute].list.i
        sizes[1], sizes[2] = sizes[1] + 1, sizes[2] + 1

    return edit


def _padded(position: int, padding: bytes) -> Callable[[Any], None]:
    def edit(nodes: Any) -> None:
        nodes[position].attr["padding"].s = padding

    return edit


def _other_constant(position: int) -> Callable[[Any], None]:
    def edit(nodes: Any) -> None:
        tensor = nodes[position].attr["value"].tensor
        values = tf.make_ndarray(tensor)
        tensor.CopyFrom(tf.make_tensor_proto(values[::-1] + 1 if values.ndim else values + 1))

    return edit


def _renamed(model: Any) -> None:
    for position, node in enumerate(_serving_nodes(model)):
        node.experimental_debug_info.original_node_names[:] = [f"node_{position}"]


def _written(file: str, content: bytes) -> Spoil:
    def spoil(path: Path) -> None:
        (path / file).write_bytes(content)

    return spoil


def _taken(other: Path, files: tuple[str, ...]) -> Spoil:
    def spoil(path: Path) -> None:
        for file in files:
            shutil.copyfile(other / file, path / file)

    return spoil
