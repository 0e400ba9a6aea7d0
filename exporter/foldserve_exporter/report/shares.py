"""Deviations as shares of what is allowed."""

import math

from ..verify.verdict import CandidateVerdict, OutputComparison


def output_share(output: OutputComparison) -> float:
    """The deviation of an output / its limit; infinite where nothing is allowed, and where it is not a number."""
    if math.isnan(output.deviation) or (not output.limit and output.deviation):
        return math.inf
    return output.deviation / output.limit if output.limit else 0.0


def limit_share(candidate: CandidateVerdict) -> float:
    """The largest share over a candidate's outputs; infinite where it did not answer."""
    if not candidate.outputs:
        return math.inf
    return max(map(output_share, candidate.outputs.values()))


def share_text(share: float) -> str:
    """The share in words: "17%", "350,000 times", "beyond measure"."""
    if not math.isfinite(share):
        return "beyond measure"
    if share <= 1:
        return percent(share)
    return f"{share:,.3g} times" if share < 1000 else f"{share:,.0f} times"


def percent(share: float) -> str:
    """A share up to 1 in per cent, to two digits."""
    return f"{100 * share:.2g}%" if share < 0.995 else "100%"
