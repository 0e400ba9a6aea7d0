"""The command `export-model`: arguments to options, errors to exit codes."""

import argparse
import sys
from functools import partial
from pathlib import Path

from foldserve_contract.options import values_of
from foldserve_contract.standard_output import printing

from .commands import print_error, run_command
from .flags import add_flags
from .options import ExportOptions
from .progress import CurrentStep

PROGRAM = "export-model"

_EPILOG = """\
examples:
  export-model flowers.keras -o models --name flowers --samples val.npz
  export-model flowers.keras -o models --name flowers --samples images/ --json >report.json
  export-model old.h5 -o models --name old          # Keras 2.0 to tf.keras 2.15, recognised from the file
  export-model shop.models:build -o models --name shop --trust-code

samples:
  real inputs as the model takes them: an .npz with one array per input (or a single array under any name), an .npy, or
  a folder of images (values 0..255, resized; up to 1024, spread over all). They are what the export is verified on, and
  32 of them become the bundle's golden samples, which every server checks at every reload. Without them, synthetic ones
  are drawn.

preprocessing:
  what every caller would have to do before calling, once and for all inside the model: caffe, tf and torch as in
  keras.applications, or x * SCALE + OFFSET (1/255, or 1/127.5,-1). Callers then send bytes, a quarter of the size.

exit codes:
  0  verified and published        3  the model cannot be read
  1  the disk failed               4  refused: unsafe or unsupported, and named
  2  usage                         5  an artifact does not answer as the model does
  70  an error that nobody foresaw: the message names a file with its trace, to be sent
  130, 143  ended by Ctrl-C or SIGTERM
Nothing is published unless the exit code is 0, or the report alone could not be printed.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options, step = _parse(arguments), CurrentStep()
    return run_command(PROGRAM, lambda: _run(options, step), "nothing was published", step)


def _run(options: argparse.Namespace, step: CurrentStep) -> int:
    from .report.verification_failed import VerificationFailed  # with TensorFlow: not for --help

    try:
        return _export(options, step)
    except VerificationFailed as error:
        with printing():
            _show(error.report, options.json)
        print_error(PROGRAM, str(error))
        return error.exit_code


def _export(options: argparse.Namespace, step: CurrentStep) -> int:
    from .pipeline import export_model
    from .report.terminal_progress import TerminalProgress

    with TerminalProgress(enabled=sys.stderr.isatty()) as step.listener:
        exported = export_model(
            options.model, options.output, options.name, progress=step, **values_of(ExportOptions, options)
        )
    with printing():
        _show(exported.report, options.json)
        if not options.json:
            print(f"bundle: {exported.path}\nreport: {exported.path / 'report.html'}")
    return 0


def _show(report: object, as_json: bool) -> None:
    from .console import show
    from .output_files import as_json as to_json
    from .report.record import Report
    from .report.terminal import print_report

    assert isinstance(report, Report)
    if as_json:
        print(to_json(report), end="")
    else:
        show(partial(print_report, report))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Folds a Keras model's BatchNormalization into its weights, proves that nothing changed, and "
        "publishes a bundle with a SavedModel and an ONNX model.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, metavar="MODEL",
        help="a .keras or .h5 file, a SavedModel directory of Keras 2, or package.module:function")  # fmt: skip
    add("-o", "--output", type=Path, required=True, metavar="MODELS_DIR", help="the model repository to publish into")
    add("--name", required=True, help="the model's name")
    add_flags(parser, ExportOptions)
    add("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
