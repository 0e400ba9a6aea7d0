"""Report on an engine process that is ready: its bundle, golden verdict, batch sizes and start times."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.digest import sha256
from foldserve_contract.manifest import Manifest
from foldserve_contract.signature import Signature
from foldserve_engine.gate.golden_check import GoldenVerdict
from foldserve_engine.link.handshake import EngineReady, WarmedSize

from ..errors import LoadFailed, NotNow
from .settings import EngineSettings


@dataclass(frozen=True, slots=True)
class LoadReport:
    """An engine process as it reported itself when it was ready, and how it was started.

    Attributes:
        manifest: The bundle's.
        digest: SHA-256 of `bundle.json`: with the version number, the identity of what is loaded.
        verdict: The verdict on the golden samples.
        warmed: Batch sizes that were warmed, and the seconds each took.
        max_batch_size: Most rows in a batch.
        stages: Seconds of each stage of the start: interpreter, verify, load, warm, golden.
        exact_rows: The batch size for rows whose bits must depend on nothing else.
        seconds: Seconds from the start of the process to ready.
        pid: The engine process.
        verified: Whether it was verified; not where there is no manifest.
        buckets: Sizes batches are padded up to; empty where they are not.
        deterministic: Whether every row runs in batches of `exact_rows`.
        placement: What runs where, on a GPU; empty on a CPU.
        device: Where it runs: `cpu`, `cuda:N` or `tensorrt:N`.
        together: Whether requests share batches.
        delay_us: How long an unfilled batch waits for more rows.
    """

    manifest: Manifest
    digest: str
    verdict: GoldenVerdict
    warmed: tuple[WarmedSize, ...]
    max_batch_size: int
    stages: Mapping[str, float]
    seconds: float
    pid: int
    exact_rows: int = 1
    verified: bool = True
    buckets: tuple[int, ...] = ()
    deterministic: bool = False
    placement: str = ""
    device: str = "cpu"
    together: bool = True
    delay_us: int = 0

    @property
    def signature(self) -> Signature:
        """The default signature."""
        return self.manifest.signature

    @property
    def batches(self) -> str:
        """For people: the sizes of its batches, which of them were warmed, and what runs where."""
        warmed = ", ".join(str(size.rows) for size in self.warmed)
        placed = f"; on {self.placement}" if self.placement else ""
        if self.deterministic:
            return f"batches of {self.exact_rows} rows, exact; warmed: {warmed}{placed}"
        if self.buckets:
            return f"batches padded up to {', '.join(map(str, self.buckets))} rows; warmed: {warmed}{placed}"
        return f"batches of up to {self.max_batch_size} rows; warmed: {warmed}{placed}"

    @classmethod
    def of(cls, ready: EngineReady, path: Path, settings: EngineSettings, seconds: float, pid: int) -> "LoadReport":
        """The report on an engine process that is ready.

        Args:
            ready: The process's message.
            path: The version directory it loaded.
            settings: How it was started.
            seconds: Seconds from the start of the process to ready.
            pid: The process.

        Raises:
            LoadFailed: The manifest is not the one that the engine loaded.
            NotNow: The manifest cannot be read again.
        """
        return cls(
            manifest=Manifest.from_bytes(ready.manifest.encode()) if ready.manifest else _manifest(path, ready.digest),
            digest=ready.digest,
            verdict=ready.verdict,
            warmed=ready.warmed,
            max_batch_size=ready.max_batch_size,
            stages=ready.stages,
            seconds=seconds,
            pid=pid,
            exact_rows=ready.exact_rows,
            verified=ready.manifest is None,
            buckets=ready.sizes,
            deterministic=settings.deterministic,
            placement=ready.placement,
            device=settings.device,
            together=settings.together,
            delay_us=settings.batch_timeout_micros,
        )


def _manifest(path: Path, digest: str) -> Manifest:
    try:
        content = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LoadFailed(f"{path}: the bundle went away while it was loaded: {error}") from error
    except OSError as error:
        raise NotNow(f"{path}: the manifest could not be read again: {error}") from error
    if sha256(content) != digest:
        raise LoadFailed(f"{path}: the bundle was changed while it was loaded; it is tried again on a change")
    return Manifest.from_bytes(content)
