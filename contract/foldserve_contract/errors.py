"""Error tree shared by all parts of foldserve.

```
FoldserveError
├── BundleError              a version directory that must not be served
│   ├── NotABundle           the directory has no manifest: not a bundle, or not complete yet
│   ├── UnknownSchema        the manifest was written by a later foldserve
│   ├── ManifestInvalid      the manifest is not valid
│   ├── MissingFile          a sealed file is missing
│   ├── DigestMismatch       a file is not the one that was sealed
│   ├── UnsafePath           a path or link leaves the version directory
│   ├── GoldenInvalid        the golden samples do not fit the signature
│   └── VersionExists        the version to publish exists already
├── TensorError              a tensor that cannot be read, or does not fit the signature
└── GoldenMismatch           an engine does not reproduce the verified outputs
```
The errors of exporter, server and clients are subclasses of `FoldserveError`. Messages say what was
expected, what was received and what to do.
"""


class FoldserveError(Exception):
    """Base of all errors that foldserve raises on purpose."""


class BundleError(FoldserveError):
    """A version directory that must not be served."""


class NotABundle(BundleError):
    """The directory has no manifest: it is not a bundle, or is still being written."""


class UnknownSchema(BundleError):
    """The manifest has a schema version that this foldserve does not read."""


class ManifestInvalid(BundleError):
    """The manifest is not valid JSON, or a field is missing or has a wrong value."""


class MissingFile(BundleError):
    """A file that the manifest seals is not in the version directory."""


class DigestMismatch(BundleError):
    """A file's size or SHA-256 is not the sealed one."""


class UnsafePath(BundleError):
    """A path leaves the version directory, or a symbolic link is inside it."""


class GoldenInvalid(BundleError):
    """The golden samples cannot be read or do not fit the signature."""


class VersionExists(BundleError):
    """The version to publish exists already, and replacing it was not requested."""


class TensorError(FoldserveError):
    """A tensor cannot be read, or does not have the dtype or shape of the signature."""


class GoldenMismatch(FoldserveError):
    """An engine's output for a golden sample is outside the promised tolerance."""
