"""What the user sees of a run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended.

    Attributes:
        out: The file.
        model: The model's name.
        version: The version that answered every row.
        rows: All rows.
        failed: Rows without a prediction.
        resumed: Rows an earlier run had done.
        seconds: How long this run took.
        rows_per_second: Of this run.
        errors: The list of failures, if there are any.
        ignored: Files in folders that are no images by their suffix.
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

    def words(self) -> str:
        """For people."""
        lines = [
            f"{self.out}: {self.rows - self.failed:,} of {self.rows:,} rows answered by {self.model}/{self.version}"
            f" in {self.seconds:.1f} s ({self.rows_per_second:,.0f} rows/s)"
        ]
        if self.resumed:
            lines.append(f"resumed after {self.resumed:,} rows")
        if self.errors:
            lines.append(f"{self.failed:,} rows failed; they and the reasons are in {self.errors}")
        if self.ignored:
            lines.append(f"{len(self.ignored):,} files are no images by their suffix, such as {self.ignored[0]}")
        return "\n".join(lines)


@contextmanager
def progress_bar(rows: int, done: int, stream: TextIO, quiet: bool) -> Iterator[Advance]:
    """Shows rows, rate and time left while the run lasts; nothing where the stream is no terminal."""
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
