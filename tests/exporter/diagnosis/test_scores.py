"""Scores agree with scikit-learn's, and a scaling fault is distinguished from a bad model."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from foldserve_exporter.predictions.scores import LabelsError, PredictionTask, fit_labels, ranks, score


def test_accuracy_and_auc_of_classes() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    logits = rng.normal(size=(300, 4)).round(1) + 1.2 * np.eye(4)[labels]
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = score({"y": outputs}, {"y": labels})["y"]
    assert scores.task is PredictionTask.CLASSIFICATION
    assert scores.fit == np.mean(outputs.argmax(axis=1) == labels)
    assert scores.order == pytest.approx(roc_auc_score(labels, outputs, multi_class="ovr", average="macro"))
    assert score({"y": outputs}, {"y": np.eye(4)[labels]})["y"] == scores


def test_two_classes_in_one_output_are_separated_at_a_half_or_at_zero() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 200)
    logits = (rng.normal(size=200) + 2 * labels - 1)[:, np.newaxis]
    scores = score({"y": logits}, {"y": labels})["y"]
    assert scores.fit == np.mean((logits[:, 0] > 0) == labels)
    assert scores.order == pytest.approx(roc_auc_score(labels, logits[:, 0]))
    assert score({"y": 1 / (1 + np.exp(-logits))}, {"y": labels})["y"].fit == scores.fit


def test_a_shifted_model_is_a_scaling_fault_and_a_bad_one_is_not() -> None:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 10, 500)
    good = rng.normal(size=(500, 10)) + 4 * np.eye(10)[labels]
    shifted = good + 30 * np.eye(10)[3]
    bad = rng.normal(size=(500, 10))
    by_name = {
        name: score({"y": y}, {"y": labels})["y"] for name, y in (("good", good), ("off", shifted), ("bad", bad))
    }
    assert [name for name, scores in by_name.items() if scores.is_scaling_fault] == ["off"]


def test_a_healthy_model_of_a_rare_class_has_no_scaling_fault() -> None:
    """Always predicting the frequent class is as accurate; the order is far better than that."""
    rng = np.random.default_rng(4)
    labels = (rng.uniform(size=2000) < 0.04).astype(int)
    logits = rng.normal(size=2000) + 3 * labels - 4.5
    healthy, offset = (score({"y": (logits + by)[:, np.newaxis]}, {"y": labels})["y"] for by in (0, 6))
    assert healthy.order == offset.order > 0.95
    assert healthy.fit < healthy.chance + 0.35 * (1 - healthy.chance)
    assert (healthy.is_scaling_fault, offset.is_scaling_fault) == (False, True)


@pytest.mark.parametrize("classes", [4, 10])
def test_a_model_that_learned_little_or_predicts_the_most_frequent_class_has_no_scaling_fault(classes: int) -> None:
    """Early in a training the order is better than the values, and the most frequent class is predicted alone."""
    rng = np.random.default_rng(7)
    even = rng.integers(0, classes, 1000)
    rare = np.where(rng.uniform(size=1000) < 0.75, classes - 1, even)
    for labels, push in ((even, rng.permutation(np.linspace(0, 4, classes))), (rare, 4.0 * np.eye(classes)[-1])):
        weak = rng.normal(size=(1000, classes)) + 1.8 * np.eye(classes)[labels]
        scores = score({"y": np.exp(weak + push)}, {"y": labels})["y"]
        assert scores.is_skewed
        assert not scores.is_scaling_fault
        strong = 6 * np.eye(classes)[labels] + weak + 20 * np.eye(classes)[0]
        assert score({"y": strong}, {"y": labels})["y"].is_scaling_fault


def test_classes_may_come_as_floats_and_values_may_not_come_as_whole_numbers() -> None:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 2, 200)
    single, pair = rng.uniform(size=(200, 1)), rng.uniform(size=(200, 2))
    for outputs in (single, pair):
        assert score({"y": outputs}, {"y": labels.astype("f")})["y"] == score({"y": outputs}, {"y": labels})["y"]
    assert score({"y": single}, {"y": labels + 0.5})["y"].task is PredictionTask.REGRESSION
    with pytest.raises(LabelsError, match=r"20…21.*give them as floats"):
        score({"y": single}, {"y": labels + 20})


@pytest.mark.parametrize(
    "labels", [np.zeros((50, 3), int), np.ones((50, 4), int), np.eye(6, dtype=int)[np.arange(50) % 6]]
)
def test_rows_of_labels_that_are_not_one_hot_for_the_output_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(LabelsError, match="neither class numbers nor one-hot"):
        score({"y": np.random.default_rng(6).uniform(size=(50, 4))}, {"y": labels})


def test_a_regression_has_an_error_and_an_order() -> None:
    rng = np.random.default_rng(3)
    wanted = rng.normal(size=100)
    scores = score({"y": 5 + 3 * wanted[:, np.newaxis]}, {"y": wanted})["y"]
    assert scores.task == PredictionTask.REGRESSION and scores.order == pytest.approx(1)
    assert scores.fit == pytest.approx(np.mean((5 + 2 * wanted) ** 2))
    assert scores.is_scaling_fault


def test_equal_values_share_their_rank() -> None:
    np.testing.assert_array_equal(ranks(np.array([3.0, 1, 3, 2])), [3.5, 1, 3.5, 2])


def test_labels_that_are_not_finite_are_refused_by_row() -> None:
    with pytest.raises(LabelsError, match="row 2 holds a value that is not finite"):
        fit_labels(np.array([1.0, 2.0, np.nan, 4.0]), ("y",), 4)
