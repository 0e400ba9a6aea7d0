"""The overfitting test: the same few images to train and to validate on. Below 100 %, a lack of data is not the cause.

A pretrained residual network gets a new head and is trained on images of another domain. Its accuracy on these very
images is printed three times: dynamic, as `fit` shows it (Keras chooses the phase of each layer); in phase 0, as in
`predict` (moving statistics); in phase 1 (statistics of the batch). And once on images that were held back, in phase 0.
"""

from typing import Any

from chart import draw
from command import command_line, print_table, report
from tasks import Task, task
from training import History, dynamic, fit, phase_0, phase_1, with_head

import foldserve_exporter as foldserve  # its functions import TensorFlow when first used

RATE = 1e-3
Row = tuple[str | float, ...]


def main() -> None:
    options = command_line(__doc__ or "", images=256, epochs=5, plots=True)
    data = task(options)
    not_frozen, usual = without_precautions(data, options.epochs)
    frozen, _ = frozen_first(data, options.epochs)
    recalibrated, right = recalibrated_and_frozen_first(data, options.epochs)
    heads = ("fine-tuned", "dynamic", "phase 0", "phase 1", "phase 0, held back")
    print_table(heads, [*not_frozen, *frozen, *recalibrated])
    draw(
        options.plot,
        "Trained and validated on the same images: accuracy in %",
        {
            "fit": usual.shown,
            "validation": usual.validated,
            "validation, recalibrated and frozen first": right.validated,
        },
    )


def without_precautions(data: Task, epochs: int) -> tuple[list[Row], History]:
    model = with_head(data.backbone("resnet"))
    history = trained(model, data, epochs, "as people do it")
    rows: list[Row] = [("as people do it", *scores(model, data))]
    foldserve.freeze(model)
    rows.append(("… then frozen", *scores(model, data)))
    foldserve.recalibrate(model, data.train_x).apply_to(model)
    rows.append(("… then frozen and recalibrated", *scores(model, data)))
    return rows, history


def frozen_first(data: Task, epochs: int) -> tuple[list[Row], History]:
    model = with_head(data.backbone("resnet"))
    foldserve.freeze(model)
    history = trained(model, data, epochs, "frozen first")
    rows: list[Row] = [("frozen first", *scores(model, data))]
    foldserve.recalibrate(model, data.train_x).apply_to(model)
    rows.append(("frozen first, then recalibrated", *scores(model, data)))
    return rows, history


def recalibrated_and_frozen_first(data: Task, epochs: int) -> tuple[list[Row], History]:
    model = with_head(data.backbone("resnet"))
    foldserve.recalibrate(model, data.train_x).apply_to(model)
    foldserve.freeze(model)
    history = trained(model, data, epochs, "recalibrated and frozen first")
    return [("recalibrated and frozen first", *scores(model, data))], history


def trained(model: Any, data: Task, epochs: int, how: str) -> History:
    report(f"fine-tuned on {len(data.train_x)} images, {how}")
    same = data.train_x, data.train_y
    return fit(model, same, rate=RATE, epochs=epochs, validate=same)


def scores(model: Any, data: Task) -> tuple[float, ...]:
    same = data.train_x, data.train_y
    return (
        dynamic(model, *same),
        phase_0(model, *same),
        phase_1(model, *same),
        phase_0(model, data.held_x, data.held_y),
    )


if __name__ == "__main__":
    main()
