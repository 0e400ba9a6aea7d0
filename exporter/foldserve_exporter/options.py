"""Options of an export, each declared once: a field, and the flag that sets it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from foldserve_contract.errors import FoldserveError
from foldserve_contract.options import option
from foldserve_contract.repository import MAX_VERSION
from foldserve_contract.signature import Array, Arrays

DEFAULT_GOLDEN = 32
MAX_GOLDEN = 1024
DEFAULT_MAX_BATCH = 32
Samples = Path | str | Array | Arrays | None


class OptionsError(FoldserveError):
    """An option has a value that cannot be used."""


class Choices(TypedDict, total=False):
    """The options of an export as keyword arguments; see `ExportOptions`, which a test compares with them."""

    version: int | None
    samples: Samples
    recalibrate: Samples
    recalibrate_labels: Samples
    golden: int
    golden_synthetic: bool
    seed: int
    force: bool
    keep_keras: bool
    max_batch_size: int
    tf32: bool
    features: str | None
    preprocess: str | None
    labels: Path | str | tuple[str, ...] | None
    rename: tuple[str, ...]
    trust_code: bool
    custom_objects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The options of one export.

    Attributes:
        output: The model repository to publish into; made if it is not there.
        name: The model's name.
        version: The version's number; None for the highest plus one.
        samples: A file or folder of samples, or arrays; None for synthetic ones.
        golden: Number of golden samples in the bundle.
        golden_synthetic: Whether they are drawn at random although samples are given, to keep private data out.
        seed: Seed of every random choice.
        force: Whether an existing version may be replaced.
        keep_keras: Whether the bundle also carries the folded `model.keras`.
        max_batch_size: The maximum batch size in Triton's `config.pbtxt`.
        features: The layer whose output the bundle returns; later layers are left out. None for the whole model.
        preprocess: `caffe`, `tf`, `torch`, `SCALE` or `SCALE,OFFSET`: baked into both artifacts, which then take uint8.
        labels: Names of the classes, or a file of them.
        rename: `OLD=NEW` for inputs and outputs; samples by name go by the new ones.
        trust_code: Whether code in the model file (Lambda layers) may run.
        custom_objects: Modules to import before loading, or `NAME=package.module:object` for what a file calls NAME.
        tf32: Whether the bundle also promises a tolerance for GPUs that round to TF32.
        recalibrate: Samples, as `samples`, from which the moving statistics are estimated anew before the fold.
        recalibrate_labels: Their labels, a file or arrays; an export with worse scores is refused.
    """

    output: Path
    name: str
    version: int | None = option(None, "the version's number (default: the highest there plus one)", parse="int")
    samples: Samples = option(
        None, "real inputs: .npz, .npy or a folder of images (see below)", parse="path", metavar="FILE"
    )
    recalibrate: Samples = option(
        None, "estimate the moving statistics anew from these samples first", parse="path", metavar="FILE"
    )
    recalibrate_labels: Samples = option(
        None,
        "the labels of these samples (.npy, .npz): scores are reported, worse refused",
        name="recalibrate-labels",
        parse="path",
        metavar="FILE",
    )
    golden: int = option(DEFAULT_GOLDEN, f"golden samples ({DEFAULT_GOLDEN})", parse="int", metavar="N")
    golden_synthetic: bool = option(
        False, "draw the golden samples at random: keeps --samples private", name="golden-synthetic"
    )
    seed: int = option(0, "of every random choice (0)", parse="int")
    force: bool = option(False, "replace the version if it is there")
    keep_keras: bool = option(False, "keep the folded model as model.keras in the bundle", name="keep-keras")
    max_batch_size: int = option(
        DEFAULT_MAX_BATCH,
        f"the maximum batch size in Triton's config.pbtxt ({DEFAULT_MAX_BATCH})",
        name="max-batch-size",
        parse="int",
        metavar="N",
    )
    tf32: bool = option(False, "promise a value for GPUs that round to TF32, too (serve-model --tf32)")
    features: str | None = option(
        None, "answer with this layer's features: the model up to it is exported", metavar="LAYER"
    )
    preprocess: str | None = option(
        None,
        "caffe, tf, torch, SCALE or SCALE,OFFSET: baked in, so that callers send uint8 images in RGB",
        metavar="HOW",
    )
    labels: Path | str | tuple[str, ...] | None = option(
        None, "names of the classes, one a line, or a JSON list", parse="path", metavar="FILE"
    )
    rename: tuple[str, ...] = option(
        (),
        "another name for an input or output, in both artifacts and on the wire; repeatable",
        metavar="OLD=NEW",
        repeatable=True,
    )
    trust_code: bool = option(
        False, "let code run: a file's Lambda layers, or package.module:function", name="trust-code"
    )
    custom_objects: tuple[str, ...] = option(
        (),
        "a module of the file's own classes and functions, or NAME=package.module:object; repeatable",
        name="custom-objects",
        metavar="MODULE",
        repeatable=True,
    )

    def __post_init__(self) -> None:
        if not 1 <= self.golden <= MAX_GOLDEN:
            raise OptionsError(f"golden must be between 1 and {MAX_GOLDEN}, received {self.golden}")
        if self.version is not None and not 0 <= self.version <= MAX_VERSION:
            raise OptionsError(f"a version is a number from 0 to {MAX_VERSION}, received {self.version}")
        if self.seed < 0:
            raise OptionsError(f"a seed is a number from 0, received {self.seed}")
        if self.recalibrate_labels is not None and self.recalibrate is None:
            raise OptionsError(
                "recalibrate_labels are the labels of the samples for recalibration: give recalibrate as well"
            )
        if self.max_batch_size < 1:
            raise OptionsError(f"max_batch_size must be at least 1, received {self.max_batch_size}")
