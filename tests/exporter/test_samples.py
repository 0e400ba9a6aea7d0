"""Samples are read as the model takes them, or refused with what was wrong."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from foldserve_contract.signature import Signature, TensorSpec
from foldserve_exporter.graph import trace
from foldserve_exporter.samples import images
from foldserve_exporter.samples.files import SamplesError, fit_samples, read_samples
from foldserve_exporter.samples.rows import MIN_JUDGED, choose_rows
from foldserve_exporter.samples.synthetic import synthesize

OUTPUT = (TensorSpec("y", "float32", (-1, 2)),)
IMAGE = Signature((TensorSpec("image", "float32", (-1, 6, 5, 3)),), OUTPUT)
TWO = Signature((TensorSpec("a", "float32", (-1, 3)), TensorSpec("b", "int32", (-1, 2))), OUTPUT)


def test_a_single_array_may_have_any_name(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((4, 6, 5, 3), np.float32)
    np.savez(tmp_path / "one.npz", whatever=array)
    np.save(tmp_path / "one.npy", array)
    for name in ("one.npz", "one.npy"):
        np.testing.assert_array_equal(read_samples(tmp_path / name, IMAGE)["image"], array)


def test_several_inputs_go_by_name(tmp_path: Path) -> None:
    a, b = np.ones((4, 3)), np.ones((4, 2), np.uint8)
    np.savez(tmp_path / "two.npz", a=a, b=b)
    read = read_samples(tmp_path / "two.npz", TWO)
    assert read["a"].dtype == np.float32 and read["b"].dtype == np.int32


def test_a_folder_of_images_is_resized_in_order_of_names(tmp_path: Path) -> None:
    for index, level in enumerate((0, 100, 255)):
        Image.new("RGB", (20, 10), (level, level, level)).save(tmp_path / f"{index}.png")
    (tmp_path / "notes.txt").write_text("no image")
    read = read_samples(tmp_path, IMAGE)["image"]
    assert read.shape == (3, 6, 5, 3)
    assert [float(row.max()) for row in read] == [0, 100, 255]


def test_folders_in_a_folder_are_read_too_and_many_images_are_spread_over_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation images often lie in a folder for each class: the first of them would be of one class alone."""
    for index in range(12):
        folder = tmp_path / ("cats" if index < 6 else "dogs")
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (5, 6), (20 * index,) * 3).save(folder / f"{index:02}.png")
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "x.png").write_bytes(b"no image")
    assert len(read_samples(tmp_path, IMAGE)["image"]) == 12
    monkeypatch.setattr(images, "MAX_IMAGES", 4)
    assert [float(row.max()) / 20 for row in read_samples(tmp_path, IMAGE)["image"]] == [0, 3, 7, 11]


