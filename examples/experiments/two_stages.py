"""Fine-tuning in two stages: the head first on a frozen backbone, then everything at a small rate.

A new head's first gradients are large and would spoil a pretrained backbone; hence the order. VGG19 has no
BatchNormalization, so that the figures show the training alone.
"""

from typing import Any

from chart import draw
from command import command_line, print_table, report
from tasks import Task, task
from training import History, fit, phase_0, with_head

HEAD_RATE = 2e-3
SMALL_RATE = 1e-4
LARGE_RATE = 1e-2
Row = tuple[str | float, ...]


def main() -> None:
    options = command_line(__doc__ or "", images=500, epochs=6, plots=True)
    data = task(options)
    backbone = data.backbone("vgg")
    backbone.trainable = False
    model = with_head(backbone)
    first, head = stage(model, data, "1. head alone", HEAD_RATE, options.epochs)
    backbone.trainable = True
    second, rest = stage(model, data, "2. then everything at a small rate", SMALL_RATE, options.epochs)
    model = with_head(data.backbone("vgg"))
    third, once = stage(model, data, "everything at once at a large rate", LARGE_RATE, 2 * options.epochs)
    print_table(("stage", "fit", "phase 0, trained on", "phase 0, held back"), [first, second, third])
    curves = {"head first, then everything": head.validated + rest.validated, "everything at once": once.validated}
    draw(options.plot, "Accuracy on images that were held back, in %", curves)


def stage(model: Any, data: Task, name: str, rate: float, epochs: int) -> tuple[Row, History]:
    report(f"{name}: {rate:g}")
    train, held = (data.train_x, data.train_y), (data.held_x, data.held_y)
    history = fit(model, train, rate=rate, epochs=epochs, validate=held)
    return (name, history.shown[-1], phase_0(model, *train), phase_0(model, *held)), history


if __name__ == "__main__":
    main()
