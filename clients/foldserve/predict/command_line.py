"""The command line of `predict-model`."""

import argparse
from collections.abc import Sequence

from .flags import add_flags, build
from .options import TOKEN_VARIABLE, RunOptions

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
  4 the disk failed; the same command resumes
  70 an error that nobody foresaw: the message names a file with its trace, to be sent

examples
  predict-model localhost:8500/flowers photos/ -o flowers.npz
  predict-model localhost:8500/flowers/3 train.npy test.npy -o features.npy --output features --batch 64
  {TOKEN_VARIABLE}=$(cat token) predict-model grpcs://models.example.org:443/flowers photos/ -o out.npz --scale=-1,1
"""


def parse(arguments: Sequence[str] | None) -> RunOptions:
    """Parses the command line; with None, that of the process.

    Raises:
        UsageError: An argument is not valid.
        ConfigurationError: Arguments contradict one another.
        SystemExit: As argparse ends: 0 after --help, 2 after arguments that it refuses.
    """
    return build(RunOptions, _parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "predict-model",
        description="Pushes a whole data set through a served model and keeps the predictions.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    token = f"A bearer token is taken from the environment variable {TOKEN_VARIABLE}."
    add_flags(parser, RunOptions, descriptions={"security": token})
    return parser
