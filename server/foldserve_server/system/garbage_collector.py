"""How Python's collector of reference cycles treats what lives as long as this process."""

import gc


def freeze_objects() -> None:
    """From now on the collector looks at nothing that is there already.

    Modules, classes and message types are some hundred thousand objects. To look at all of them, as it does now and
    then, keeps everybody waiting for 20 ms.
    """
    gc.collect()
    gc.freeze()
