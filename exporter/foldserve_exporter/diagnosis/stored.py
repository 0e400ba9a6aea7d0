"""What can be told from a BatchNormalization's weights alone, without any data."""

from collections.abc import Iterator

import numpy as np

from foldserve_contract.signature import Array

from ..graph import Graph, Node, Op
from .drift import TINY
from .finding import RECALIBRATE, RELOAD, RETRAIN, Finding, Kind, Severity

LARGE_GAIN = 300.0
BY_SAMPLES = (Kind.TINY_VARIANCE, Kind.UNTOUCHED)  # where samples agree with the statistics, these are no faults
_DEAD = 1e-6
_MANY = 0.05


def stored_faults(graph: Graph) -> Iterator[Finding]:
    """Faults of every layer's own weights; their effects are not measured yet.

    Of layers that do not normalise, weights that are no numbers.
    """
    normalising = {id(node.op) for node in graph.batch_norms}
    for op in unique_ops(graph.nodes):
        if id(op) not in normalising:
            yield from _not_finite(op)
            continue
        broken = list(_broken(op))
        yield from broken or _suspicious(op)


def unique_ops(nodes: tuple[Node, ...]) -> list[Op]:
    """Each op once, in the order of the graph."""
    return list({id(node.op): node.op for node in nodes}.values())


def gain(op: Op) -> Array:
    """γ/√(σ²+ε) by channel, float64; NaN where there is no such root."""
    variance = wide(op, "moving_variance", 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = wide(op, "gamma", 1.0) / np.sqrt(variance + float(op.config["epsilon"]))
    return found


def wide(op: Op, name: str, default: float) -> Array:
    """A weight in float64, or what stands for it where the layer has none."""
    value = op.weight(name)
    if value is None:
        return np.full(op.weights[0].value.shape if op.weights else (1,), default)
    return value.astype(np.float64)


def is_untouched(op: Op) -> bool:
    """Whether the statistics are those that Keras begins with."""
    return bool((wide(op, "moving_mean", 1.0) == 0).all() and (wide(op, "moving_variance", 0.0) == 1).all())


def exploding(op: Op) -> Array:
    """Channels that are amplified beyond what any healthy layer does."""
    with np.errstate(invalid="ignore"):
        large: Array = np.abs(gain(op)) > LARGE_GAIN
    return large


def tiny(op: Op) -> Array:
    """Channels whose variance is far below epsilon, though they are not silenced by their gain."""
    small = wide(op, "moving_variance", 1.0) < TINY * float(op.config["epsilon"])
    spoken: Array = small & (np.abs(wide(op, "gamma", 1.0)) > _DEAD)
    return spoken


def constant(op: Op) -> Array:
    """Tiny channels that were constant at some value, not at 0: those lie behind units that never spoke."""
    spoken: Array = np.abs(wide(op, "moving_mean", 0.0)) > np.sqrt(TINY * float(op.config["epsilon"]))
    return tiny(op) & spoken


def dead(op: Op) -> Array:
    """Channels whose gain lets nothing through."""
    gamma = np.abs(wide(op, "gamma", 1.0))
    silent: Array = gamma <= _DEAD
    return silent


def _not_finite(op: Op) -> Iterator[Finding]:
    for weight in op.weights:
        wrong = int(np.sum(~np.isfinite(weight.value)))
        if wrong:
            what = f"{weight.name} holds {wrong} of {weight.value.size} values that are not finite"
            remedy = RECALIBRATE if weight.name.startswith("moving") else RETRAIN
            yield Finding(Kind.NON_FINITE, Severity.ERROR, op.path, what, None, remedy)


def _broken(op: Op) -> Iterator[Finding]:
    yield from _not_finite(op)
    variance = wide(op, "moving_variance", 1.0)
    negative = int(np.sum(variance < 0))
    if negative:
        what = (
            f"moving_variance is negative in {negative} of {variance.size} channels (down to {variance.min():.3g}):"
            " no training gives that, weights in wrong places do"
        )
        yield Finding(Kind.NEGATIVE_VARIANCE, Severity.ERROR, op.path, what, None, RELOAD)


def _suspicious(op: Op) -> Iterator[Finding]:
    if is_untouched(op):
        what = "mean 0 and variance 1 in every channel: the statistics that Keras begins with were never updated"
        yield Finding(Kind.UNTOUCHED, Severity.WARNING, op.path, what, None, RECALIBRATE)
    large, small, silent = exploding(op), constant(op), dead(op)
    if large.any():
        most = np.nanmax(np.abs(gain(op)))
        what = f"|γ|/√(σ²+ε) is up to {most:.3g} in {large.sum()} of {large.size} channels: noise becomes signal"
        yield Finding(Kind.EXPLODING_GAIN, Severity.WARNING, op.path, what, None, RETRAIN)
    elif small.any():
        what = (
            f"the variance of {small.sum()} of {small.size} channels is below a thousandth of epsilon"
            f" ({op.config['epsilon']:g}): constant in training, they amplify whatever varies there in service"
        )
        yield Finding(Kind.TINY_VARIANCE, Severity.NOTE, op.path, what, None, RECALIBRATE)
    if silent.any():
        severity = Severity.WARNING if silent.mean() >= _MANY else Severity.NOTE
        what = f"γ is 0 in {silent.sum()} of {silent.size} channels: whatever comes in, they answer β"
        yield Finding(Kind.DEAD_GAIN, severity, op.path, what, None, RETRAIN)
