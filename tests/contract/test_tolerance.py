"""Tolerances: a deviation is never understated, and NaN is never within a bound."""

import numpy as np
import pytest

from foldserve_contract.tolerance import bound, deviation, limit, promised, scale, within

NAN, INF = float("nan"), float("inf")


def test_the_largest_difference_counts() -> None:
    assert deviation(np.array([1.0, 2.0, 3.5], "f"), np.array([1.0, 2.25, 3.0])) == 0.5
    assert deviation(np.zeros((0, 3), "f"), np.zeros((0, 3), "f")) == 0


@pytest.mark.parametrize(("candidate", "reference"), [(NAN, 1.0), (1.0, NAN), (INF, 1.0), (-INF, INF), (NAN, NAN)])
def test_values_that_are_not_finite_alike_are_never_within_a_bound(candidate: float, reference: float) -> None:
    result = deviation(np.array([candidate, 0.0]), np.array([reference, 0.0]))
    assert not within(result, 1e30)


def test_equal_infinities_do_not_deviate() -> None:
    assert deviation(np.array([INF, -INF, 1.0]), np.array([INF, -INF, 1.0])) == 0


def test_integers_are_compared_exactly() -> None:
    large = 2**60
    assert deviation(np.array([large]), np.array([large + 1])) >= 1
    assert deviation(np.array([0], np.uint8), np.array([255], np.uint8)) == 255
    assert deviation(np.array([True]), np.array([False])) == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        deviation(np.zeros(3), np.zeros((3, 1)))


def test_bounds_follow_their_formulas() -> None:
    assert limit(1e-6, 2.0) == pytest.approx(8e-6 + 16 * 2**-23 * 2)
    assert bound(1e-6) == 4e-6
    assert promised(1e-3, 1.0) == 1e-3
    assert promised(1e-9, 3.0) == pytest.approx(3e-5)
    assert within(1e-3, 1e-3)
    assert not within(1.01e-3, 1e-3)


def test_the_scale_is_the_largest_finite_magnitude() -> None:
    assert scale(np.array([1.0, -3.0, INF, NAN])) == 3
    assert scale(np.array([-4], np.int8)) == 4
    assert scale(np.zeros(0)) == 0