def test_an_image_of_more_than_eight_bits_is_refused_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((6, 5), 4000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(SamplesError, match=r"deep.png is of mode I;16, with more than 8 bits"):
        read_samples(tmp_path, IMAGE)


@pytest.mark.parametrize("dtype", ["int64", "uint16", "int16"])
def test_whole_numbers_of_another_width_are_taken_where_they_fit(dtype: str) -> None:
    pixels = Signature((TensorSpec("image", "uint8", (-1, 3)),), OUTPUT)
    given = np.array([[0, 7, 255]], dtype)
    fitted = fit_samples(given, pixels)["image"]
    assert fitted.dtype == np.uint8
    np.testing.assert_array_equal(fitted, given)
    with pytest.raises(SamplesError, match=r"expected values from 0 to 255 for uint8, received 7…256"):
        fit_samples(np.array([[7, 9, 256]], dtype), pixels)
    tokens = {"a": np.ones((1, 3)), "b": np.array([[2**31, 5]])}
    with pytest.raises(SamplesError, match="from -2147483648 to 2147483647 for int32, received 5…2147483648"):
        fit_samples(tokens, TWO)


WRONG = {
    "shape": ({"a": np.ones((4, 4)), "b": np.ones((4, 2), "i4")}, r"expected shape \[-1, 3\].*\[4, 4\]"),
    "a float for an integer": ({"a": np.ones((4, 3)), "b": np.ones((4, 2))}, "expected dtype int32, received float64"),
    "a missing input": ({"a": np.ones((4, 3))}, r"expected the inputs \['a', 'b'\]"),
    "rows": ({"a": np.ones((4, 3)), "b": np.ones((5, 2), "i4")}, "same number of rows"),
    "no row": ({"a": np.ones((0, 3)), "b": np.ones((0, 2), "i4")}, "no row"),
    "NaN": ({"a": np.array([[1, 2, 3], [1, np.nan, 3]]), "b": np.ones((2, 2), "i4")}, "row 1 .* not finite"),
    "text": ({"a": np.array([["x", "y", "z"]]), "b": np.ones((1, 2), "i4")}, "expected dtype float32"),
}


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_samples_that_do_not_fit_are_refused_in_words(wrong: str) -> None:
    arrays, words = WRONG[wrong]
    with pytest.raises(SamplesError, match=words):
        fit_samples(arrays, TWO)


def test_files_that_are_no_samples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    np.save(tmp_path / "pickle.npy", np.array([object()]), allow_pickle=True)
    (tmp_path / "table.csv").write_text("1,2")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.png").write_bytes(b"no image")
    for name in ("bad.npz", "pickle.npy", "table.csv", "folder", "broken", "absent.npz"):
        with pytest.raises(SamplesError, match=name):
            read_samples(tmp_path / name, IMAGE)


def test_golden_rows_are_drawn_by_seed_from_the_samples_alone() -> None:
    samples = {"x": np.arange(100, dtype=np.float32).reshape(100, 1)}
    rows = choose_rows(samples, 10, seed=3)
    assert (rows.golden, rows.stretched, rows.judged) == (13, 3, MIN_JUDGED + 3)
    assert set(rows.golden_inputs["x"].ravel()[:10]) <= set(range(100))
    np.testing.assert_array_equal(rows.inputs["x"], choose_rows(samples, 10, seed=3).inputs["x"])
    assert not np.array_equal(rows.inputs["x"], choose_rows(samples, 10, seed=4).inputs["x"])


def test_few_samples_are_all_golden_and_mixed_up_to_enough_to_judge() -> None:
    samples = {"x": np.random.default_rng(0).random((3, 4), np.float32), "n": np.array([[1], [2], [3]])}
    rows = choose_rows(samples, 32, seed=0)
    assert (rows.golden - rows.stretched, rows.judged - rows.stretched) == (3, MIN_JUDGED)
    np.testing.assert_array_equal(rows.golden_inputs["x"][:3], samples["x"])
    assert len(np.unique(rows.judged_inputs["x"], axis=0)) == rows.judged
    assert set(rows.judged_inputs["n"].ravel()) <= {1, 2, 3}


def test_private_samples_are_judged_but_never_golden() -> None:
    private = {"x": np.full((40, 2), 7, np.float32)}
    public = {"x": np.random.default_rng(0).random((5, 2), np.float32)}
    rows = choose_rows(private, 5, seed=0, public=public)
    np.testing.assert_array_equal(rows.golden_inputs["x"][:5], public["x"])
    assert rows.judged == rows.golden + MIN_JUDGED
    assert (rows.judged_inputs["x"][rows.golden :] == 7).all()
    assert not (rows.golden_inputs["x"] == 7).any()


def test_stretched_rows_lie_three_times_as_far_out_and_can_be_left_out() -> None:
    noise = np.random.default_rng(0).standard_normal((64, 5)).astype(np.float32)
    samples: dict[str, np.ndarray] = {"x": noise, "n": np.arange(64)[:, None]}
    rows = choose_rows(samples, 16, seed=0)
    base, stretched = rows.golden_inputs["x"][:4], rows.golden_inputs["x"][16:]
    np.testing.assert_allclose(stretched - base.mean(), 3 * (base - base.mean()), rtol=1e-5)
    kept = rows.keep(~(rows.is_stretched & (np.arange(rows.judged) != 17)))
    assert (kept.golden, kept.stretched, kept.judged) == (17, 1, rows.judged - 3)
    for block in range(3):
        np.testing.assert_array_equal(
            kept.inputs["x"][block * kept.judged + 16], rows.inputs["x"][block * rows.judged + 17]
        )
        np.testing.assert_array_equal(
            kept.inputs["x"][(block + 1) * kept.judged - 1], rows.inputs["x"][(block + 1) * rows.judged - 1]
        )


def test_synthetic_samples_suit_the_first_layer() -> None:
    import keras

    from foldserve_exporter.graph import trace

    pixels = keras.Input((8, 6, 3), name="pixels")
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    raw = keras.Input((4, 4, 1), dtype="uint8", name="raw")
    outputs = [
        keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels),
        keras.layers.Embedding(7, 2)(tokens),
        keras.layers.Rescaling(1 / 255)(raw),
    ]
    model = keras.Model([pixels, tokens, raw], outputs)
    signature = Signature(
        (
            TensorSpec("pixels", "float32", (-1, 8, 6, 3)),
            TensorSpec("tokens", "int32", (-1, 5)),
            TensorSpec("raw", "uint8", (-1, 4, 4, 1)),
        ),
        OUTPUT,
    )
    drawn = synthesize(trace(model), signature, 64, seed=0)
    signature.check_inputs(drawn)
    assert abs(float(drawn["pixels"].mean()) - 127.5) < 20
    assert 40 < float(drawn["pixels"].std()) < 90
    assert set(drawn["tokens"].ravel()) == set(range(7))
    assert (drawn["raw"].min(), drawn["raw"].max()) == (0, 255)
    assert len(np.unique(drawn["raw"].reshape(64, -1), axis=0)) == 64


@pytest.mark.parametrize("axis", [1, (3, 1), -1, None], ids=str)
def test_synthetic_samples_have_the_statistics_of_a_normalization_along_its_axes(axis: Any) -> None:
    given = np.random.default_rng(3).normal(np.arange(6).reshape(6, 1, 1) * [9, 0, 4], 1, (50, 6, 5, 3))
    normalization = keras.layers.Normalization(axis=axis)
    normalization.adapt(given)
    graph = trace(keras.Sequential([keras.Input((6, 5, 3), name="image"), normalization]))
    drawn = synthesize(graph, IMAGE, 200, seed=1)["image"]
    normalised = np.asarray(normalization(drawn))
    assert abs(normalised.mean()) < 0.3
    assert 0.7 < normalised.std() < 1.4
