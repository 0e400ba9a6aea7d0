"""What a recalibration did, in words."""

from collections.abc import Iterator

from .recalibrate import Recalibration


def recalibration_lines(done: Recalibration) -> Iterator[str]:
    """A line for the whole, and two for every output."""
    yield f"recalibrated {len(done.layers)} BatchNormalization on {done.samples:,} samples"
    for name, change in done.changes.items():
        agreement = (
            "" if change.agreement is None else f"; {1 - change.agreement:.0%} of the samples change their class"
        )
        yield f"{name}: predictions change by up to {change.largest:.3g}, {change.mean:.3g} on average{agreement}"
    for name, before in done.before.items():
        yield f"{name}: {before} before, {done.after[name]} after"
