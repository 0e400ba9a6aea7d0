"""Text about a change of the predictions; class words are for classifiers alone."""

import numpy as np

from .change import Change


def change_text(change: Change) -> str:
    """The size of a change: "up to 0.3, 0.02 on average (scale 1); 4% of the samples change their class"."""
    if not np.isfinite(change.largest):
        return "beyond measure: before or after it, some of them are not numbers"
    moved = "" if change.agreement is None else f"; {1 - change.agreement:.0%} of the samples change their class"
    return f"up to {change.largest:.3g}, {change.mean:.3g} on average (scale {change.scale:.3g}){moved}"


def same_class_text(change: Change) -> str:
    """The share of the samples that keep their class, as the end of a sentence; empty for other than classifiers."""
    return "" if change.agreement is None else f"; the same class for {change.agreement:.0%} of the samples"
