"""Checks and rates on a machine with a GPU, in one command.

It checks the golden samples in every batch size, in float32 and, in a process of its own, with TF32; compares the rows
a second of the engine (buffers on the device, with and without CUDA graphs) with those of a plain
`InferenceSession.run`; and lets `serve-model` answer, also while a new version is loaded and swapped in. Each step is
told on stderr when it is done, a table follows, and the same as JSON goes to stdout. It takes some three minutes.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from gpu_engine import Bench, Check, Rate

from foldserve_contract.bundle import Bundle
from foldserve_contract.errors import FoldserveError
from foldserve_engine.errors import DeviceNotFound, RuntimeConflict, RuntimeMissing
from foldserve_engine.onnx.onnx_engine import runtime_version

SIDE = 224
FAILED, MISSING = 1, 2
_SERVER = {
    "grpc": "grpcio",
    "google.protobuf": "protobuf",
    "aiohttp": "aiohttp",
    "grpc_health": "grpcio-health-checking",
    "grpc_reflection": "grpcio-reflection",
    "prometheus_client": "prometheus-client",
}
_EPILOG = """\
a machine that holds nothing but a GPU and ONNX Runtime's GPU build:
  Neither TensorFlow nor an installed foldserve is needed there. Export here, then carry the bundle and four folders of
  the repository (benchmarks, contract, server, clients):

    here   export-model model.keras -o models --name NAME --tf32
           (without a model: python benchmarks/gpu.py --make models)
    there  export PYTHONPATH=contract:server:clients        (beside onnxruntime-gpu, numpy, grpcio and protobuf)
           python benchmarks/gpu.py --bundle models/NAME/1 >found.json

  CUDA's and cuDNN's libraries must be found (LD_LIBRARY_PATH). The steps with serve-model also need aiohttp,
  grpcio-health-checking, grpcio-reflection and prometheus-client; --without-server leaves them out.

exit status:
  0  everything held    1  something did not, and is named    2  there is no such device, or something is missing
