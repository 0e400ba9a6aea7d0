import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foldserve_contract.bundle import GOLDEN, Bundle
from foldserve_contract.golden import Golden
from foldserve_contract.signature import Array
from foldserve_server.rest.page.pixels import BYTES, SYMMETRIC, UNIT, Pixels, Range, range_from
from tests.bundles import bytes_model, dense_model, make_bundle, reseal
from tests.server.fakes import FakeEngine


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, UNIT),
        (0.2, 0.7, UNIT),
        (-1.0, 0.99, SYMMETRIC),
        (0.0, 255.0, BYTES),
        (12.0, 180.0, BYTES),
        (-123.7, 151.1, None),  # caffe
        (-2.1, 2.6, None),  # torch
        (0.0, 4095.0, None),
    ],
)
def test_the_usual_ranges_are_recognised(low: float, high: float, expected: Range | None) -> None:
    assert range_from(low, high) == expected


def engine_of(path: Path, images: Array, *, synthetic: bool, stretched: int = 0) -> FakeEngine:
    """An engine of a bundle whose golden samples are these images."""
    golden = Bundle.open(path).golden()
    outputs = {name: array[np.zeros(len(images), int)] for name, array in golden.outputs.items()}
    (path / GOLDEN).write_bytes(Golden({"image": images.astype(np.float32)}, outputs).to_bytes())
    reseal(path)
    bundle = Bundle.open(path)
    info = replace(bundle.manifest.golden, samples=len(images), stretched=stretched, synthetic=synthetic)
    engine = FakeEngine(replace(bundle.manifest, golden=info), bundle.digest)
    engine.info = replace(engine.info, path=path)
    return engine


def range_of(engine: FakeEngine) -> Range | None:
    return asyncio.run(Pixels().range_of(engine))


def test_golden_samples_show_the_range_of_pixels_whatever_the_stretched_ones_hold(tmp_path: Path) -> None:
    images = np.random.default_rng(3).uniform(-1, 1, (6, 8, 8, 3))
    images[4:] *= 3
    path = make_bundle(tmp_path)
    assert range_of(engine_of(path, images, synthetic=False, stretched=2)) == SYMMETRIC
    assert range_of(engine_of(path, images, synthetic=False)) is None


def test_synthetic_samples_show_the_range_by_their_inner_quantiles(tmp_path: Path) -> None:
    draw = np.random.default_rng(4)
    path = make_bundle(tmp_path)
    assert range_of(engine_of(path, draw.normal(127.5, 64, (8, 8, 8, 3)), synthetic=True)) == BYTES
    assert range_of(engine_of(path, draw.normal(0, 1, (8, 8, 8, 3)), synthetic=True)) is None


def test_inputs_that_are_not_images_and_missing_bundles_have_no_range(tmp_path: Path) -> None:
    for model in (dense_model(), bytes_model()):
        bundle = Bundle.open(make_bundle(tmp_path, model=model))
        assert range_of(FakeEngine(bundle.manifest, bundle.digest)) is None
    gone = Bundle.open(make_bundle(tmp_path, "gone"))
    assert range_of(FakeEngine(gone.manifest, gone.digest)) is None
