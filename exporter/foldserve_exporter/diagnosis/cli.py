"""`diagnose-model`: words into options, findings into an exit code."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..commands import print_error, run_command

PROGRAM = "diagnose-model"
_EPILOG = """\
examples:
  diagnose-model flowers.keras
  diagnose-model flowers.keras --samples val.npz --labels labels.npy --html flowers.html
  diagnose-model flowers.keras --samples photos/ --fix flowers-fixed.keras

models:
  .keras of Keras 3 and of tf.keras 2.12 to 2.15; .h5 and .hdf5 of Keras 2.0 to 3, whole models, not weights alone;
  SavedModel directories of tf.keras 2 that model.save wrote. Which it is, is told by the content. What had to be
  repaired to read an old one is noted. With --trust-code, package.module:function is called for a model.

samples:
  real inputs as the model takes them: an .npz with one array per input (or a single array under any name), an .npy, or
  a folder of images (values 0..255, resized; up to 1024, spread over all). Without them, what needs no data is looked
  for.
labels:
  class numbers, one-hot rows or values: an .npy, or an .npz with one array per output.

exit codes:
  0  done                          2  usage
  1  --fail-on, or the disk        3  the model cannot be read
                                   4  refused: unsafe or unsupported, and named
  130, 143  ended by Ctrl-C or SIGTERM
The model file is never changed.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; gives its exit code."""
    options = _parse(arguments)
    return run_command(PROGRAM, lambda: _diagnose(options), "nothing was written")


def _diagnose(options: argparse.Namespace) -> int:
    from ..load.loader import load_model
    from ..output_files import write_whole
    from ..predictions.labels import read_labels
    from .diagnose import diagnose
    from .finding import Severity
    from .html import render_diagnosis

    loaded = load_model(options.model, trust_code=options.trust_code, custom_objects=options.custom_objects)
    labels = None if options.labels is None else read_labels(options.labels)
    found = diagnose(loaded.model, options.samples, labels=labels)
    found = replace(found, notes=(*loaded.notes, *found.notes))
    _show(found, options.json)
    if options.html is not None:
        write_whole(options.html, render_diagnosis(found))
    if options.fix is not None:
        _fix(loaded.model, labels, options)
    if options.fail_on is not None and found.has(Severity(options.fail_on)):
        print_error(PROGRAM, f"there are findings of severity {options.fail_on} or above")
        return 1
    return 0


def _show(found: object, as_json: bool) -> None:
    from rich.console import Console

    from ..output_files import as_json as to_json
    from .diagnose import Diagnosis
    from .terminal import print_diagnosis

    assert isinstance(found, Diagnosis)
    if as_json:
        print(to_json(found), end="")
    else:
        print_diagnosis(found, Console())


def _fix(model: Any, labels: Any, options: argparse.Namespace) -> None:
    """Writes the recalibrated model; its own file is not touched."""
    from ..recalibration.effect_text import recalibration_lines
    from ..recalibration.fix import write_fixed

    done = write_fixed(model, options.samples, labels, options.fix)
    for line in recalibration_lines(done):
        print(line, file=sys.stderr if options.json else sys.stdout)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Finds what is wrong with a Keras model's BatchNormalization, measures what it does to the"
        " predictions, and says what to do.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL",
        help="a .keras, .h5 or .hdf5 file, a SavedModel directory of Keras 2, or package.module:function"
        " (see below)")  # fmt: skip
    add("--samples", type=Path, metavar="FILE", help="real inputs: .npz, .npy or a folder of images (see below)")
    add("--labels", type=Path, metavar="FILE", help="what the answers to them should be: .npy or .npz (see below)")
    add("--json", action="store_true", help="print the diagnosis as JSON")
    add("--html", type=Path, metavar="OUT", help="write it as a page, with plots")
    add(
        "--fail-on", choices=("warning", "error"), help="exit with 1 where something is found that is at least as grave"
    )
    add("--fix", type=Path, metavar="OUT.keras", help="write the model with statistics estimated anew from --samples")
    add("--trust-code", action="store_true", help="let code run: a file's Lambda layers, or package.module:function")
    add("--custom-objects", action="append", default=[], metavar="MODULE",
        help="a module to import first; its classes register themselves with Keras; repeatable")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.samples is None and (options.labels or options.fix):
        parser.error("--labels and --fix need --samples")
    if options.fix is not None and (options.fix.suffix != ".keras" or options.fix.exists()):
        parser.error(f"--fix {options.fix}: give a new file ending in .keras")
    for written in (options.html, options.fix):
        if written is not None and not written.parent.is_dir():
            parser.error(f"{written}: there is no folder {written.parent} to write it into")
    return options


if __name__ == "__main__":
    sys.exit(main())
