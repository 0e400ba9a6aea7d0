"""Cost of `import foldserve` for an application, measured in a process of its own."""

import json
import subprocess
import sys

PROBE = """
import json, sys, time
import numpy, grpc
def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
before = set(sys.modules)
memory, begin = resident(), time.perf_counter()
from foldserve import AsyncClient, Client
seconds = time.perf_counter() - begin
kilobytes = resident() - memory
print(json.dumps({"modules": sorted(set(sys.modules) - before), "seconds": seconds, "kilobytes": kilobytes}))
"""
HEAVY = {"tensorflow", "keras", "onnx", "onnxruntime", "PIL", "rich", "pandas", "scipy", "argparse"}


def test_importing_the_client_loads_little() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    cost = json.loads(run.stdout)
    print(f"{cost['seconds'] * 1000:.0f} ms, {cost['kilobytes'] / 1024:.1f} MiB, {len(cost['modules'])} modules")
    tops = {name.partition(".")[0] for name in cost["modules"]}
    assert not tops & HEAVY
    assert not {name for name in cost["modules"] if name.startswith(("foldserve.predict", "foldserve_server"))}
    assert cost["kilobytes"] < 10 * 1024
    assert cost["seconds"] < 1.0  # 0.1 s on an idle machine; here only a gross fault fails
