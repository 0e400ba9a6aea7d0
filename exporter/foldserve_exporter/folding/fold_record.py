"""Fold record: the BatchNormalization calls that each affine node stems from, and the result for each of them."""

from collections import defaultdict

from ..graph import Graph, Node
from .affine_op import is_affine
from .plan import Action, Decision, PlanEntry

Origin = tuple[str, int]
_WORST_LAST = tuple(Action)


class FoldRecord:
    """Follows every BatchNormalization call to its result, through nodes that merge or split."""

    def __init__(self, batch_norms: tuple[Node, ...]) -> None:
        self.order: list[Origin] = [(node.op.path, node.call) for node in batch_norms]
        self._origins: dict[int, list[Origin]] = defaultdict(list)  # of each affine node, by its key
        self._decisions: dict[int, Decision] = {}  # the last that left the node in the graph, by its key
        self._entries: dict[Origin, list[PlanEntry]] = defaultdict(list)
        for node, origin in zip(batch_norms, self.order, strict=True):
            self._origins[node.key].append(origin)

    def add(self, graph: Graph, node: Node, decision: Decision) -> None:
        """Record a decision before it is applied to ``graph``."""
        if decision.left is not None:
            self._decisions[node.key] = _more_informative(self._decisions.get(node.key), decision)
            return
        # the node goes: its origins pass to the affine nodes that absorb it, and end in other layers
        origins = self._origins.pop(node.key, [])
        self._decisions.pop(node.key, None)
        nodes = [graph.node(absorption.node) for absorption in decision.host_absorptions]
        for host in nodes:
            if is_affine(host):
                self._origins[host.key].extend(origins)
        hosts = [host.op.path for host in nodes if not is_affine(host)]
        for origin in origins if hosts or not nodes else []:
            reason = f"folded into {', '.join(hosts)}" if hosts else decision.reason
            self._add_entry(origin, decision.action, reason, hosts)

    def entries(self, graph: Graph) -> tuple[PlanEntry, ...]:
        """The plan, in the order of the calls, for the graph in which no map moves any more."""
        for node in filter(is_affine, graph.nodes):
            decision = self._decisions[node.key]
            for origin in self._origins[node.key]:
                own = origin[0] == node.op.path
                hosts = [graph.node(a.node).op.path for a in decision.host_absorptions if graph.has_node(a.node)]
                action = decision.action if own else Action.MERGED
                reason = decision.reason if own else f"merged into {node.op.path}; {decision.reason}"
                self._add_entry(origin, action, reason, hosts if own else [node.op.path])
        # of a call that went into several nodes, the entry that leaves most behind
        return tuple(max(self._entries[o], key=lambda e: _WORST_LAST.index(e.action)) for o in self.order)

    def _add_entry(self, origin: Origin, action: Action, reason: str, hosts: list[str]) -> None:
        self._entries[origin].append(PlanEntry(*origin, action, reason, hosts[0] if hosts else None))


def _more_informative(before: Decision | None, now: Decision) -> Decision:
    """The decision that the plan reports: a scale that was folded, even if a later decision moves nothing more."""
    return before if before is not None and before.absorbed and not now.absorbed else now
