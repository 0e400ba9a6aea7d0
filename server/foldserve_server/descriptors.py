"""How many files and connections this process may have open."""

import resource

_MOST = 1 << 20  # some systems set no bound, and some libraries look at every one that may be


def allow_many() -> int:
    """As many as the system lets it, which it gives: shells allow 1,024 by default, and every caller takes one."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if most == resource.RLIM_INFINITY else min(_MOST, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        return wanted
    return now
