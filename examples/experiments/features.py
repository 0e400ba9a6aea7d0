"""A head on a frozen backbone, inside one model and on features computed beforehand: it should make no difference.

The features come from a server: `export-model --features` cuts the classifier at its last layer before the head,
`serve-model` serves that, and `predict-model` pushes all images through it.

There is a difference if the backbone's BatchNormalization still normalises with the batch in `fit`, as frozen layers
did in Keras 2.1.3 to 2.1.6; here these layers stay trainable and all others are frozen. VGG has no BatchNormalization,
and no difference.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import serving
from command import command_line, print_table, report
from tasks import Array, Task, task
from training import fit, head_for, phase_0, phase_1, with_head

RATE = 2e-3


def main() -> None:
    options = command_line(__doc__ or "", images=500, epochs=8, plots=False)
    data = task(options)
    bodies = {name: data.backbone(name) for name in ("resnet", "vgg")}
    features, distances = {}, {}
    # features from a server
    with TemporaryDirectory() as folder:
        for name, backbone in bodies.items():
            serving.export(with_head(backbone), name, backbone.layers[-1].name, data.train_x, Path(folder))
        with serving.serving(Path(folder)) as address:
            for name in bodies:
                features[name] = serving.predicted_features(address, name, (data.train_x, data.held_x), Path(folder))
    # compared before any training below changes the backbones
    for name, backbone in bodies.items():
        distances[name] = apart(features[name][1], data.held_x, backbone)
    # one row for each way of training a head
    rows: list[tuple[str | float, ...]] = []
    for name, backbone in bodies.items():
        backbone.trainable = False
        train, held = features[name]
        rows.append((name, "served features", *on_features(name, train, held, data, options.epochs)))
        rows.append((name, "inside the model, frozen", *inside(name, backbone, data, options.epochs)))
        if thaw(backbone):
            rows.append(
                (name, "inside, all but BatchNormalization frozen", *inside(name, backbone, data, options.epochs))
            )
    print_table(("backbone", "head on", "fit", "phase 0, held back", "phase 1, held back"), rows)
    for name, distance in distances.items():
        print(f"{name}: served features differ from those of predict by at most {distance:.0e} of their scale")


def on_features(name: str, train: Array, held: Array, data: Task, epochs: int) -> tuple[float, float, float]:
    report(f"{name}: a head on served features")
    seed()
    head = head_for(train)
    shown = fit(head, (train, data.train_y), rate=RATE, epochs=epochs).shown[-1]
    return shown, phase_0(head, held, data.held_y), phase_1(head, held, data.held_y)


def inside(name: str, backbone: Any, data: Task, epochs: int) -> tuple[float, float, float]:
    report(f"{name}: a head inside the model")
    seed()
    model = with_head(backbone)
    shown = fit(model, (data.train_x, data.train_y), rate=RATE, epochs=epochs).shown[-1]
    return shown, phase_0(model, data.held_x, data.held_y), phase_1(model, data.held_x, data.held_y)


def apart(served: Array, images: Array, backbone: Any) -> float:
    """Largest difference between served features and those of `predict`, as a share of the largest feature."""
    predicted = backbone.predict(images, verbose=0)
    return float(np.abs(served - predicted).max() / np.abs(predicted).max())


def seed() -> None:
    """Seeds the random numbers, for the same head and the same batches each time."""
    import keras

    keras.utils.set_random_seed(7)


def thaw(backbone: Any) -> bool:
    """Lets BatchNormalization alone follow the learning phase; False if the backbone has none."""
    from keras.layers import BatchNormalization

    normalizations = [layer for layer in backbone.layers if isinstance(layer, BatchNormalization)]
    backbone.trainable = True
    for layer in backbone.layers:
        layer.trainable = layer in normalizations
    return bool(normalizations)


if __name__ == "__main__":
    main()
