"""The words of `predict-model`, and what they mean."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.signature import DEFAULT_SIGNATURE

from ..transport.tls import TlsFiles
from .errors import UsageError
from .image_conversion import Filter, Imaging
from .options import RunOptions, parse_target

TOKEN = "FOLDSERVE_TOKEN"

EPILOG = f"""
what becomes of the inputs
  .npy          rows of the model's only input; may be larger than the memory
  .npz          one array for each input of the model, under its name; a single array under any name
  image         one row; a folder is all its images, sorted by path, also in folders below
  Several inputs are predicted one after the other, as if they were one. Numbers are cast to the model's dtype where
  nothing but rounding is lost. Images are converted to the channels of the model (grey, RGB, RGBA), resized to its
  height and width (Pillow's bilinear filter, proportions not kept) and keep their values 0 to 255: what else the
  model was trained with belongs into the model, or say --scale. EXIF orientation is left alone.

what comes out
  OUT.npz       each output under its name, one row for each row of the input, in order; row_ok (which rows have a
                prediction); input_names and input_rows (files, and how many rows each has); model_name, model_version
  OUT.npy       the only output
  Rows that fail are NaN (integers: 0), and stand with the reason in OUT.errors.jsonl: one JSON object a line with
  row, input, error. They never end the run.

runs that are interrupted
  Until all is done, everything is in OUT.partial. The same command goes on from there and ends with the same file.
  It keeps to the version it began with, and refuses other inputs or settings; --restart begins anew.

exit status
  0 all rows have a prediction    1 some have none; see OUT.errors.jsonl
  2 it cannot be done so          3 the server failed or was not reached; the same command resumes

examples
  predict-model localhost:8500/flowers photos/ -o flowers.npz
  predict-model localhost:8500/flowers/3 train.npy test.npy -o features.npy --output features --batch 64
  {TOKEN}=$(cat token) predict-model grpcs://models.example.org:443/flowers photos/ -o out.npz --scale=-1,1
"""


@dataclass(frozen=True, slots=True)
class Words:
    """What to do and how to tell of it."""

    options: RunOptions
    json: bool
    quiet: bool


def parse(arguments: Sequence[str] | None) -> Words:
    """Reads the command line.

    Raises:
        UsageError: A word makes no sense.
        SystemExit: As argparse ends: 0 after --help, 2 after words it does not know.
    """
    words = _parser().parse_args(arguments)
    out = Path(words.out)
    if out.suffix not in {".npz", ".npy"}:
        raise UsageError(f"OUT must end in .npz or .npy, received {words.out!r}")
    has_tls = words.ca or words.cert or words.key
    options = RunOptions(
        target=parse_target(words.target),
        inputs=tuple(map(Path, words.inputs)),
        out=out,
        signature=words.signature,
        outputs=tuple(words.output),
        batch=words.batch,
        in_flight=words.in_flight,
        channels=words.channels,
        timeout=words.timeout,
        save_every=words.save_every,
        imaging=Imaging(not words.no_resize, Filter(words.filter), words.scale),
        overwrite=words.overwrite,
        restart=words.restart,
        tls=TlsFiles(words.ca, words.cert, words.key) if has_tls else None,
        token=os.environ.get(TOKEN) or None,
    )
    return Words(options, words.json, words.quiet)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "predict-model",
        description="Pushes a whole data set through a served model and keeps the predictions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("target", metavar="TARGET", help="HOST:PORT/MODEL[/VERSION]; grpcs:// before it for TLS")
    parser.add_argument("inputs", metavar="INPUT", nargs="+", help=".npy, .npz, image or folder of images")
    parser.add_argument("-o", "--out", metavar="OUT", required=True, help="the file to write, .npz or .npy")
    _add_model(parser.add_argument_group("model"))
    _add_images(parser.add_argument_group("images"))
    _add_run(parser.add_argument_group("run"))
    _add_security(parser.add_argument_group("security"))
    return parser


def _add_model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--signature", metavar="NAME", default=DEFAULT_SIGNATURE, help="entry point (%(default)s)")
    group.add_argument(
        "--output", metavar="NAME", action="append", default=[], help="only this output; may be given again"
    )


def _add_images(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--no-resize", action="store_true", help="an image of another size is a failure")
    filters = [str(filter) for filter in Filter]
    group.add_argument("--filter", choices=filters, default=str(Filter.BILINEAR), help="for resizing (%(default)s)")
    group.add_argument(
        "--scale", metavar="LOW,HIGH", type=_scale, help="what 0 and 255 become, such as 0,1 or (with '=') -1,1"
    )


def _add_run(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--batch", metavar="ROWS", type=_count, default=32, help="rows in a request (%(default)s)")
    group.add_argument(
        "--in-flight", metavar="N", type=_count, default=4, help="requests on their way at once (%(default)s)"
    )
    group.add_argument("--channels", metavar="N", type=_count, default=1, help="connections (%(default)s)")
    group.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=120.0, help="for a request with retries (%(default)s)"
    )
    group.add_argument(
        "--save-every", metavar="SECONDS", type=float, default=1.0, help="work a killed run may lose (%(default)s)"
    )
    group.add_argument("--overwrite", action="store_true", help="OUT may be there already")
    group.add_argument("--restart", action="store_true", help="throw an unfinished run away")
    group.add_argument("--json", action="store_true", help="tell how it went as JSON on standard output")
    group.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _add_security(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--ca", metavar="PEM", help="authorities to trust")
    group.add_argument("--cert", metavar="PEM", help="own certificate")
    group.add_argument("--key", metavar="PEM", help="its private key")
    group.description = f"A bearer token is taken from the environment variable {TOKEN}."


def _count(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, received {word}")
    return value


def _seconds(word: str) -> float:
    value = float(word)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"expected more than 0 seconds, received {word}")
    return value


def _scale(word: str) -> tuple[float, float]:
    try:
        low, high = map(float, word.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected LOW,HIGH such as 0,1, received {word!r}") from None
    return low, high
