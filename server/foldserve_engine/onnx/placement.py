"""Placement of a model's nodes on a GPU, as text for operators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Placement:
    """Placement of a session.

    Attributes:
        device: The device's name.
        bound: Batch sizes with buffers of their own on the device.
        graphs: Those of them that are replayed as CUDA graphs.
        why_no_graphs: Why there are none.
        on_cpu: Nodes that stay on the CPU, by operation.
        pinned: Whether batches are put together in page-locked memory.
    """

    device: str
    bound: tuple[int, ...]
    graphs: tuple[int, ...]
    why_no_graphs: str = ""
    on_cpu: Mapping[str, int] = field(default_factory=dict)
    pinned: bool = False

    def __str__(self) -> str:
        buffers = f"buffers for batches of {_list(self.bound)}" if self.bound else "no buffers of its own"
        graphs = f"CUDA graphs for {_list(self.graphs)}" if self.graphs else f"no CUDA graphs ({self.why_no_graphs})"
        parts = [self.device, buffers, graphs]
        if self.on_cpu:
            nodes = ", ".join(f"{count} {name}" for name, count in sorted(self.on_cpu.items()))
            parts.append(f"on the CPU: {nodes}")
        if not self.pinned:
            parts.append("host memory not page-locked")
        return "; ".join(parts)


def _list(sizes: Sequence[int]) -> str:
    return ", ".join(map(str, sizes))
