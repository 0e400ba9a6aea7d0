"""A head on a frozen backbone, inside one model and on features computed beforehand: it should make no difference.

The features come from a server: `export-model --features` cuts the classifier at its last layer before the head,
`serve-model` serves that, and `predict-model` pushes all images through it.

There is a difference where the backbone's BatchNormalization is left to normalise with the batch in `fit`, as frozen
layers did in Keras 2.1.3 to 2.1.6, here by leaving these layers trainable and freezing all others. VGG has none, and
nothing to go wrong.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import serving
from command import command_line, print_table, say
from tasks import Array, Task, task
from training import fit, head_for, phase_0, phase_1, with_head

RATE = 2e-3


def main() -> None:
    options = command_line(__doc__ or "", images=500, epochs=8, plots=False)
    given = task(options)
    bodies = {name: given.backbone(name) for name in ("resnet", "vgg")}
    features, distances = {}, {}
    with TemporaryDirectory() as folder:
        for name, body in bodies.items():
            serving.export(with_head(body), name, body.layers[-1].name, given.train_x, Path(folder))
        with serving.serving(Path(folder)) as address:
            for name in bodies:
                features[name] = serving.ask(address, name, (given.train_x, given.held_x), Path(folder))
    for name, body in bodies.items():
        distances[name] = apart(features[name][1], given.held_x, body)
    rows: list[tuple[str | float, ...]] = []
    for name, body in bodies.items():
        body.trainable = False
        train, held = features[name]
        rows.append((name, "served features", *on_features(name, train, held, given, options.epochs)))
        rows.append((name, "inside the model, frozen", *inside(name, body, given, options.epochs)))
        if thaw(body):
            rows.append((name, "inside, all but BatchNormalization frozen", *inside(name, body, given, options.epochs)))
    print_table(("backbone", "head on", "fit", "phase 0, held back", "phase 1, held back"), rows)
    for name, distance in distances.items():
        print(f"{name}: served features differ from those of predict by at most {distance:.0e} of their scale")


def on_features(name: str, train: Array, held: Array, given: Task, epochs: int) -> tuple[float, float, float]:
    say(f"{name}: a head on served features")
    seed()
    head = head_for(train)
    shown = fit(head, (train, given.train_y), rate=RATE, epochs=epochs).shown[-1]
    return shown, phase_0(head, held, given.held_y), phase_1(head, held, given.held_y)


def inside(name: str, body: Any, given: Task, epochs: int) -> tuple[float, float, float]:
    say(f"{name}: a head inside the model")
    seed()
    model = with_head(body)
    shown = fit(model, (given.train_x, given.train_y), rate=RATE, epochs=epochs).shown[-1]
    return shown, phase_0(model, given.held_x, given.held_y), phase_1(model, given.held_x, given.held_y)


def apart(served: Array, images: Array, body: Any) -> float:
    """The largest difference between served features and those of `predict`, as a share of the largest feature."""
    predicted = body.predict(images, verbose=0)
    return float(np.abs(served - predicted).max() / np.abs(predicted).max())


def seed() -> None:
    """The same head and the same batches each time."""
    import keras

    keras.utils.set_random_seed(7)


def thaw(body: Any) -> bool:
    """Lets BatchNormalization, and it alone, follow the learning phase; tells whether there is any."""
    from keras.layers import BatchNormalization

    found = [layer for layer in body.layers if isinstance(layer, BatchNormalization)]
    body.trainable = True
    for layer in body.layers:
        layer.trainable = layer in found
    return bool(found)


if __name__ == "__main__":
    main()
