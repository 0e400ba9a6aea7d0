"""Batch sizes that an engine computes. Batches are padded up to one of them."""

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


def check_sizes(max_batch_size: int, allowed_sizes: Sequence[int]) -> None:
    """Checks that sizes can be buckets.

    Raises:
        ValueError: They are not positive and ascending, or the last is not the largest batch.
    """
    if max_batch_size < 1:
        raise ValueError(f"max_batch_size must be at least 1, received {max_batch_size}")
    sizes = list(allowed_sizes)
    if sizes and (sizes != sorted(set(sizes)) or sizes[0] < 1 or sizes[-1] != max_batch_size):
        raise ValueError(
            f"allowed_batch_sizes must ascend from at least 1 to max_batch_size ({max_batch_size}), received {sizes}"
        )


def padded(rows: int, sizes: Sequence[int]) -> int:
    """The smallest allowed size that holds the rows; the rows themselves where every size is allowed."""
    return next((size for size in sizes if size >= rows), rows)
