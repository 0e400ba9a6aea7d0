"""The overfitting test: the same few images to train and to validate on. Whatever is not 100 % then is no lack of data.

A pretrained residual network gets a new head and is trained on images of another domain. Its accuracy on these very
images is told three times: dynamic, as `fit` shows it (Keras chooses the phase of each layer); in phase 0, as `predict`
answers (moving statistics); in phase 1 (statistics of the batch). And once on images that were held back, in phase 0.
"""

from typing import Any

from chart import draw
from command import command_line, print_table, say
from tasks import Task, task
from training import History, dynamic, fit, phase_0, phase_1, with_head

import foldserve_exporter as foldserve  # whose functions bring TensorFlow, each when it is first asked for

RATE = 1e-3
Row = tuple[str | float, ...]


def main() -> None:
    options = command_line(__doc__ or "", images=256, epochs=5, plots=True)
    given = task(options)
    careless, usual = as_people_do_it(given, options.epochs)
    frozen, _ = frozen_first(given, options.epochs)
    mended, right = recalibrated_and_frozen_first(given, options.epochs)
    heads = ("fine-tuned", "dynamic", "phase 0", "phase 1", "phase 0, held back")
    print_table(heads, [*careless, *frozen, *mended])
    draw(
        options.plot,
        "Trained and validated on the same images: accuracy in %",
        {
            "fit": usual.shown,
            "validation": usual.validated,
            "validation, recalibrated and frozen first": right.validated,
        },
    )


def as_people_do_it(given: Task, epochs: int) -> tuple[list[Row], History]:
    model = with_head(given.backbone("resnet"))
    history = trained(model, given, epochs, "as people do it")
    rows: list[Row] = [("as people do it", *scores(model, given))]
    foldserve.freeze(model)
    rows.append(("… then frozen", *scores(model, given)))
    foldserve.recalibrate(model, given.train_x).apply_to(model)
    rows.append(("… then frozen and recalibrated", *scores(model, given)))
    return rows, history


def frozen_first(given: Task, epochs: int) -> tuple[list[Row], History]:
    model = with_head(given.backbone("resnet"))
    foldserve.freeze(model)
    history = trained(model, given, epochs, "frozen first")
    rows: list[Row] = [("frozen first", *scores(model, given))]
    foldserve.recalibrate(model, given.train_x).apply_to(model)
    rows.append(("frozen first, then recalibrated", *scores(model, given)))
    return rows, history


def recalibrated_and_frozen_first(given: Task, epochs: int) -> tuple[list[Row], History]:
    model = with_head(given.backbone("resnet"))
    foldserve.recalibrate(model, given.train_x).apply_to(model)
    foldserve.freeze(model)
    history = trained(model, given, epochs, "recalibrated and frozen first")
    return [("recalibrated and frozen first", *scores(model, given))], history


def trained(model: Any, given: Task, epochs: int, how: str) -> History:
    say(f"fine-tuned on {len(given.train_x)} images, {how}")
    same = given.train_x, given.train_y
    return fit(model, same, rate=RATE, epochs=epochs, validate=same)


def scores(model: Any, given: Task) -> tuple[float, ...]:
    same = given.train_x, given.train_y
    return (
        dynamic(model, *same),
        phase_0(model, *same),
        phase_1(model, *same),
        phase_0(model, given.held_x, given.held_y),
    )


if __name__ == "__main__":
    main()
