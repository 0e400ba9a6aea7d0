"""Bounds of the deviation from the golden answers on this machine."""

from importlib.metadata import PackageNotFoundError, version

from foldserve_contract.host import cpu_model
from foldserve_contract.manifest import Manifest

from ..device import Device, DeviceKind
from ..errors import PrecisionNotPromised
from ..spec import EngineKind


def golden_bounds(manifest: Manifest, kind: EngineKind, device: Device, *, tf32: bool = False) -> dict[str, float]:
    """The bound of each output: the verification's limit on the CPU, engine and version that verified, else `promised`.

    On the machine that verified, an answer that is further away than any candidate might be is another model's answer,
    even where another kind of machine could give it.

    Args:
        manifest: The bundle's.
        kind: The library that answers.
        device: Where it runs.
        tf32: Whether it may round to TF32, for which a bundle promises other values, or none.

    Raises:
        PrecisionNotPromised: TF32 was asked for, and the bundle promises nothing for it, or the device has none.
    """
    if tf32:
        return _tf32_bounds(manifest, device)
    same = is_verified_engine(manifest, kind, device)
    return {name: output.limit if same else output.promised for name, output in manifest.tolerances.items()}


def is_verified_engine(manifest: Manifest, kind: EngineKind, device: Device) -> bool:
    """Tests whether this engine, its version, and the CPU it runs on are those of the verification."""
    verified = manifest.engines.get(kind)
    if verified is None or device.kind is not DeviceKind.CPU or verified.device != "cpu":
        return False
    try:
        return version(kind) == verified.version and cpu_model() == manifest.host
    except PackageNotFoundError:  # the same library under another name, such as onnxruntime-gpu
        return False


def _tf32_bounds(manifest: Manifest, device: Device) -> dict[str, float]:
    if device.kind is DeviceKind.CPU:
        raise PrecisionNotPromised("TF32 was asked for, and a CPU has none: leave --tf32 out, or say --device cuda:N")
    bounds = {name: output.tf32 for name, output in manifest.tolerances.items() if output.tf32 is not None}
    if missing := sorted(manifest.tolerances.keys() - bounds.keys()):
        raise PrecisionNotPromised(
            f"TF32 was asked for, and the bundle promises nothing for it (outputs {missing}): export it again with"
            " --tf32, or leave --tf32 out"
        )
    return bounds
