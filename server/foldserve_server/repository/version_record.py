"""Records of a model manager about version directories."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class VersionRecord:
    """Version of a model, as its manager has tried it.

    Attributes:
        loaded: The digest of the bundle that serves; None where none does.
        refused: The fingerprint under which it was refused: it is tried again when its directory changes.
        deferred: The fingerprint under which it is not tried before the next scan.
        reported: The fingerprint under which a lack of memory or processes was reported; once is enough.
    """

    loaded: str | None = None
    refused: str | None = None
    deferred: str | None = None
    reported: str | None = None


class VersionRecords:
    """The records of a model's versions, by number."""

    def __init__(self) -> None:
        self._records: dict[int, VersionRecord] = {}

    def __getitem__(self, version: int) -> VersionRecord:
        """The record of a version, made where there is none."""
        return self._records.setdefault(version, VersionRecord())

    @property
    def loaded(self) -> Mapping[int, str]:
        """The digest of each version that serves."""
        return {version: record.loaded for version, record in self._records.items() if record.loaded is not None}

    @property
    def refused(self) -> Mapping[int, str]:
        """The fingerprint under which each refused version was refused."""
        return {version: record.refused for version, record in self._records.items() if record.refused is not None}

    @property
    def untried(self) -> Mapping[int, str]:
        """The fingerprints under which versions are not to be tried: refused, or deferred to the next scan."""
        deferred = {
            version: record.deferred for version, record in self._records.items() if record.deferred is not None
        }
        return {**self.refused, **deferred}

    def new_scan(self) -> None:
        """Lets deferred versions be tried again."""
        for record in self._records.values():
            record.deferred = None

    def forgive(self) -> None:
        """Lets refused versions be tried again, and what is reported once be reported again."""
        for record in self._records.values():
            record.refused = record.reported = None
