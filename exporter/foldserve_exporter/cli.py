"""`export-model`: words into options, errors into exit codes."""

import argparse
import sys
from pathlib import Path

from .commands import complain, run_command
from .errors import VerificationFailed
from .options import DEFAULT_GOLDEN, DEFAULT_MAX_BATCH, ExportOptions

PROGRAM = "export-model"

_EPILOG = """\
examples:
  export-model flowers.keras -o models --name flowers --samples val.npz
  export-model flowers.keras -o models --name flowers --samples images/ --json >report.json
  export-model old.h5 -o models --name old          # Keras 2.0 to tf.keras 2.15, told apart by the file
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
  130, 143  ended by Ctrl-C or SIGTERM
Nothing is published unless the exit code is 0.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; gives its exit code."""
    options = _parse(arguments)
    return run_command(PROGRAM, lambda: _run(options), "nothing was published")


def _run(options: argparse.Namespace) -> int:
    try:
        return _export(options)
    except VerificationFailed as error:
        _show(error.report, options.json)
        complain(PROGRAM, str(error))
        return error.exit_code


def _export(options: argparse.Namespace) -> int:
    from .pipeline import export_model
    from .report.progress import TerminalProgress

    with TerminalProgress(enabled=sys.stderr.isatty()) as progress:
        exported = export_model(
            options.model,
            options.output,
            options.name,
            progress=progress,
            version=options.version,
            samples=options.samples,
            golden=options.golden,
            golden_synthetic=options.golden_synthetic,
            seed=options.seed,
            force=options.force,
            keep_keras=options.keep_keras,
            max_batch_size=options.max_batch_size,
            features=options.features,
            preprocess=options.preprocess,
            labels=options.labels,
            rename=tuple(options.rename),
            trust_code=options.trust_code,
            custom_objects=tuple(options.custom_objects),
            tf32=options.tf32,
            recalibrate=options.recalibrate,
            recalibrate_labels=options.recalibrate_labels,
        )
    _show(exported.report, options.json)
    if not options.json:
        print(f"bundle: {exported.path}\nreport: {exported.path / 'report.html'}")
    return 0


def _show(report: object, as_json: bool) -> None:
    from rich.console import Console

    from .report.files import as_json as to_json
    from .report.record import Report
    from .report.terminal import print_report

    assert isinstance(report, Report)
    if as_json:
        print(to_json(report), end="")
    else:
        print_report(report, Console())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    defaults = ExportOptions(Path(), "")
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
    add("--version", type=int, help="the version's number (default: the highest there plus one)")
    add("--samples", type=Path, metavar="FILE", help="real inputs: .npz, .npy or a folder of images (see below)")
    add("--recalibrate", type=Path, metavar="FILE", help="estimate the moving statistics anew from these samples first")
    add("--recalibrate-labels", type=Path, metavar="FILE",
        help="the right answers to them (.npy, .npz): accuracy is told, worse refused")  # fmt: skip
    add("--golden", type=int, default=DEFAULT_GOLDEN, metavar="N", help=f"golden samples ({DEFAULT_GOLDEN})")
    add("--golden-synthetic", action="store_true", help="draw the golden samples at random: keeps --samples private")
    add("--seed", type=int, default=defaults.seed, help="of every random choice (0)")
    add("--force", action="store_true", help="replace the version if it is there")
    add("--keep-keras", action="store_true", help="keep the folded model as model.keras in the bundle")
    add("--max-batch-size", type=int, default=DEFAULT_MAX_BATCH, metavar="N",
        help=f"what Triton's config.pbtxt says ({DEFAULT_MAX_BATCH})")  # fmt: skip
    add("--tf32", action="store_true", help="promise a value for GPUs that round to TF32, too (serve-model --tf32)")
    add("--features", metavar="LAYER", help="answer with this layer's features: the model up to it is exported")
    add("--preprocess", metavar="HOW",
        help="caffe, tf, torch, SCALE or SCALE,OFFSET: baked in, so that callers send uint8 images in RGB")  # fmt: skip
    add("--labels", type=Path, metavar="FILE", help="names of the classes, one a line, or a JSON list")
    add("--rename", action="append", default=[], metavar="OLD=NEW",
        help="another name for an input or output, in both artifacts and on the wire; repeatable")  # fmt: skip
    add("--trust-code", action="store_true", help="let code run: a file's Lambda layers, or package.module:function")
    add("--custom-objects", action="append", default=[], metavar="MODULE",
        help="a module to import first; its classes register themselves with Keras; repeatable")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
