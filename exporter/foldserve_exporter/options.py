"""What may be chosen about an export."""

from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.errors import FoldserveError
from foldserve_contract.signature import Array, Arrays

DEFAULT_GOLDEN = 32
MAX_GOLDEN = 1024
DEFAULT_MAX_BATCH = 32
MAX_VERSION = 2**63 - 1  # TensorFlow Serving's protocol holds no more


class OptionsError(FoldserveError):
    """An option has a value that cannot be used."""


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The choices of one export, with what most people want as defaults.

    Attributes:
        output: The model repository to publish into; made if it is not there.
        name: The model's name.
        version: The version's number; None for the highest plus one.
        samples: A file or folder of samples, or arrays; None for synthetic ones.
        golden: How many golden samples the bundle carries.
        golden_synthetic: Whether they are drawn at random although samples are given, to keep private data out.
        seed: Of every random choice.
        force: Whether an existing version may be replaced.
        keep_keras: Whether the bundle also carries the folded `model.keras`.
        max_batch_size: The batch size that `config.pbtxt` tells Triton.
        features: The layer to cut at: the bundle answers with what it answers. None for the whole model.
        preprocess: `caffe`, `tf`, `torch`, `SCALE` or `SCALE,OFFSET`: baked into both artifacts, which then take uint8.
        labels: Names of the classes, or a file of them.
        rename: `OLD=NEW` for inputs and outputs; samples by name go by the new ones.
        trust_code: Whether code in the model file (Lambda layers) may run.
        custom_objects: Modules to import before loading.
        tf32: Whether the bundle also promises a value for GPUs that round to TF32.
        recalibrate: Samples, as `samples`, from which the moving statistics are estimated anew before the fold.
        recalibrate_labels: The right answers to them, a file or arrays; an export that they say is worse is refused.
    """

    output: Path
    name: str
    version: int | None = None
    samples: Path | str | Array | Arrays | None = None
    golden: int = DEFAULT_GOLDEN
    golden_synthetic: bool = False
    seed: int = 0
    force: bool = False
    keep_keras: bool = False
    max_batch_size: int = DEFAULT_MAX_BATCH
    features: str | None = None
    preprocess: str | None = None
    labels: Path | str | tuple[str, ...] | None = None
    rename: tuple[str, ...] = ()
    trust_code: bool = False
    custom_objects: tuple[str, ...] = ()
    tf32: bool = False
    recalibrate: Path | str | Array | Arrays | None = None
    recalibrate_labels: Path | str | Array | Arrays | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.golden <= MAX_GOLDEN:
            raise OptionsError(f"golden must be between 1 and {MAX_GOLDEN}, received {self.golden}")
        if self.version is not None and not 0 <= self.version <= MAX_VERSION:
            raise OptionsError(f"a version is a number from 0 to {MAX_VERSION}, received {self.version}")
        if self.seed < 0:
            raise OptionsError(f"a seed is a number from 0, received {self.seed}")
        if self.recalibrate_labels is not None and self.recalibrate is None:
            raise OptionsError("recalibrate_labels say whether a recalibration is worth it: give recalibrate as well")
        if self.max_batch_size < 1:
            raise OptionsError(f"max_batch_size must be at least 1, received {self.max_batch_size}")
