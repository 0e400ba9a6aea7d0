import subprocess
import sys

PROGRAM = """
import resource, sys
from foldserve_server.system.allocator import keep_freed_pages

if sys.argv[1] == "kept":
    assert keep_freed_pages()
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    messages = [b"x" * (1 << 20) for _ in range(32)]
    del messages
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""
PAGES = 32 << 20 >> 12


def faults(how: str) -> int:
    """Page faults of allocating messages as large as those that were freed before."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_the_pages_of_a_freed_message_are_reused_for_the_next() -> None:
    assert faults("kept") < PAGES // 100 < PAGES // 2 < faults("not kept")
