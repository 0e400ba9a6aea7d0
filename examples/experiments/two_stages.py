"""Fine-tuning in two stages: the head first on a frozen backbone, then everything at a small rate.

A new head's first gradients are large and would spoil a pretrained backbone; hence the order. VGG19 has no
BatchNormalization, so that what is seen is the training alone.
"""

from typing import Any

from chart import draw
from command import command_line, print_table, say
from tasks import Task, task
from training import History, fit, phase_0, with_head

HEAD_RATE = 2e-3
SMALL_RATE = 1e-4
LARGE_RATE = 1e-2
Row = tuple[str | float, ...]


def main() -> None:
    options = command_line(__doc__ or "", images=500, epochs=6, plots=True)
    given = task(options)
    body = given.backbone("vgg")
    body.trainable = False
    model = with_head(body)
    first, head = stage(model, given, "1. head alone", HEAD_RATE, options.epochs)
    body.trainable = True
    second, rest = stage(model, given, "2. then everything at a small rate", SMALL_RATE, options.epochs)
    model = with_head(given.backbone("vgg"))
    third, once = stage(model, given, "everything at once at a large rate", LARGE_RATE, 2 * options.epochs)
    print_table(("stage", "fit", "phase 0, trained on", "phase 0, held back"), [first, second, third])
    curves = {"head first, then everything": head.validated + rest.validated, "everything at once": once.validated}
    draw(options.plot, "Accuracy on images that were held back, in %", curves)


def stage(model: Any, given: Task, name: str, rate: float, epochs: int) -> tuple[Row, History]:
    say(f"{name}: {rate:g}")
    train, held = (given.train_x, given.train_y), (given.held_x, given.held_y)
    history = fit(model, train, rate=rate, epochs=epochs, validate=held)
    return (name, history.shown[-1], phase_0(model, *train), phase_0(model, *held)), history


if __name__ == "__main__":
    main()
