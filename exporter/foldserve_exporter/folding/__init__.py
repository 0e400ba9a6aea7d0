"""Fold BatchNormalization in inference into the weights around it."""

from .fold_model import Folded, fold, fold_graph
from .plan import Action, PlanEntry

__all__ = ["Action", "Folded", "PlanEntry", "fold", "fold_graph"]
