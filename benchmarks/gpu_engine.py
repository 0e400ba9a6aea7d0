"""Checks of the engine itself on a GPU, and its rows a second; without gRPC."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from foldserve_contract.bundle import ONNX, Bundle
from foldserve_contract.signature import Arrays
from foldserve_engine.batch_sizes import buckets
from foldserve_engine.device import Device
from foldserve_engine.gate.golden_check import check_golden
from foldserve_engine.onnx.onnx_engine import OnnxEngine, import_runtime
from foldserve_engine.onnx.session_plan import session_plan
from foldserve_engine.rows import Gather, PaddedEngine
from foldserve_engine.spec import EngineSpec

TURNS = 5
Run = Callable[[Arrays], Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold.

    Attributes:
        what: Its name.
        held: Whether it did.
        text: The figure, or why it did not.
    """

    what: str
    held: bool
    text: str


@dataclass(frozen=True, slots=True)
class Rate:
    """Rows a second, and how many times that of ONNX Runtime's plain `run`, in one run.

    Attributes:
        batches: Their sizes, in alternation.
    """

    how: str
    batches: tuple[int, ...]
    rows_a_second: float
    ratio: float


class Bench:
    """A bundle on a device, in the ways in which it can be run there, all in one precision.

    The libraries are told of TF32 when they are loaded: the other precision takes a process of its own.
    """

    def __init__(self, bundle: Bundle, device: str, *, tf32: bool = False) -> None:
        self._bundle = bundle
        self._content = bundle.read(ONNX)
        self._golden = bundle.golden()
        largest = bundle.manifest.max_batch_size
        powers = buckets((), largest, Device.parse("cuda:0"))  # also where it is tried out on a CPU
        self.sizes = powers
        self._options = EngineSpec(device=device, sizes=powers, tf32=tf32)

    def engine(self, graph_rows: int | None = None) -> OnnxEngine:
        """As it is served; `graph_rows` other than the server's default where given.

        Raises:
            EngineError: It cannot run there.
        """
        rows = self._options.graph_rows if graph_rows is None else graph_rows
        options = replace(self._options, graph_rows=rows)
        return OnnxEngine.from_bytes(self._content, self._bundle.manifest.signature, options)

    def golden(self) -> Check:
        """The worst deviation of any golden sample in any batch size, as a share of what is promised.

        What TF32 does is only a failure where the bundle promises a value for it.
        """
        tf32 = self._options.tf32
        promised = {
            name: item.tf32 if tf32 else item.promised for name, item in self._bundle.manifest.tolerances.items()
        }
        judged = {name: item for name, item in promised.items() if item is not None}
        bounds = judged or {name: item.promised for name, item in self._bundle.manifest.tolerances.items()}
        worst = max(self._worst(self.engine(), bounds))
        what = f"golden samples, {'TF32' if tf32 else 'float32'}"
        if tf32 and not judged:
            return Check(what, True, f"{worst:.3g} of what is promised for float32; nothing is promised for TF32")
        return Check(what, worst <= 1, f"{worst:.3g} of what is promised")

    def _worst(self, engine: OnnxEngine, bounds: dict[str, float]) -> Iterator[float]:
        for size in self.sizes:
            verdict = check_golden(PaddedEngine(engine, (size,)), self._golden, bounds, size)
            if verdict.problem:
                raise RuntimeError(verdict.problem)
            yield from (item.deviation / item.bound for item in verdict.outputs)

    def rates(self, seconds: float) -> tuple[Rate, ...]:
        """Rows a second of each way to run, in turns, for the smallest, a middle and the largest batch.

        And for the two largest in alternation: what a library prepares for one size it may have to prepare anew when
        another has come in between.
        """
        ways = self._ways()
        sizes = sorted({self.sizes[0], self.sizes[len(self.sizes) // 2], self.sizes[-1]})
        alternating = [self.sizes[-2:]] if len(self.sizes) > 1 else []
        mixes = [*((size,) for size in sizes), *alternating]
        return tuple(rate for mix in mixes for rate in self._compare(ways, mix, seconds))

    def _compare(self, ways: dict[str, OnnxEngine | None], sizes: Sequence[int], seconds: float) -> Iterator[Rate]:
        plain = next(iter(ways))
        runs = {how: self._plain() if engine is None else engine.run for how, engine in ways.items()}
        batches = {how: [self._batch(engine, size) for size in sizes] for how, engine in ways.items()}
        turns = [
            {how: _rows_a_second(runs[how], batches[how], seconds / TURNS) for how in _order(list(ways), turn)}
            for turn in range(TURNS)
        ]
        for how in ways:
            ratio = statistics.median(turn[how] / turn[plain] for turn in turns)
            yield Rate(how, tuple(sizes), statistics.median(turn[how] for turn in turns), ratio)

    def _batch(self, engine: OnnxEngine | None, size: int) -> Arrays:
        """Golden samples, where the engine reads them best."""
        gather = Gather() if engine is None else Gather.into(engine)
        return gather.collect([(self._golden.inputs, 0, min(size, self._golden.rows))], size, own=True)

    def _ways(self) -> dict[str, OnnxEngine | None]:
        """The plain run of ONNX Runtime first: the others are compared with it."""
        ways: dict[str, OnnxEngine | None] = {"plain run": None, "engine": self.engine(graph_rows=0)}
        captured = self.engine(graph_rows=self.sizes[-1])
        if "CUDA graphs for" in captured.placement:
            ways["engine, CUDA graphs"] = captured
        return {f"{how}, TF32": engine for how, engine in ways.items()} if self._options.tf32 else ways

    def _plain(self) -> Run:
        runtime = import_runtime()
        providers = [(item.name, dict(item.options)) for item in session_plan(self._options).providers]
        session = runtime.InferenceSession(self._content, providers=providers, enable_fallback=0)
        return lambda inputs: session.run(None, inputs)


def _order(ways: Sequence[str], turn: int) -> Sequence[str]:
    """Each is first as often as last."""
    return ways if turn % 2 else ways[::-1]


def _rows_a_second(run: Run, batches: Sequence[Arrays], seconds: float) -> float:
    for batch in batches:
        run(batch)
    rows, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        for batch in batches:
            run(batch)
            rows += len(next(iter(batch.values())))
    return rows / spent
