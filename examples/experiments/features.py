"""A head on a frozen backbone, inside one model and on features computed beforehand: it should make no difference.

It does where the backbone's BatchNormalization is left to normalise with the batch in `fit`, as frozen layers did in
Keras 2.1.3 to 2.1.6, here by leaving these layers trainable and freezing all others. VGG has none, and nothing to go
wrong.
"""

from typing import Any

from common import Array, Task, fit, head_for, keras, layers, phase_0, phase_1, print_table, task, with_head

EPOCHS = 8
RATE = 2e-3


def main() -> None:
    given = task(__doc__ or "")
    rows: list[tuple[str | float, ...]] = []
    for name in ("resnet", "vgg"):
        body = given.backbone(name)
        body.trainable = False
        rows.append((name, "features computed beforehand", *on_features(body, given)))
        rows.append((name, "inside the model, frozen", *inside(body, given)))
        if thaw(body):
            rows.append((name, "inside the model, all but BatchNormalization frozen", *inside(body, given)))
    print_table(("backbone", "head", "fit", "phase 0, held back", "phase 1, held back"), rows)


def on_features(body: Any, given: Task) -> tuple[float, float, float]:
    keras.utils.set_random_seed(7)  # the same head and the same batches each time
    features: list[Array] = [body.predict(x, verbose=0) for x in (given.train_x, given.held_x)]
    head = head_for(features[0])
    shown = fit(head, features[0], given.train_y, RATE, EPOCHS)
    return shown, phase_0(head, features[1], given.held_y), phase_1(head, features[1], given.held_y)


def inside(body: Any, given: Task) -> tuple[float, float, float]:
    keras.utils.set_random_seed(7)
    model = with_head(body)
    shown = fit(model, given.train_x, given.train_y, RATE, EPOCHS)
    return shown, phase_0(model, given.held_x, given.held_y), phase_1(model, given.held_x, given.held_y)


def thaw(body: Any) -> bool:
    """Lets BatchNormalization, and it alone, follow the learning phase; tells whether there is any."""
    found = [layer for layer in body.layers if isinstance(layer, layers.BatchNormalization)]
    body.trainable = True
    for layer in body.layers:
        layer.trainable = layer in found
    return bool(found)


if __name__ == "__main__":
    main()
