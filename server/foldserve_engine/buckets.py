"""Which batch sizes are computed. Batches are padded up to one of them."""

from collections.abc import Sequence

from .device import Device, DeviceKind


def buckets(allowed_sizes: Sequence[int], largest: int, device: Device) -> tuple[int, ...]:
    """The sizes that were allowed; on a GPU else powers of two up to the largest batch, and that; on a CPU else any.

    A GPU chooses kernels, and lays out memory, anew for every size it has not seen: each is seen before it serves.
    """
    if allowed_sizes or device.kind is DeviceKind.CPU:
        return tuple(allowed_sizes)
    powers = (1 << exponent for exponent in range((largest - 1).bit_length()))
    return (*powers, largest)
