"""Fine-tuning in two stages: the head first on a frozen backbone, then everything at a small rate.

A new head's first gradients are large and would spoil a pretrained backbone; hence the order. VGG19 has no
BatchNormalization, so that what is seen is the training alone.
"""

from common import fit, phase_0, print_table, task, with_head


def main() -> None:
    given = task(__doc__ or "")
    train, held = (given.train_x, given.train_y), (given.held_x, given.held_y)
    rows: list[tuple[str | float, ...]] = []

    body = given.backbone("vgg")
    body.trainable = False
    model = with_head(body)
    shown = fit(model, *train, 2e-3, 6)
    rows.append(("1. head alone", shown, phase_0(model, *train), phase_0(model, *held)))
    body.trainable = True
    shown = fit(model, *train, 1e-4, 6)
    rows.append(("2. then everything at a small rate", shown, phase_0(model, *train), phase_0(model, *held)))

    model = with_head(given.backbone("vgg"))
    shown = fit(model, *train, 1e-2, 12)
    rows.append(("everything at once at a large rate", shown, phase_0(model, *train), phase_0(model, *held)))
    print_table(("stage", "fit", "phase 0, trained on", "phase 0, held back"), rows)


if __name__ == "__main__":
    main()
