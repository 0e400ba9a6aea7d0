"""Snapshot of the routing table, as it is sent to front ends."""

from collections.abc import Iterable

from ...engines.serving_engine import ServingEngine
from ...models.routing_table import RoutingTable
from ...models.servable import Servable
from ..messages import EngineEntry, ModelEntry, TableSnapshot, VersionEntry
from .shared_engine import SharedEngine


def snapshot(table: RoutingTable, engines: Iterable[SharedEngine], started: bool) -> TableSnapshot:
    """The table as it stands, of epoch 0."""
    models = (
        ModelEntry(
            name,
            tuple(_version(versions[number]) for number in sorted(versions)),
            dict(table.labels(name)),
            name in table.served,
            table.policy(name),
        )
        for name, versions in sorted(table.everything().items())
    )
    entries: tuple[EngineEntry, ...] = tuple(engine.entry for engine in engines)
    return TableSnapshot(0, started, tuple(models), entries, table.notices)


def _version(servable: Servable) -> VersionEntry:
    engine = servable.status.engine
    shadow = engine.mirror.shadow if isinstance(engine, ServingEngine) and engine.mirror is not None else None
    return VersionEntry(
        servable=servable.serial,
        version=servable.version,
        state=int(servable.state),
        failed=servable.failed,
        cause=servable.cause,
        reason=servable.reason,
        engine=_number(engine),
        shadow=_number(shadow),
    )


def _number(engine: object) -> int | None:
    process = engine.process if isinstance(engine, ServingEngine) else None
    return process.number if isinstance(process, SharedEngine) else None
