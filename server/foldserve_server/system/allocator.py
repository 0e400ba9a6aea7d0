"""Settings of glibc's memory allocator, for processes that read and free many large messages."""

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # glibc's numbers of mallopt's parameters
_KEPT_BYTES = 256 << 20
_STEP_BYTES = 16 << 20
_LARGEST_BYTES = 32 << 20  # the most that glibc accepts


def keep_freed_pages() -> bool:
    """Makes glibc reuse the pages of freed messages instead of returning them; False where glibc is not in use.

    A message of some hundred kilobytes is freed with every answer. By default its pages go back to the system and are
    faulted in anew for the next message, which costs more than reading it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_MMAP_THRESHOLD, _LARGEST_BYTES), (_TRIM_THRESHOLD, _KEPT_BYTES), (_TOP_PAD, _STEP_BYTES))
    return all(mallopt(parameter, value) for parameter, value in settings)
