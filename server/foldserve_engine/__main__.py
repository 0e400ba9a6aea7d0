"""`python -P -m foldserve_engine --control N`: a process that will be an engine.

It gives way before it imports what takes time: two thirds of what it costs to load a small model are imports.
"""

import os

from .worker import process_limits
from .worker.loading_priority import LoadingPriority


def main() -> None:
    """Becomes an engine; see `process`."""
    process_limits.die_with_parent(os.getppid())
    way = LoadingPriority()
    from .worker.engine_process_main import run

    run(way=way)


if __name__ == "__main__":
    main()
