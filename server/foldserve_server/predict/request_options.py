"""Limits of requests."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """Bounds that hold for every model.

    Attributes:
        split_large: Whether a request of more rows than a batch may have is split; it is refused otherwise.
        reject_nonfinite: Whether NaN and infinity are refused.
    """

    split_large: bool = False
    reject_nonfinite: bool = False
