"""Book-keeping of the fold: which BatchNormalization calls stand behind each affine node, and what became of them."""

from collections import defaultdict

from ..graph import Graph, Node
from .affine_op import is_affine
from .plan import Action, Decision, PlanEntry

Origin = tuple[str, int]
_WORST_LAST = tuple(Action)


class FoldRecord:
    """Follows every BatchNormalization call until it is settled."""

    def __init__(self, batch_norms: tuple[Node, ...]) -> None:
        self.order: list[Origin] = [(node.op.path, node.call) for node in batch_norms]
        self._behind: dict[int, list[Origin]] = defaultdict(list)
        self._standing: dict[int, Decision] = {}
        self._settled: dict[Origin, list[PlanEntry]] = defaultdict(list)
        for node, origin in zip(batch_norms, self.order, strict=True):
            self._behind[node.key].append(origin)

    def note(self, graph: Graph, node: Node, decision: Decision) -> None:
        """Take down a decision before it is carried out in ``graph``."""
        if decision.left is not None:
            self._standing[node.key] = _stronger(self._standing.get(node.key), decision)
            return
        origins = self._behind.pop(node.key, [])
        self._standing.pop(node.key, None)
        nodes = [graph.node(absorb.node) for absorb in decision.takers]
        for onto in nodes:
            if is_affine(onto):
                self._behind[onto.key].extend(origins)
        hosts = [onto.op.path for onto in nodes if not is_affine(onto)]
        for origin in origins if hosts or not nodes else []:
            told = f"folded into {', '.join(hosts)}" if hosts else decision.reason
            self._settle(origin, decision.action, told, hosts)

    def entries(self, graph: Graph) -> tuple[PlanEntry, ...]:
        """The plan, in the order of the calls, once nothing moves any more."""
        for node in filter(is_affine, graph.nodes):
            decision = self._standing[node.key]
            for origin in self._behind[node.key]:
                own = origin[0] == node.op.path
                hosts = [graph.node(a.node).op.path for a in decision.takers if graph.has_node(a.node)]
                action = decision.action if own else Action.MERGED
                reason = decision.reason if own else f"merged into {node.op.path}; {decision.reason}"
                self._settle(origin, action, reason, hosts if own else [node.op.path])
        return tuple(max(self._settled[o], key=lambda e: _WORST_LAST.index(e.action)) for o in self.order)

    def _settle(self, origin: Origin, action: Action, reason: str, hosts: list[str]) -> None:
        self._settled[origin].append(PlanEntry(*origin, action, reason, hosts[0] if hosts else None))


def _stronger(before: Decision | None, now: Decision) -> Decision:
    """A scale that was folded stays told even when a later look moves nothing more."""
    return before if before is not None and before.absorbed and not now.absorbed else now
