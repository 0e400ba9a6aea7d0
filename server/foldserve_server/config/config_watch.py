"""Reads the file of models again when it changes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ..models.model_config import ModelConfig
from ..system.file_watch import FileWatch

Reload = Callable[[Sequence[ModelConfig], str], Awaitable[None]]
Read = Callable[[Path], Sequence[ModelConfig]]


class ConfigWatch(FileWatch):
    """Applies a `--model_config_file` whenever it was written: all of it, or nothing.

    Args:
        path: The file, which was read once already.
        read: Reads it.
        reload: Has its models served.
    """

    def __init__(self, path: Path, read: Read, reload: Reload) -> None:
        async def apply() -> None:
            await reload(await asyncio.to_thread(read, path), str(path))

        super().__init__(path, apply)
