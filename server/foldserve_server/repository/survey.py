"""Survey of a model repository: models to be served, their version directories, and what is passed over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.bundle import MANIFEST
from foldserve_contract.plain_saved_model import is_plain
from foldserve_contract.publish import STAGING
from foldserve_contract.repository import VersionListing, list_versions

from ..models.model_config import ModelConfig
from .scanner import VersionScanner, VersionSnapshot
from .source import ModelSource

MOST_NOTICES = 50
Listings = Mapping[str, tuple[VersionSnapshot, ...]]


@dataclass(frozen=True, slots=True)
class Survey:
    """Result of one scan of a source.

    Attributes:
        configs: The models that are to be served; None where they cannot be listed now.
        listings: The version directories of each; a model whose folder cannot be read is left out.
        notices: What cannot be read, and what is there and is not served: a line each.
    """

    configs: Mapping[str, ModelConfig] | None
    listings: Listings
    notices: tuple[str, ...]


def survey(source: ModelSource, scanner: VersionScanner) -> Survey:
    """Scans every model's folder."""
    try:
        listed = source.read()
    except OSError as error:
        return Survey(None, {}, (_printable(f"{source} cannot be read: {error}; what serves keeps serving"),))
    configs, odd, unread = listed.configs, [*listed.notices], list[str]()
    directories: dict[str, Mapping[int, Path]] = {}
    for name, config in configs.items():
        try:
            listing = list_versions(config.path.parent, config.path.name)
            directories[name] = listing.versions
            odd += _passed_over(config, listing)
        except OSError as error:
            unread.append(f"{config.path} cannot be read: {error}; what serves of it keeps serving")
    scanner.forget_all_but({path for paths in directories.values() for path in paths.values()})
    listings = {
        name: tuple(scanner.look(version, path) for version, path in paths.items())
        for name, paths in directories.items()
    }
    notices = [*sorted(unread), *_missing(source, listings), *_limited(odd)]
    return Survey(configs, listings, tuple(dict.fromkeys(map(_printable, notices))))


def _passed_over(config: ModelConfig, listing: VersionListing) -> list[str]:
    """Notices about a model's folder."""
    if (config.path / MANIFEST).exists():
        return [f"{config.path} is a bundle itself: serve the folder two levels above it, MODELS_DIR/NAME/VERSION"]
    notices = [f"{path} is passed over: {reason}" for path, reason in listing.passed_over.items()]
    is_being_written = any(config.path.glob(f"{STAGING}*"))
    if not listing.versions and not notices and not is_being_written:
        notices.append(f"{config.path} is passed over: it holds no version, a folder named by a number")
    return notices


def _missing(source: ModelSource, listings: Listings) -> list[str]:
    """Notices about version directories that are not bundles."""
    snapshots = [snapshot for listing in listings.values() for snapshot in listing]
    others = [snapshot.path for snapshot in snapshots if snapshot.digest is None]
    plain = [path for path in others if is_plain(path)]
    notices = [f"{path} has no {MANIFEST}; --allow-unverified serves plain SavedModels" for path in plain]
    if len(others) == len(snapshots):
        return [f"{source} holds no bundle; what arrives there will be served", *notices]
    return notices + [
        f"{path} is not a bundle, or not one yet: it has no {MANIFEST}" for path in others if path not in plain
    ]


def _limited(notices: Iterable[str]) -> list[str]:
    """The first notices, and a line about the others: a folder may hold any number of entries."""
    lines = sorted(notices)
    return lines if len(lines) <= MOST_NOTICES else [*lines[:MOST_NOTICES], "more entries than these are passed over"]


def _printable(text: str) -> str:
    """The text in one line: a folder's name may hold line breaks, a terminal's controls, and bytes that are no text."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
