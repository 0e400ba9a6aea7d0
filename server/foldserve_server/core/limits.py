"""What a request may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold for every model.

    Attributes:
        max_rows: Rows of one request; None for as many as the bundle was verified with.
        reject_nonfinite: Whether NaN and infinity are refused.
    """

    max_rows: int | None = None
    reject_nonfinite: bool = False
