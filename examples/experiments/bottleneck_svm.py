"""A linear support vector machine on bottleneck features: how much a backbone knows, with nothing trained in it.

Features come from `predict`, so that BatchNormalization is on its moving statistics. Those are of another domain than
the images; the last row takes the features from the backbone recalibrated on the unlabelled training images.
"""

from typing import Any

from command import command_line, print_table, say
from tasks import Array, Task, task

import foldserve_exporter as foldserve  # whose functions bring TensorFlow, each when it is first asked for


def main() -> None:
    given = task(command_line(__doc__ or "", images=500, epochs=0, plots=False))
    rows: list[tuple[str | float, ...]] = [("pixels", *scores(given.train_x, given.held_x, given))]
    body = given.backbone("vgg")
    rows.append(("vgg", *on_features(body, given)))
    body = given.backbone("resnet")
    rows.append(("resnet", *on_features(body, given)))
    foldserve.recalibrate(body, given.train_x).apply_to(body)
    rows.append(("resnet, recalibrated", *on_features(body, given)))
    print_table(("features", "trained on", "held back"), rows)


def on_features(body: Any, given: Task) -> tuple[float, float]:
    return scores(body.predict(given.train_x, verbose=0), body.predict(given.held_x, verbose=0), given)


def scores(train: Array, held: Array, given: Task) -> tuple[float, float]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    train, held = train.reshape(len(train), -1), held.reshape(len(held), -1)
    say(f"a machine on {train.shape[1]} features of {len(train)} images")
    machine = make_pipeline(StandardScaler(), LinearSVC(C=0.1, max_iter=5000, random_state=0))
    machine.fit(train, given.train_y)
    return float(machine.score(train, given.train_y)), float(machine.score(held, given.held_y))


if __name__ == "__main__":
    main()
