"""Python's garbage collector, spared from scanning objects that live as long as the process."""

import gc


def freeze_objects() -> None:
    """Excludes all present objects from garbage collection.

    Modules, classes and message types are some hundred thousand objects. A full collection scans all of them, and
    delays every request for 20 ms.
    """
    gc.collect()
    gc.freeze()