"""


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found.

    Attributes:
        model: The bundle's model and version.
        placement: What of the model runs where.
    """

    device: str
    runtime: str
    model: str
    placement: str
    checks: tuple[Check, ...]
    rates: tuple[Rate, ...]

    @property
    def held(self) -> bool:
        """True if every check passed."""
        return all(check.held for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Found:
    """Checks and rates of the engine itself, in one precision."""

    placement: str
    checks: tuple[Check, ...]
    rates: tuple[Rate, ...]


def main() -> int:
    options = _parse()
    try:
        if options.make:
            print(_make(options.make))
            return 0
        with tempfile.TemporaryDirectory() as folder:
            path = _version(Path(folder), options.bundle)
            if options.tf32_alone:
                print(json.dumps(asdict(_in_one_precision(path, options.device, options.seconds, tf32=True))))
                return 0
            report = measure(path, options.device, options.seconds, server=not options.without_server)
    except (DeviceNotFound, RuntimeMissing, RuntimeConflict, _Missing) as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return MISSING
    except (FoldserveError, OSError) as error:
        print(f"gpu.py: {type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    print(as_table(report), file=sys.stderr)
    print(json.dumps(asdict(report), indent=2))
    return 0 if report.held else FAILED


def measure(path: Path, device: str, seconds: float, *, server: bool) -> Report:
    """Every step, whatever became of the one before. Each is told when it is done: who is stopped has said so much.

    Raises:
        DeviceNotFound, RuntimeMissing, RuntimeConflict: Nothing can run there.
        FoldserveError: The bundle cannot be loaded there.
    """
    measured = _in_one_precision(path, device, seconds)
    rates = [*measured.rates]
    checks = [*measured.checks]
    if device != "cpu":
        checks += _with_tf32(path, device, seconds, rates)
    if server:
        checks += _told(_through_server(path, device, seconds, rates))
    manifest = Bundle.open(path).manifest
    model = f"{manifest.model}/{manifest.version}"
    return Report(device, runtime_version(), model, measured.placement, tuple(checks), tuple(rates))


def _in_one_precision(path: Path, device: str, seconds: float, *, tf32: bool = False) -> _Found:
    bench = Bench(Bundle.open(path), device, tf32=tf32)
    placement = bench.engine().placement or "as on every CPU: no buffers of its own, no graphs"
    rates: list[Rate] = []
    precision = "TF32" if tf32 else "float32"
    what = f"throughput, {precision}"
    checks = [
        *_told([_attempt(f"golden samples, {precision}", bench.golden)]),
        *_told([_attempt(what, lambda: _rates(bench, seconds, rates, what))]),
    ]
    return _Found(placement, tuple(checks), tuple(rates))


def _with_tf32(path: Path, device: str, seconds: float, rates: list[Rate]) -> list[Check]:
    """In a process of its own, whose libraries were never told to leave TF32 alone."""
    flags = ("--tf32-alone", f"--bundle={path}", f"--device={device}", f"--seconds={seconds}")
    environment = {name: value for name, value in os.environ.items() if name != "NVIDIA_TF32_OVERRIDE"}
    done = subprocess.run((sys.executable, __file__, *flags), stdout=subprocess.PIPE, text=True, env=environment)
    if done.returncode:
        return _told([Check("TF32", False, f"its process ended with status {done.returncode}")])
    measured = json.loads(done.stdout)
    rates += [Rate(**fields) for fields in measured["rates"]]
    return [Check(**fields) for fields in measured["checks"]]


def _told(checks: list[Check]) -> list[Check]:
    for check in checks:
        print(_as_line(check), file=sys.stderr, flush=True)
    return checks


def _rates(bench: Bench, seconds: float, rates: list[Rate], what: str) -> Check:
    rates += bench.rates(seconds)
    best = max(rates, key=lambda rate: rate.rows_a_second)
    return Check(what, True, f"{best.rows_a_second:,.0f} rows/s at best: {best.how}")


def _through_server(path: Path, device: str, seconds: float, rates: list[Rate]) -> list[Check]:
    missing = [package for module, package in _SERVER.items() if not _is_there(module)]
    if missing:
        return [Check("serve-model", False, f"not tried: {', '.join(missing)} not installed (or say --without-server)")]
    from gpu_server import ServerFailed, through_server

    try:
        served = through_server(path, device, seconds)
    except ServerFailed as error:
        return [Check("serve-model", False, str(error))]
    except Exception as error:  # what was found before is reported nevertheless
        return [Check("serve-model", False, f"{type(error).__name__}: {error}")]
    plain = max((rate.rows_a_second for rate in rates if rate.how == "plain run"), default=0.0)
    share = f", ×{served.rows_a_second / plain:.2f} of the best plain run" if plain else ""
    return [
        Check("golden samples, served", served.golden <= 1, f"{served.golden:.3g} of what is promised"),
        Check("throughput served", served.rows_a_second > 0, f"{served.rows_a_second:,.0f} rows/s{share}"),
        Check(
            "reload under load",
            not served.failed and served.answered > 0,
            f"{served.reload_s:.1f} s; {served.answered} requests answered, {served.failed} failed",
        ),
        Check("golden samples, reloaded", served.golden_after <= 1, f"{served.golden_after:.3g} of what is promised"),
    ]


def _attempt(what: str, step: Callable[[], Check]) -> Check:
    """Result of a step, or the reason why it could not be done: the others are done nevertheless."""
    try:
        return step()
    except Exception as error:  # ONNX Runtime's are of no common class
        return Check(what, False, f"{type(error).__name__}: {error}")


class _Missing(Exception):
    """A requirement is missing."""


def _version(root: Path, bundle: Path | None) -> Path:
    """A copy, to which a next version can be added."""
    if bundle is None:
        return _make(root)
    return Path(shutil.copytree(bundle, root / bundle.resolve().parent.name / bundle.resolve().name))


def _make(root: Path) -> Path:
    if not _is_there("onnx"):
        raise _Missing("onnx is not installed, and without it there is no model to try: say --bundle (see --help)")
    from tiny import publish

    return publish(root, SIDE)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def as_table(report: Report) -> str:
    """For people."""
    lines = [f"{report.model} on {report.device}, ONNX Runtime {report.runtime}", f"  {report.placement}", ""]
    if report.rates:
        lines += [f"  {'batch':>6}  {'how':<25} {'rows/s':>12}  against the plain run"]
        lines += [_line(rate) for rate in report.rates]
        lines.append("")
    lines += map(_as_line, report.checks)
    return "\n".join(lines)


def _as_line(check: Check) -> str:
    return f"  {'held  ' if check.held else 'FAILED'}  {check.what:<26} {' '.join(check.text.split())}"


def _line(rate: Rate) -> str:
    return f"  {','.join(map(str, rate.batches)):>6}  {rate.how:<25} {rate.rows_a_second:>12,.0f}  ×{rate.ratio:.2f}"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="a version directory; default: a tiny CNN")
    parser.add_argument("--device", default="cuda:0", help="default cuda:0; cpu tries the steps out")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement (default 5)")
    parser.add_argument("--without-server", action="store_true", help="only what needs no gRPC")
    parser.add_argument("--tf32-alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--make", type=Path, metavar="MODELS_DIR", help="write the tiny CNN's bundle, and do nothing else"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
