"""Ways to spoil `model.keras`. Each is a name and a function from the sound file's content to a spoiled one's."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import h5py
import numpy as np

from .weights import OF_ALL, Change, cut_off, flipped_bit, of_one, replaced

Spoil = Callable[[bytes], bytes]
WEIGHTS, CONFIG, METADATA = "model.weights.h5", "config.json", "metadata.json"
_SHARES = (0.0, 0.5, 0.9, 0.999)
_HALF = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}, "registered_name": None}
_CONFIG: dict[str, dict[str, Any]] = {
    "Conv2D": {"activation": "relu", "padding": "valid", "strides": [2, 2], "dilation_rate": [2, 1], "use_bias": False},
    "DepthwiseConv2D": {"activation": "tanh", "padding": "valid", "dilation_rate": [2, 2]},
    "SeparableConv2D": {"activation": "relu", "strides": [1, 1], "padding": "same"},
    "Dense": {"activation": "sigmoid", "dtype": _HALF, "units": 4},
    "ReLU": {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.2},
    "GlobalAveragePooling2D": {"keepdims": True},
}
_CLASSES = {
    "ReLU": ("ELU", "Identity", "Dropout"),
    "Add": ("Subtract", "Maximum", "Average"),
    "GlobalAveragePooling2D": ("GlobalMaxPooling2D",),
}
_ARGUMENTS = {"ELU": {}, "Identity": {}, "Dropout": {"rate": 0.5}}
_HARMLESS: dict[str, Any] = {
    "trainable": False,
    "kernel_regularizer": {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.1}},
    "kernel_initializer": {"module": "keras.initializers", "class_name": "Ones", "config": {}},
    "kernel_constraint": {"module": "keras.constraints", "class_name": "NonNeg", "config": {}},
}


def keras_spoils(content: bytes, seed: int = 0, draws: int = 3) -> Iterator[tuple[str, Spoil]]:
    """Changes to every part of the file; the same for the same seed."""
    generator = np.random.default_rng(seed)
    yield from _weight_spoils(content, generator, draws)
    yield from _config_spoils(content)
    yield from _file_spoils(content, generator)


def _weight_spoils(content: bytes, generator: np.random.Generator, draws: int) -> Iterator[tuple[str, Spoil]]:
    for key, values in _arrays(content).items():
        for name, change in of_one(key.removeprefix("layers/"), values, generator, draws):
            yield name, _weights({key: change})
    for name, change in OF_ALL.items():
        yield name, _weights(dict.fromkeys(_arrays(content), change))


def _config_spoils(content: bytes) -> Iterator[tuple[str, Spoil]]:
    for position, layer in enumerate(json.loads(_parts(content)[CONFIG])["config"]["layers"]):
        for key, value in _CONFIG.get(layer["class_name"], {}).items():
            setting = value if not isinstance(value, dict) else value["config"]["name"]
            yield f"{layer['name']}: {key} {setting}", _layer(position, partial(_set, key=key, value=value))
        for other in _CLASSES.get(layer["class_name"], ()):
            yield f"{layer['name']} becomes {other}", _layer(position, partial(_retyped, kind=other))


def _file_spoils(content: bytes, generator: np.random.Generator) -> Iterator[tuple[str, Spoil]]:
    for share in _SHARES:
        yield f"cut off after {share:.1%}", partial(cut_off, share)
    for _ in range(12):
        name, flipped = flipped_bit(content, generator)
        yield name, partial(replaced, flipped)
    for part in (WEIGHTS, CONFIG):
        yield f"{part} gone", partial(_without, part)
        yield f"{part} cut in half", partial(_cut_in_half, part)


def foreign(name: str, other: bytes) -> Iterator[tuple[str, Spoil]]:
    """Replacements by another file, whole and in parts."""
    yield name, lambda content: other
    for part in (WEIGHTS, CONFIG):
        yield f"{name}: its {part} alone", partial(_with_part_of, other, part)


def _harmless(key: str, value: Any) -> Spoil:
    def edit(config: dict[str, Any]) -> None:
        for layer in config["config"]["layers"]:
            if key in layer["config"]:
                layer["config"][key] = value

    return _config(edit)


def _parts(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(parts: Mapping[str, bytes]) -> bytes:
    """An archive of these parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}

    def visit(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            arrays[name] = node[()]

    with h5py.File(io.BytesIO(_parts(content)[WEIGHTS])) as file:
        file.visititems(visit)
    return arrays


def _weights(changes: Mapping[str, Change]) -> Spoil:
    def spoil(content: bytes) -> bytes:
        parts = _parts(content)
        buffer = io.BytesIO(parts[WEIGHTS])
        with h5py.File(buffer, "r+") as file:
            for key, change in changes.items():
                file[key][...] = change(file[key][()])
        return pack(parts | {WEIGHTS: buffer.getvalue()})

    return spoil


def _config(edit: Callable[[dict[str, Any]], None]) -> Spoil:
    def spoil(content: bytes) -> bytes:
        parts = _parts(content)
        config = json.loads(parts[CONFIG])
        edit(config)
        return pack(parts | {CONFIG: json.dumps(config).encode()})

    return spoil


def _without(part: str, content: bytes) -> bytes:
    return pack({name: value for name, value in _parts(content).items() if name != part})


def _cut_in_half(part: str, content: bytes) -> bytes:
    return pack(_parts(content) | {part: _parts(content)[part][: len(content) // 2]})


def _with_part_of(other: bytes, part: str, content: bytes) -> bytes:
    return pack(_parts(content) | {part: _parts(other)[part]})


def _layer(position: int, edit: Callable[[dict[str, Any]], None]) -> Spoil:
    return _config(lambda config: edit(config["config"]["layers"][position]))


def _set(layer: dict[str, Any], key: str, value: Any) -> None:
    layer["config"][key] = value


def _retyped(layer: dict[str, Any], kind: str) -> None:
    layer["class_name"] = kind
    if kind in _ARGUMENTS:
        kept = {key: layer["config"][key] for key in ("name", "dtype")}
        layer["config"] = kept | _ARGUMENTS[kind]


SOUND: dict[str, Spoil] = {
    "as it is": lambda content: content,
    "packed anew": lambda content: pack(_parts(content)),
    "another name": lambda content: _config(lambda config: config["config"].update(name="other"))(content),
    **{f"{key} in every layer": _harmless(key, value) for key, value in _HARMLESS.items()},
}
