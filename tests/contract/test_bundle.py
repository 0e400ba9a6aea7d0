"""Bundles: one is opened whole and as it was sealed, or not at all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from foldserve_contract.bundle import Bundle
from foldserve_contract.digest import sha256
from foldserve_contract.errors import (
    BundleError,
    DigestMismatch,
    GoldenInvalid,
    ManifestInvalid,
    MissingFile,
    NotABundle,
    UnknownSchema,
    UnsafePath,
)
from tests.bundles import make_bundle


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return make_bundle(tmp_path, "m")


def edit_manifest(version: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = version / "bundle.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def set_path(entry: str) -> Callable[[dict[str, Any]], object]:
    return lambda manifest: manifest["files"][0].update(path=entry)


def test_an_opened_bundle_has_its_golden_samples(version: Path) -> None:
    bundle = Bundle.open(version)
    assert bundle.manifest.model == "m"
    assert bundle.digest == sha256((version / "bundle.json").read_bytes())
    assert bundle.golden().rows == bundle.manifest.golden.samples


def test_a_link_to_a_version_directory_is_followed_once(version: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(version)
    assert Bundle.open(link).path == version.resolve()


def test_a_directory_without_a_manifest_is_not_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(NotABundle, match=r"bundle\.json"):
        Bundle.open(tmp_path)
    with pytest.raises(NotABundle):
        Bundle.open(tmp_path / "absent")


def test_a_changed_byte_is_detected_in_every_file(version: Path) -> None:
    for name in ("model.onnx", "golden.npz"):
        path = version / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(DigestMismatch, match=name):
            Bundle.open(version)
        path.write_bytes(content)
    Bundle.open(version)


def test_a_change_after_opening_is_detected_when_the_file_is_read(version: Path) -> None:
    bundle = Bundle.open(version)
    (version / "model.onnx").write_bytes(b"another model")
    with pytest.raises(DigestMismatch):
        bundle.read("model.onnx")


def test_a_missing_file_is_named(version: Path) -> None:
    (version / "model.onnx").unlink()
    with pytest.raises(MissingFile, match=r"model\.onnx"):
        Bundle.open(version)


def test_a_file_that_was_not_sealed_is_refused_unless_it_is_hidden(version: Path) -> None:
    (version / ".nfs0001").write_text("left by a file system")
    Bundle.open(version)
    (version / "variables").mkdir(exist_ok=True)
    (version / "variables" / "stale").write_text("x")
    with pytest.raises(DigestMismatch, match="variables/stale"):
        Bundle.open(version)


def test_links_inside_a_bundle_are_refused_even_to_the_same_bytes(version: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    (version / "model.onnx").rename(outside)
    (version / "model.onnx").symlink_to(outside)
    with pytest.raises(UnsafePath, match="symbolic link"):
        Bundle.open(version)


def test_a_linked_manifest_is_refused(version: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    (version / "bundle.json").rename(outside)
    (version / "bundle.json").symlink_to(outside)
    with pytest.raises(UnsafePath):
        Bundle.open(version)


@pytest.mark.parametrize("path", ["../m.onnx", "/etc/passwd", "a/../../b", "", "a\\..\\b", "a\0b"])
def test_paths_that_leave_the_directory_are_refused(version: Path, path: str) -> None:
    edit_manifest(version, set_path(path))
    with pytest.raises(UnsafePath):
        Bundle.open(version)


def test_a_later_schema_is_refused_by_its_number(version: Path) -> None:
    edit_manifest(version, lambda manifest: manifest.update(schema=2, future="field"))
    with pytest.raises(UnknownSchema, match="schema 2"):
        Bundle.open(version)


SPOILS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a field is missing": lambda m: m.pop("golden"),
    "a field is unknown": lambda m: m.update(extra=1),
    "a string for a number": lambda m: m.update(version="7"),
    "a bool for a number": lambda m: m.update(version=True),
    "no default signature": lambda m: m.update(signatures={}),
    "a batch that is not free": lambda m: m["signatures"]["serving_default"]["inputs"][0].update(shape=[3, 4]),
    "an unsupported dtype": lambda m: m["signatures"]["serving_default"]["inputs"][0].update(dtype="complex64"),
    "a tolerance of an unknown output": lambda m: m["tolerances"].update(other=m["tolerances"].popitem()[1]),
    "a file sealed twice": lambda m: m["files"].append(m["files"][0]),
    "a number that is not finite": lambda m: next(iter(m["tolerances"].values())).update(promised=float("inf")),
    "a recalibration without its data": lambda m: m.update(recalibration={"samples": 64}),
    "a list for a mapping": lambda m: m.update(tools=[]),
}


@pytest.mark.parametrize("spoil", SPOILS, ids=str)
def test_an_invalid_manifest_is_refused(version: Path, spoil: str) -> None:
    edit_manifest(version, SPOILS[spoil])
    with pytest.raises(ManifestInvalid, match=r"bundle\.json"):
        Bundle.open(version)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_not_json_is_refused(version: Path, content: bytes) -> None:
    (version / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError):
        Bundle.open(version)


def test_golden_samples_with_pickles_are_refused(version: Path) -> None:
    import io

    from foldserve_contract.golden import Golden

    buffer = io.BytesIO()
    arrays: dict[str, Any] = {"input/x": np.array([object()], dtype=object)}
    np.savez(buffer, **arrays)
    signature = Bundle.open(version).manifest.signature
    with pytest.raises(GoldenInvalid, match="cannot be used"):
        Golden.from_bytes(buffer.getvalue(), signature)


def test_golden_samples_must_fit_the_signature(version: Path) -> None:
    from foldserve_contract.golden import Golden

    bundle = Bundle.open(version)
    golden, signature = bundle.golden(), bundle.manifest.signature
    shorter = {name: array[:-1] for name, array in golden.outputs.items()}
    doubled = {name: array.astype(np.float64) for name, array in golden.inputs.items()}
    none = {name: array[:0] for name, array in golden.inputs.items()}
    for spoiled in (Golden(golden.inputs, shorter), Golden(doubled, golden.outputs), Golden(golden.inputs, {})):
        with pytest.raises(GoldenInvalid):
            Golden.from_bytes(spoiled.to_bytes(), signature)
    with pytest.raises(GoldenInvalid):
        Golden.from_bytes(Golden(none, {k: v[:0] for k, v in golden.outputs.items()}).to_bytes(), signature)
    with pytest.raises(GoldenInvalid):
        Golden.from_bytes(golden.to_bytes()[:-40], signature)
