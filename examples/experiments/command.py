"""Command line and output of the experiments: progress on stderr, tables on stdout."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_exporter.runtime import import_quietly, pin_runtime

FEWEST = 32  # the fewest that `recalibrate` accepts
MOST = 597  # digits that no backbone was trained on


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the command line.

    Attributes:
        imagenet: True for backbones of `keras.applications` and CIFAR-10, rather than small backbones and digits.
        images: Number of images to train on, and of images held back.
        epochs: Epochs of every training on the new images.
        side: Height and width that CIFAR-10 is scaled to, in pixels.
        plot: The SVG to draw, if any.
    """

    imagenet: bool
    images: int
    epochs: int
    side: int
    plot: Path | None


def command_line(description: str, *, images: int, epochs: int, plots: bool) -> Options:
    """Parses the command line before TensorFlow is imported; then imports TensorFlow without its messages.

    Args:
        description: The script's docstring.
        images: The default number of images.
        epochs: The default number of epochs; 0 if nothing is trained on the new images.
        plots: True if the script draws a plot.
    """
    parser = argparse.ArgumentParser(
        description=description, epilog=_examples(epochs, plots), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights",
        choices=("digits", "imagenet"),
        default="digits",
        help="what backbones know. digits (default): small ones, trained here on scikit-learn's digits, are transferred"
        " to inverted ones; nothing is downloaded. imagenet: ResNet50 and VGG19, transferred to CIFAR-10; Keras"
        " downloads both (340 MB) into ~/.keras or $KERAS_HOME, once",
    )
    parser.add_argument(
        "--images", type=_between(FEWEST, MOST), default=images, metavar="N",
        help=f"images to train on, and as many to hold back: {FEWEST} to {MOST} (default {images})",
    )  # fmt: skip
    if epochs:
        parser.add_argument(
            "--epochs", type=_between(1, 1000), default=epochs, metavar="N",
            help=f"epochs of each training on them (default {epochs})",
        )  # fmt: skip
    parser.add_argument(
        "--side", type=_between(32, 224), default=96, metavar="PIXELS",
        help="with --weights imagenet: what CIFAR-10's 32 pixels are scaled up to, 32 to 224 (default 96)",
    )  # fmt: skip
    if plots:
        parser.add_argument("--plot", type=_svg, metavar="FILE.svg", help="draw the accuracy of every epoch")
    arguments = parser.parse_args()
    pin_runtime()
    import_quietly()
    return Options(
        arguments.weights == "imagenet",
        arguments.images,
        getattr(arguments, "epochs", 0),
        arguments.side,
        getattr(arguments, "plot", None),
    )


def report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str | float]]) -> None:
    """Prints a Markdown table; numbers are shares."""
    print()
    for row in (heads, ["---"] * len(heads), *rows):
        print("| " + " | ".join(f"{cell:.1%}" if isinstance(cell, float) else cell for cell in row) + " |")
    print(flush=True)


def _examples(epochs: int, plots: bool) -> str:
    script = f"python {Path(sys.argv[0]).name}"
    lines = [script, f"{script} --weights imagenet --images 500"]
    if epochs:
        lines.append(f"{script} --epochs {2 * epochs}" + (" --plot accuracy.svg" if plots else ""))
    return "examples:\n  " + "\n  ".join(lines) + "\n\nThe table goes to stdout, what is being done to stderr."


def _between(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read


def _svg(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".svg" or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} should end in .svg, in a folder that exists")
    return path
