"""Images through `predict-model`: the model receives the pixels of the files."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foldserve.predict.cli import main
from foldserve_contract.signature import Array

from .fake_server import FakeModel, ModelServer, times
from .files import load

RNG = np.random.default_rng(11)


def pixels(height: int, width: int, channels: int = 3) -> Array:
    return RNG.integers(0, 256, (height, width, channels), dtype=np.uint8).squeeze()


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: ModelServer) -> dict[str, Array]:
    """Three images of the model's size, in two folders, and files that are not images."""
    monkeypatch.chdir(tmp_path)
    images = {f"photos/{name}.png": pixels(4, 5) for name in ("b", "a", "more/c")}
    for name, image in images.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(name)
    Path("photos/labels.csv").write_text("a,1")
    Path("photos/.hidden.png").write_text("no image")
    server.models["echo"] = {1: times(1, (4, 5, 3))}
    return images


def predict(server: ModelServer, *arguments: str) -> int:
    return main([f"{server.target}/echo", "photos", "-o", "out.npz", "--json", *arguments])


def echo(server: ModelServer, row_shape: tuple[int, ...], dtype: str = "float32") -> None:
    server.models["echo"] = {1: times(1, row_shape, dtype)}


def test_a_folder_gives_its_images_sorted_with_unchanged_values(
    server: ModelServer, photos: dict[str, Array], capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(server) == 0
    out = load("out.npz")
    assert out["input_names"].tolist() == sorted(photos)
    np.testing.assert_array_equal(out["y"], np.stack([photos[name] for name in sorted(photos)]).astype(np.float32))
    assert json.loads(capsys.readouterr().out)["ignored"] == ["photos/labels.csv"]


def test_uint8_models_receive_bytes(server: ModelServer, photos: dict[str, Array]) -> None:
    echo(server, (4, 5, 3), "uint8")
    assert predict(server) == 0
    np.testing.assert_array_equal(load("out.npz")["y"], np.stack([photos[name] for name in sorted(photos)]))


def test_scale_maps_0_and_255(server: ModelServer, photos: dict[str, Array]) -> None:
    assert predict(server, "--scale=-1,1") == 0
    expected = np.stack([photos[name] for name in sorted(photos)]) / 127.5 - 1
    np.testing.assert_allclose(load("out.npz")["y"], expected, atol=3e-7)


def test_channels_come_first_where_the_model_has_them_first(server: ModelServer, photos: dict[str, Array]) -> None:
    echo(server, (3, 4, 5))
    assert predict(server) == 0
    expected = np.stack([photos[name].transpose(2, 0, 1) for name in sorted(photos)])
    np.testing.assert_array_equal(load("out.npz")["y"], expected)


def test_grey_models_receive_grey(server: ModelServer, photos: dict[str, Array]) -> None:
    echo(server, (4, 5, 1))
    assert predict(server) == 0
    expected = [np.asarray(Image.fromarray(photos[name]).convert("L"))[..., None] for name in sorted(photos)]
    np.testing.assert_array_equal(load("out.npz")["y"], np.stack(expected))


@pytest.mark.parametrize("filter", ["nearest", "bilinear"])
def test_images_are_resized_to_the_model(server: ModelServer, photos: dict[str, Array], filter: str) -> None:
    echo(server, (2, 3, 3))
    assert predict(server, "--filter", filter) == 0
    size = (3, 2)
    resized = [Image.fromarray(photos[name]).resize(size, Image.Resampling[filter.upper()]) for name in sorted(photos)]
    np.testing.assert_array_equal(load("out.npz")["y"], np.stack([np.asarray(image) for image in resized]))


def test_images_that_cannot_be_decoded_are_listed_and_the_others_predicted(
    server: ModelServer, photos: dict[str, Array]
) -> None:
    Path("photos/aa.png").write_bytes(b"no image")
    whole = Path("photos/a.png").read_bytes()
    Path("photos/ab.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(RNG.integers(0, 60000, (4, 5), dtype=np.uint16)).save("photos/ac.png")
    assert predict(server, "--batch", "2") == 1
    out = load("out.npz")
    assert out["row_ok"].tolist() == [True, False, False, False, True, True]
    assert np.isnan(out["y"][1:4]).all()
    np.testing.assert_array_equal(out["y"][4], photos["photos/b.png"])
    listed = [json.loads(line) for line in Path("out.npz.errors.jsonl").read_text().splitlines()]
    assert [entry["input"] for entry in listed] == ["photos/aa.png", "photos/ab.png", "photos/ac.png"]
    assert [entry["row"] for entry in listed] == [1, 2, 3]
    assert "more than 8 bits" in listed[2]["error"]


def test_a_run_of_bad_images_alone_still_writes_all_rows(server: ModelServer, photos: dict[str, Array]) -> None:
    for name in photos:
        Path(name).write_bytes(b"no image")
    assert predict(server) == 1
    out = load("out.npz")
    assert out["y"].shape == (3, 4, 5, 3) and np.isnan(out["y"]).all() and not out["row_ok"].any()


def test_no_resize_makes_another_size_a_failure(server: ModelServer, photos: dict[str, Array]) -> None:
    Image.fromarray(pixels(8, 5)).save("photos/a.png")
    assert predict(server, "--no-resize") == 1
    (listed,) = [json.loads(line) for line in Path("out.npz.errors.jsonl").read_text().splitlines()]
    assert "is 8×5, the model takes 4×5" in listed["error"]


def test_models_of_any_size_receive_images_in_their_own_size(server: ModelServer, photos: dict[str, Array]) -> None:
    from foldserve_contract.signature import Signature, TensorSpec

    specs = TensorSpec("x", "float32", (-1, -1, -1, 3)), TensorSpec("sum", "float64", (-1,))
    summing = FakeModel(
        Signature(specs[:1], specs[1:]), lambda i: {"sum": i["x"].sum(axis=(1, 2, 3), dtype=np.float64)}
    )
    server.models["echo"] = {1: summing}
    photos["photos/b.png"] = pixels(9, 2)
    Image.fromarray(photos["photos/b.png"]).save("photos/b.png")
    assert predict(server) == 0
    expected = [photos[name].sum(dtype=np.float64) for name in sorted(photos)]
    assert load("out.npz")["sum"].tolist() == expected
    assert len(server.seen("Predict")) == 3


@pytest.mark.parametrize(
    ("row_shape", "dtype", "arguments", "reason"),
    [
        ((12,), "float32", [], "does not take images"),
        ((8, 5, 7), "float32", [], "7 channels"),
        ((4, 5, 3), "int8", [], "cannot hold 0 to 255"),
        ((4, 5, 3), "uint8", ["--scale", "0,1"], "--scale is for models that take floats"),
    ],
)
def test_models_that_do_not_take_images_are_refused(
    server: ModelServer,
    photos: dict[str, Array],
    capsys: pytest.CaptureFixture[str],
    row_shape: tuple[int, ...],
    dtype: str,
    arguments: list[str],
    reason: str,
) -> None:
    echo(server, row_shape, dtype)
    assert predict(server, *arguments) == 2
    assert reason in capsys.readouterr().err


def test_without_pillow_the_extra_is_named(
    server: ModelServer, photos: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert predict(server) == 2
    assert "pip install 'foldserve[batch]'" in capsys.readouterr().err


def test_file_names_of_any_bytes_are_kept(server: ModelServer, photos: dict[str, Array]) -> None:
    odd = Path(os.fsdecode(b"photos/z\xff\xc3\xa9.png"))
    odd.write_bytes(b"no image")
    assert predict(server, "--quiet") == 1
    assert load("out.npz")["input_names"][-1] == str(odd)
    (listed,) = [json.loads(line) for line in Path("out.npz.errors.jsonl").read_text().splitlines()]
    assert listed["input"] == str(odd)
