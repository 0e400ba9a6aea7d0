"""Spoiled artifacts in a folder, of every kind."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from foldserve_contract.bundle import ONNX
from foldserve_exporter.emit.onnx_model import write_onnx
from foldserve_exporter.emit.saved_model import serving_function, write_saved_model
from foldserve_exporter.errors import Refused
from foldserve_exporter.verify.job import CandidateKind

from . import keras_spoils, onnx_spoils, saved_model_spoils
from .bench import Bench, Spoiled, thinned
from .others import baked, others


def spoiled_onnx(bench: Bench, folder: Path, most: int) -> Iterator[Spoiled]:
    content = bench.file(CandidateKind.ONNX).read_bytes()
    contents = {name: spoil(content) for name, spoil in thinned(onnx_spoils.onnx_spoils(content), most)}
    folder.mkdir(parents=True)
    for name, make in others(bench.folded).items():
        path = folder / "other.onnx"
        with suppress(Refused):  # random numbers are told by their names, and no file is written
            write_onnx(serving_function(make(), bench.folded.signature), bench.folded.signature, path)
            contents[name] = path.read_bytes()
    for index, (name, spoiled) in enumerate(contents.items()):
        path = bench.copied(folder / str(index)) / ONNX
        path.write_bytes(spoiled)
        yield Spoiled(name, CandidateKind.ONNX, path)


def spoiled_saved_models(bench: Bench, folder: Path, most: int) -> Iterator[Spoiled]:
    foreign: list[tuple[str, saved_model_spoils.Spoil]] = []
    for name, make in others(bench.folded).items():
        named, path = make(), folder / f"{name} itself"
        path.mkdir(parents=True)
        write_saved_model(serving_function(named, bench.folded.signature), named, path)
        foreign += saved_model_spoils.foreign(name, path)
    own = saved_model_spoils.saved_model_spoils(bench.bundle)
    for index, (name, spoil) in enumerate([*thinned(own, most), *thinned(foreign, most)]):
        directory = bench.copied(folder / str(index))
        spoil(directory)
        yield Spoiled(name, CandidateKind.SAVED_MODEL, directory)


def spoiled_keras(bench: Bench, folder: Path, most: int) -> Iterator[Spoiled]:
    folder.mkdir(parents=True, exist_ok=True)
    content = bench.file(CandidateKind.KERAS).read_bytes()
    foreign: list[tuple[str, keras_spoils.Spoil]] = []
    makers = others(bench.folded) | {"a learning phase baked in": lambda: baked(bench.folded.model)}
    for name, make in makers.items():
        path = folder / "other.keras"
        make().model.save(path)
        foreign += keras_spoils.foreign(name, path.read_bytes())
    own = keras_spoils.keras_spoils(content)
    for index, (name, spoil) in enumerate([*thinned(own, most), *thinned(foreign, most)]):
        path = folder / f"{index}.keras"
        path.write_bytes(spoil(content))
        yield Spoiled(name, CandidateKind.KERAS, path)


def sound(bench: Bench, folder: Path) -> Iterator[Spoiled]:
    """The same artifacts written otherwise."""
    for name, spoil in onnx_spoils.SOUND.items():
        path = bench.copied(folder / f"onnx {name}") / ONNX
        path.write_bytes(spoil(path.read_bytes()))
        yield Spoiled(f"onnx {name}", CandidateKind.ONNX, path)
    for name, change in saved_model_spoils.SOUND.items():
        directory = bench.copied(folder / f"saved model {name}")
        change(directory)
        yield Spoiled(f"saved model {name}", CandidateKind.SAVED_MODEL, directory)
    for name, spoil in keras_spoils.SOUND.items():
        path = folder / f"{name}.keras"
        path.write_bytes(spoil(bench.file(CandidateKind.KERAS).read_bytes()))
        yield Spoiled(f"keras {name}", CandidateKind.KERAS, path)
