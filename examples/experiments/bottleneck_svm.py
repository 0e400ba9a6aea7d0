"""A linear support vector machine on bottleneck features: what a backbone contributes without being trained.

Features come from `predict`, so that BatchNormalization uses its moving statistics. Those are of another domain than
the images; the last row takes the features from the backbone recalibrated on the unlabelled training images.
"""

from typing import Any

from command import command_line, print_table, report
from tasks import Array, Task, task

import foldserve_exporter as foldserve  # its functions import TensorFlow when first used


def main() -> None:
    data = task(command_line(__doc__ or "", images=500, epochs=0, plots=False))
    rows: list[tuple[str | float, ...]] = [("pixels", *scores(data.train_x, data.held_x, data))]
    backbone = data.backbone("vgg")
    rows.append(("vgg", *on_features(backbone, data)))
    backbone = data.backbone("resnet")
    rows.append(("resnet", *on_features(backbone, data)))
    foldserve.recalibrate(backbone, data.train_x).apply_to(backbone)
    rows.append(("resnet, recalibrated", *on_features(backbone, data)))
    print_table(("features", "trained on", "held back"), rows)


def on_features(backbone: Any, data: Task) -> tuple[float, float]:
    return scores(backbone.predict(data.train_x, verbose=0), backbone.predict(data.held_x, verbose=0), data)


def scores(train: Array, held: Array, data: Task) -> tuple[float, float]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    train, held = train.reshape(len(train), -1), held.reshape(len(held), -1)
    report(f"a machine on {train.shape[1]} features of {len(train)} images")
    machine = make_pipeline(StandardScaler(), LinearSVC(C=0.1, max_iter=5000, random_state=0))
    machine.fit(train, data.train_y)
    return float(machine.score(train, data.train_y)), float(machine.score(held, data.held_y))


if __name__ == "__main__":
    main()
