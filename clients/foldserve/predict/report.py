"""Progress bar and summary of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """Result of a run.

    Attributes:
        out: The output file.
        model: The model's name.
        version: The version that answered every row.
        rows: Number of all rows.
        failed: Number of rows without a prediction.
        resumed: Number of rows that an earlier run had done.
        seconds: Duration of this run.
        rows_per_second: Throughput of this run.
        errors: The file that lists the failures; None without failures.
        ignored: Files in folders that are not images by their suffix.
    """

    out: Path
    model: str
    version: int
    rows: int
    failed: int
    resumed: int
    seconds: float
    rows_per_second: float
    errors: Path | None
    ignored: tuple[Path, ...]

    def text(self) -> str:
        """The summary in sentences."""
        lines = [
            f"{self.out}: {self.rows - self.failed:,} of {self.rows:,} rows answered by {self.model}/{self.version}"
            f" in {self.seconds:.1f} s ({self.rows_per_second:,.0f} rows/s)"
        ]
        if self.resumed:
            lines.append(f"resumed after {self.resumed:,} rows")
        if self.errors:
            lines.append(f"{self.failed:,} rows failed; they and the reasons are in {self.errors}")
        if self.ignored:
            lines.append(f"{len(self.ignored):,} files are not images by their suffix, such as {self.ignored[0]}")
        return "\n".join(lines)


@contextmanager
def progress_bar(rows: int, done: int, stream: TextIO, quiet: bool) -> Iterator[Advance]:
    """Shows rows, rate and time left during the run, if the stream is a terminal and `quiet` is not set."""
    if quiet or not stream.isatty():
        yield lambda count: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError:
        print("no progress bar without rich: pip install 'foldserve[batch]'", file=stream)
        yield lambda count: None
        return
    rate = TextColumn("{task.speed:,.0f} rows/s", table_column=None)
    columns = (BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(file=stream)) as progress:
        task = progress.add_task("predict", total=rows, completed=done)
        yield lambda count: progress.advance(task, count)
