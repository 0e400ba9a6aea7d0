"""A linear support vector machine on bottleneck features: how much a backbone knows, with nothing trained in it.

Features come from `predict`, so that BatchNormalization is on its moving statistics. Those are of another domain than
the images; the last row takes the features from the backbone recalibrated on the unlabelled training images.
"""

from typing import Any

from common import Array, Task, print_table, task
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from foldserve_exporter import recalibrate


def main() -> None:
    given = task(__doc__ or "")
    rows: list[tuple[str | float, ...]] = [("pixels", *scores(given.train_x, given.held_x, given))]
    for name in ("vgg", "resnet"):
        body = given.backbone(name)
        rows.append((name, *on_features(body, given)))
    recalibrate(body, given.train_x).apply_to(body)
    rows.append(("resnet, recalibrated", *on_features(body, given)))
    print_table(("features", "trained on", "held back"), rows)


def on_features(body: Any, given: Task) -> tuple[float, float]:
    return scores(body.predict(given.train_x, verbose=0), body.predict(given.held_x, verbose=0), given)


def scores(train: Array, held: Array, given: Task) -> tuple[float, float]:
    machine = make_pipeline(StandardScaler(), LinearSVC(C=0.1, max_iter=5000, random_state=0))
    machine.fit(train.reshape(len(train), -1), given.train_y)
    return (
        float(machine.score(train.reshape(len(train), -1), given.train_y)),
        float(machine.score(held.reshape(len(held), -1), given.held_y)),
    )


if __name__ == "__main__":
    main()
