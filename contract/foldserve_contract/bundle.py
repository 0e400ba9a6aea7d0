"""Bundles: version directories, read, validated and compared with their digests."""

import hmac
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .digest import sha256, sha256_file
from .errors import DigestMismatch, ManifestInvalid, MissingFile, NotABundle, UnsafePath
from .golden import Golden
from .manifest import MAX_MANIFEST_BYTES, Manifest, SealedFile

MANIFEST = "bundle.json"
GOLDEN = "golden.npz"
ONNX = "model.onnx"
ONNX_DATA = "model.onnx.data"  # weights of a model too large for one file
SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle; every file had its sealed digest when the bundle was opened.

    Attributes:
        path: The version directory, resolved.
        manifest: The content of `bundle.json`.
        digest: SHA-256 of `bundle.json`; with the version number, it identifies what is loaded.
    """

    path: Path
    manifest: Manifest
    digest: str

    @classmethod
    def open(cls, path: Path) -> "Bundle":
        """Reads the manifest and compares every file with it; trusts no file and executes none.

        The version directory itself may be a symbolic link, which is resolved once.

        Raises:
            NotABundle: The directory or its manifest does not exist.
            UnknownSchema, ManifestInvalid: The manifest is not valid.
            MissingFile, DigestMismatch, UnsafePath: The files are not the sealed ones.
        """
        root = path.resolve()
        content = _read_manifest(root)
        bundle = cls(root, Manifest.from_bytes(content), sha256(content))
        bundle.verify()
        return bundle

    def verify(self) -> None:
        """Compares every file with its digest again, and searches for files that were not sealed.

        Raises:
            MissingFile, DigestMismatch, UnsafePath: See `open`.
        """
        for file in self.manifest.files:
            path = self._regular(file)
            if path.stat().st_size != file.size or not hmac.compare_digest(sha256_file(path), file.sha256):
                raise DigestMismatch(f"{self.path}: {file.path} is not the file that was sealed; export it again")
        sealed = {file.path for file in self.manifest.files} | {MANIFEST}
        for name in _files(self.path):
            if name not in sealed:
                raise DigestMismatch(f"{self.path}: {name} was not there when the bundle was sealed; remove it")

    def read(self, name: str) -> bytes:
        """Reads a sealed file; returns the very bytes whose digest was compared.

        Raises:
            MissingFile: The manifest does not name such a file, or the file is missing.
            DigestMismatch, UnsafePath: The file is not the sealed one.
        """
        file = next((file for file in self.manifest.files if file.path == name), None)
        if file is None:
            raise MissingFile(f"{self.path}: the bundle holds no {name}")
        content = self._regular(file).read_bytes()
        if not hmac.compare_digest(sha256(content), file.sha256):
            raise DigestMismatch(f"{self.path}: {name} is not the file that was sealed; export it again")
        return content

    def golden(self) -> Golden:
        """Reads the golden samples and checks them against the signature.

        Raises:
            GoldenInvalid: They do not fit the signature.
            MissingFile, DigestMismatch, UnsafePath: See `read`.
        """
        return Golden.from_bytes(self.read(GOLDEN), self.manifest.signature)

    def _regular(self, file: SealedFile) -> Path:
        """The path of a sealed file, if it is a regular file that no symbolic link leads to."""
        # the name alone must not leave the directory
        parts = PurePosixPath(file.path).parts
        if not parts or file.path.startswith("/") or ".." in parts or "\\" in file.path or "\0" in file.path:
            raise UnsafePath(f"{self.path}: the manifest names {file.path!r}, which leaves the directory")
        # nor may a link on the way, which each component is checked for
        path = self.path
        for part in parts:
            path = path / part
            try:
                mode = path.lstat().st_mode
            except OSError as error:
                raise MissingFile(f"{self.path}: {file.path} is missing") from error
            if stat.S_ISLNK(mode):
                raise UnsafePath(f"{self.path}: {file.path} passes a symbolic link; a bundle holds plain files only")
        if not stat.S_ISREG(mode):
            raise UnsafePath(f"{self.path}: {file.path} is not a regular file")
        return path


def _read_manifest(root: Path) -> bytes:
    path = root / MANIFEST
    try:
        if path.is_symlink():
            raise UnsafePath(f"{root}: {MANIFEST} is a symbolic link; a bundle holds plain files only")
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnsafePath(f"{root}: {MANIFEST} is not a regular file")
        if status.st_size > MAX_MANIFEST_BYTES:
            raise ManifestInvalid(f"{root}: {MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes")
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise NotABundle(f"{root} is not a bundle: it has no {MANIFEST}") from error
        raise NotABundle(f"{root}: {MANIFEST} cannot be read: {error.strerror or error}") from error


def _files(root: Path) -> Iterator[str]:
    """Paths of files below the directory but hidden ones, which no engine reads; network file systems make some."""
    for directory, folders, names in os.walk(root):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield (Path(directory) / name).relative_to(root).as_posix()
