"""Class words are for classifiers alone: a distribution over classes, or scores that labels show to be classes."""

import numpy as np
import pytest

from foldserve_exporter.class_scores import are_probabilities
from foldserve_exporter.predictions.change import change, changes
from foldserve_exporter.predictions.change_text import change_text, same_class_text

GENERATOR = np.random.default_rng(3)
VALUES = GENERATOR.normal(size=(20, 6)).astype(np.float32)
SOFTMAX = np.exp(VALUES) / np.exp(VALUES).sum(axis=1, keepdims=True)


def test_a_softmax_changes_its_class_and_a_waveform_does_not() -> None:
    scores, waveform = change(SOFTMAX, SOFTMAX[:, ::-1]), change(np.tanh(VALUES), np.tanh(VALUES[:, ::-1]))
    assert scores.agreement is not None and scores.agreement < 0.5
    assert "of the samples change their class" in change_text(scores)
    assert "the same class for" in same_class_text(scores)
    assert waveform.agreement is None
    assert "class" not in change_text(waveform) + same_class_text(waveform)


def test_a_waveform_whose_largest_element_moves_has_hardly_changed() -> None:
    nudged = np.repeat(np.tanh(VALUES), 2, axis=1)
    nudged[:, 1::2] += 1e-6
    assert change(np.repeat(np.tanh(VALUES), 2, axis=1), nudged).size < 1e-4


def test_logits_change_their_class_where_labels_show_that_they_are_classes() -> None:
    before, after = {"logits": VALUES}, {"logits": VALUES[:, ::-1]}
    assert changes(before, after)["logits"].agreement is None
    assert changes(before, after, {"logits"})["logits"].agreement is not None


@pytest.mark.parametrize(
    "values",
    [VALUES, np.abs(VALUES), np.ones((5, 1)), np.full((5, 3), np.nan), np.zeros((0, 3)), np.ones((5, 2), np.int64)],
    ids=["negative", "not summing to 1", "one column", "NaN", "no rows", "integers"],
)
def test_other_vectors_are_no_distributions(values: np.ndarray) -> None:
    assert not are_probabilities(values)
    assert are_probabilities(SOFTMAX)


def test_what_is_not_a_number_is_said_to_be_beyond_measure() -> None:
    assert "not numbers" in change_text(change(np.full((4, 3), np.nan), VALUES[:4, :3]))
