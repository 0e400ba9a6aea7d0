"""The formulas alone, and that the test of agreement can fail."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from foldserve_exporter.folding import arithmetic, fold
from foldserve_exporter.folding.arithmetic import Affine
from tests.exporter.models import flat, misses, randomise, reference, samples

RNG = np.random.default_rng(0)


def affine(channels: int) -> Affine:
    return Affine(RNG.normal(size=channels), RNG.normal(size=channels))


def test_the_formulas_need_numpy_alone() -> None:
    code = (
        "import sys, runpy; runpy.run_path(sys.argv[1], run_name='arithmetic');"
        "print(sorted({'keras','tensorflow','foldserve_exporter'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, arithmetic.__file__], capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_statistics_become_scale_and_shift() -> None:
    gamma, beta, mean, variance = RNG.normal(size=(4, 5)).astype(np.float32)
    variance, x = np.abs(variance), RNG.normal(size=(7, 5))
    got = arithmetic.from_statistics(gamma, beta, mean, variance, 1e-3)
    wide = [a.astype(np.float64) for a in (gamma, beta, mean, variance)]
    np.testing.assert_allclose(
        x * got.scale + got.shift, wide[0] * (x - wide[2]) / np.sqrt(wide[3] + 1e-3) + wide[1], rtol=1e-12
    )
    assert got.scale.dtype == np.float64


def test_two_maps_compose_in_their_order() -> None:
    first, then, x = affine(5), affine(5), RNG.normal(size=5)
    both = arithmetic.compose(first, then)
    np.testing.assert_allclose(
        both.scale * x + both.shift, then.scale * (first.scale * x + first.shift) + then.shift, rtol=1e-12
    )


def test_a_shift_is_split_from_its_scale_only_where_there_is_a_scale() -> None:
    whole, x = affine(5), RNG.normal(size=5)
    before = arithmetic.split_shift(whole)
    assert before is not None
    np.testing.assert_allclose(whole.scale * (x + before.shift), whole.scale * x + whole.shift, rtol=1e-12)
    assert arithmetic.split_shift(Affine(np.array([1.0, 0.0]), np.ones(2))) is None


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_a_grouped_kernel_takes_each_group_of_inputs(groups: int) -> None:
    before, x = affine(6), RNG.normal(size=6)
    kernel = RNG.normal(size=(1, 6 // groups, 12))
    blocks = [slice(g * 6 // groups, (g + 1) * 6 // groups) for g in range(groups)]
    outs = [slice(g * 12 // groups, (g + 1) * 12 // groups) for g in range(groups)]

    def conv(k: np.ndarray, values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[i] @ k[0][:, o] for i, o in zip(blocks, outs, strict=True)])

    got = conv(arithmetic.forward_kernel(kernel, before, groups), x) + arithmetic.forward_bias(
        kernel, None, before, groups
    )
    np.testing.assert_allclose(got, conv(kernel, before.scale * x + before.shift), rtol=1e-12)


def test_the_test_of_agreement_fails_for_a_spoilt_fold() -> None:
    inputs = keras.Input((8, 7, 3))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs))
    model = randomise(keras.Model(inputs, x))
    rows = samples(model)
    exact, plain, folded = reference(model, rows), flat(model.predict(rows, verbose=0)), fold(model).model
    assert not misses(flat(folded(rows)), plain, exact)
    for variable in folded.variables:
        good = variable.numpy()
        bad = good.copy()
        bad.flat[0] += 1e-3
        variable.assign(bad)
        assert misses(flat(folded(rows)), plain, exact), variable.path
        variable.assign(good)
    assert misses([np.full_like(exact[0], np.nan)], plain, exact)
