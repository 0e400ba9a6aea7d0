"""Names of devices: `cpu`, `cuda:0`, `tensorrt:1`."""

import re
from dataclasses import dataclass
from enum import StrEnum

from .errors import DeviceNotFound

_NAME = re.compile(r"(cuda|tensorrt)(?::([0-9]{1,3}))?")


class DeviceKind(StrEnum):
    """Kinds of devices an engine can be asked to run on."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


@dataclass(frozen=True, slots=True)
class Device:
    """Device: its kind and its number."""

    kind: DeviceKind = DeviceKind.CPU
    index: int = 0

    @classmethod
    def parse(cls, name: str) -> "Device":
        """The device called `name`; `cuda` is `cuda:0`.

        Raises:
            DeviceNotFound: No device can have that name.
        """
        if name == DeviceKind.CPU:
            return cls()
        match = _NAME.fullmatch(name)
        if match is None:
            raise DeviceNotFound(f"device {name!r} is not known; use cpu, cuda:N or tensorrt:N")
        return cls(DeviceKind(match[1]), int(match[2] or 0))

    def __str__(self) -> str:
        return "cpu" if self.kind is DeviceKind.CPU else f"{self.kind}:{self.index}"
