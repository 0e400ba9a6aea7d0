"""The overfitting test: the same few images to train and to validate on. Whatever is not 100 % then is no lack of data.

A pretrained residual network gets a new head and is trained on 256 images of another domain. Its accuracy on these very
images is told three times: as `fit` shows it, in phase 0 (`predict`, moving statistics) and in phase 1 (batch
statistics).
"""

from typing import Any

from common import Task, fit, phase_0, phase_1, print_table, task, with_head

from foldserve_exporter import freeze, recalibrate

ROWS = 256
EPOCHS = 5
RATE = 1e-3


def main() -> None:
    given = task(__doc__ or "")
    rows: list[tuple[str | float, ...]] = []
    for name, frozen in (("as people do it", False), ("BatchNormalization frozen first", True)):
        model, shown = trained(given, frozen)
        rows.append((name, shown, *scores(model, given)))
        recalibrate(model, given.train_x[:ROWS]).apply_to(model)
        rows.append((f"{name}, then recalibrated", shown, *scores(model, given)))
    model, shown = trained(given, frozen=True, first=True)
    rows.append(("recalibrated and frozen first", shown, *scores(model, given)))
    print_table(("fine-tuned", "fit", "phase 0", "phase 1", "phase 0, held back"), rows)


def trained(given: Task, frozen: bool, first: bool = False) -> tuple[Any, float]:
    model = with_head(given.backbone("resnet"))
    if first:
        recalibrate(model, given.train_x[:ROWS]).apply_to(model)
    if frozen:
        freeze(model)
    return model, fit(model, given.train_x[:ROWS], given.train_y[:ROWS], RATE, EPOCHS)


def scores(model: Any, given: Task) -> tuple[float, float, float]:
    same = given.train_x[:ROWS], given.train_y[:ROWS]
    return phase_0(model, *same), phase_1(model, *same), phase_0(model, given.held_x, given.held_y)


if __name__ == "__main__":
    main()
