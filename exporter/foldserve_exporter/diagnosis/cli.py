"""The command `diagnose-model`: arguments to options, findings to an exit code."""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from foldserve_contract.options import values_of
from foldserve_contract.standard_output import printing

from ..commands import print_error, run_command
from ..flags import add_flags
from ..progress import CurrentStep
from .cli_options import DiagnoseOptions

if TYPE_CHECKING:
    from ..recalibration.recalibrate import RecalibrationResult
    from .result import Diagnosis

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
  70  an error that nobody foresaw: the message names a file with its trace, to be sent
  130, 143  ended by Ctrl-C or SIGTERM
The model file is never changed.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    options, step = _parse(arguments), CurrentStep()
    return run_command(PROGRAM, lambda: _diagnose(options, step), "nothing was written", step)


def _diagnose(options: DiagnoseOptions, step: CurrentStep) -> int:
    from ..load.given_samples import GivenSamples
    from ..load.loader import load_model  # with TensorFlow: not for --help
    from ..output_files import write_whole
    from ..predictions.labels import read_labels
    from ..recalibration.fix import write_fixed
    from .diagnose import diagnose
    from .finding import Severity
    from .html import render_diagnosis

    step.step("load")
    loaded = load_model(
        options.model,
        trust_code=options.trust_code,
        custom_objects=options.custom_objects,
        samples=GivenSamples.read(options.samples),
    )
    labels = None if options.labels is None else read_labels(options.labels)
    step.step("diagnose")
    diagnosis = diagnose(loaded.model, options.samples, labels=labels)
    diagnosis = replace(diagnosis, notes=(*loaded.notes, *diagnosis.notes))
    step.step("report")
    with printing():
        _show(diagnosis, options.json)
    if options.html is not None:
        write_whole(options.html, render_diagnosis(diagnosis))
    if options.fix is not None and options.samples is not None:
        step.step("fix")
        done = write_fixed(loaded.model, options.samples, labels, options.fix)
        with printing():
            _show_recalibration(done, sys.stderr if options.json else sys.stdout)
    if options.fail_on is not None and diagnosis.has(Severity(options.fail_on)):
        print_error(PROGRAM, f"there are findings of severity {options.fail_on} or above")
        return 1
    return 0


def _show(diagnosis: "Diagnosis", as_json: bool) -> None:
    from ..console import show
    from ..output_files import as_json as to_json
    from .terminal import print_diagnosis

    if as_json:
        print(to_json(diagnosis), end="")
    else:
        show(partial(print_diagnosis, diagnosis))


def _show_recalibration(done: "RecalibrationResult", stream: TextIO) -> None:
    from ..recalibration.effect_text import recalibration_lines

    for line in recalibration_lines(done):
        print(line, file=stream)


def _parse(arguments: list[str] | None) -> DiagnoseOptions:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Finds what is wrong with a Keras model's BatchNormalization, measures what it does to the"
        " predictions, and says what to do.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, metavar="MODEL",
        help="a .keras, .h5 or .hdf5 file, a SavedModel directory of Keras 2, or package.module:function"
        " (see below)")  # fmt: skip
    add_flags(parser, DiagnoseOptions)
    parsed = parser.parse_args(arguments)
    options = DiagnoseOptions(parsed.model, **values_of(DiagnoseOptions, parsed))
    if options.conflict:
        parser.error(options.conflict)
    return options


if __name__ == "__main__":
    sys.exit(main())
