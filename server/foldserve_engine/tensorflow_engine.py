"""Runs a SavedModel with TensorFlow, without Keras."""

from pathlib import Path
from typing import Any

from foldserve_contract.errors import TensorError
from foldserve_contract.signature import DEFAULT_SIGNATURE, DYNAMIC, Array, Arrays, Signature, TensorSpec

from .artifact_signature import ArtifactTensor, compare
from .device import DeviceKind
from .errors import ArtifactUnusable, DeviceNotFound, EngineError, RunFailed, RuntimeMissing
from .spec import EngineSpec

_CPU = "/CPU:0"


class TensorFlowEngine:
    """The default signature of one SavedModel."""

    def __init__(self, tensorflow: Any, model: Any, device: str, signature: Signature) -> None:
        """Made by `from_directory`."""
        self.signature = signature
        self._tensorflow = tensorflow
        self._model = model  # its variables die with it, even while a function of it lives
        self._function = model.signatures[DEFAULT_SIGNATURE]
        self._device = device

    @classmethod
    def from_directory(cls, path: Path, signature: Signature, options: EngineSpec | None = None) -> "TensorFlowEngine":
        """Loads a SavedModel.

        Raises:
            RuntimeMissing: TensorFlow is not installed.
            DeviceNotFound: The device asked for is not there.
            ArtifactUnusable: TensorFlow refuses the SavedModel.
            SignatureMismatch: `serving_default` has other names, dtypes or shapes.
            EngineError: TensorFlow runs in this process already with another number of threads, or with another device.
        """
        tensorflow, model, device = _open(path, options or EngineSpec())
        function = model.signatures[DEFAULT_SIGNATURE]
        compare(
            signature,
            _offered(function.structured_input_signature[1]),
            _offered(function.structured_outputs),
            "the SavedModel",
        )
        return cls(tensorflow, model, device, signature)

    @classmethod
    def discover(cls, path: Path, options: EngineSpec | None = None) -> "TensorFlowEngine":
        """Loads a SavedModel as `from_directory` does, with the signature that it offers itself.

        Raises:
            ArtifactUnusable: TensorFlow refuses it, or what it takes or gives cannot be served.
        """
        tensorflow, model, device = _open(path, options or EngineSpec())
        function = model.signatures[DEFAULT_SIGNATURE]
        try:
            inputs = _specs(_offered(function.structured_input_signature[1]))
            outputs = _specs(_offered(function.structured_outputs))
            signature = Signature(inputs, outputs)
        except TensorError as error:
            raise ArtifactUnusable(f"the SavedModel's {DEFAULT_SIGNATURE!r} cannot be served: {error}") from error
        return cls(tensorflow, model, device, signature)

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """Computes every output; see `Engine.run`."""
        try:
            with self._tensorflow.device(self._device):
                tensors = {name: self._tensorflow.convert_to_tensor(array) for name, array in inputs.items()}
                return {name: value.numpy() for name, value in self._function(**tensors).items()}
        except Exception as error:
            raise RunFailed(f"TensorFlow could not compute the batch: {error}") from error

    def close(self) -> None:
        """Lets the model go; TensorFlow keeps its own threads and memory pools until the process ends."""
        self._function = self._model = None


def _open(path: Path, options: EngineSpec) -> tuple[Any, Any, str]:
    """TensorFlow, the model that was loaded, and the name of its device."""
    tensorflow = _import_tensorflow()
    device = _CPU if options.target.kind is DeviceKind.CPU else _take_gpu(tensorflow, options)
    _configure(tensorflow, options)
    return tensorflow, _load(tensorflow, path, device), device


def _import_tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise RuntimeMissing("tensorflow is not installed; install foldserve[tensorflow]") from error
    return tensorflow


def _take_gpu(tensorflow: Any, options: EngineSpec) -> str:
    """Takes one GPU, and no more of its memory than is needed or allowed; the name it has then.

    What makes its kernels fast and inexact, or different at every run, is off.
    """
    gpu = _gpu(tensorflow, options)
    config = tensorflow.config
    try:
        config.set_visible_devices([gpu], "GPU")
        if options.memory_limit_bytes is None:
            config.experimental.set_memory_growth(gpu, True)  # it takes all there is otherwise
        else:
            limit = config.LogicalDeviceConfiguration(memory_limit=max(1, options.memory_limit_bytes >> 20))
            config.set_logical_device_configuration(gpu, [limit])
        config.experimental.enable_tensor_float_32_execution(options.tf32)
        config.experimental.enable_op_determinism()
    except RuntimeError as error:
        raise EngineError(f"TensorFlow runs already and cannot take {options.target}: {error}") from error
    return "/GPU:0"  # the only one that it sees now


def _gpu(tensorflow: Any, options: EngineSpec) -> Any:
    if options.target.kind is not DeviceKind.CUDA:
        raise DeviceNotFound(f"TensorFlow runs on cpu or cuda:N, not on {options.target}")
    gpus = tensorflow.config.list_physical_devices("GPU")
    if options.target.index >= len(gpus):
        raise DeviceNotFound(f"device {options.target} is not there; TensorFlow sees {len(gpus)} GPUs")
    return gpus[options.target.index]


def _configure(tensorflow: Any, options: EngineSpec) -> None:
    threading = tensorflow.config.threading
    if options.threads and threading.get_intra_op_parallelism_threads() != options.threads:
        try:
            threading.set_intra_op_parallelism_threads(options.threads)
        except RuntimeError as error:
            raise EngineError(f"TensorFlow runs already and cannot take {options.threads} threads") from error
    if not options.optimise:
        tensorflow.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def _load(tensorflow: Any, path: Path, device: str) -> Any:
    try:
        with tensorflow.device(device):
            model = tensorflow.saved_model.load(str(path))
    except Exception as error:
        raise ArtifactUnusable(f"TensorFlow refuses the SavedModel: {error}") from error
    if DEFAULT_SIGNATURE not in model.signatures:
        raise ArtifactUnusable(f"the SavedModel has no signature {DEFAULT_SIGNATURE!r}")
    return model


def _specs(offered: list[ArtifactTensor]) -> tuple[TensorSpec, ...]:
    for tensor in offered:
        if tensor.shape is None:
            raise TensorError(f"tensor {tensor.name!r}: its rank is not known")
    shapes = ((tensor, tensor.shape or ()) for tensor in offered)
    return tuple(
        TensorSpec(tensor.name, tensor.dtype, tuple(DYNAMIC if size is None else size for size in shape))
        for tensor, shape in shapes
    )


def _offered(specs: Any) -> list[ArtifactTensor]:
    return [
        ArtifactTensor(name, spec.dtype.name, None if spec.shape.rank is None else tuple(spec.shape.as_list()))
        for name, spec in specs.items()
    ]
