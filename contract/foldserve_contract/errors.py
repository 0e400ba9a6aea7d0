"""The error tree that every part of foldserve shares.

```
FoldserveError
├── BundleError              a version directory that must not be served
│   ├── NotABundle           it has no manifest: not a bundle, or not one yet
│   ├── UnknownSchema        the manifest was written by a later foldserve
│   ├── ManifestInvalid      the manifest says something it must not say
│   ├── MissingFile          a sealed file is not there
│   ├── DigestMismatch       a file is not the one that was sealed
│   ├── UnsafePath           a path or link leaves the version directory
│   ├── GoldenInvalid        the golden samples do not fit the signature
│   └── VersionExists        the version to publish is there already
├── TensorError              a tensor that cannot be read, or is not what the signature asks for
└── GoldenMismatch           an engine does not answer as it was verified
```
The exporter, the server and the clients hang their own errors below `FoldserveError`. Messages say what was
expected, what was received and what to do.
"""


class FoldserveError(Exception):
    """Anything foldserve raises on purpose."""


class BundleError(FoldserveError):
    """A version directory that must not be served."""


class NotABundle(BundleError):
    """There is no manifest: the directory is not a bundle, or is still being written."""


class UnknownSchema(BundleError):
    """The manifest's schema version is not one this foldserve reads."""


class ManifestInvalid(BundleError):
    """The manifest is not valid JSON, or a field is missing or has a wrong value."""


class MissingFile(BundleError):
    """A file that the manifest seals is not in the version directory."""


class DigestMismatch(BundleError):
    """A file's size or SHA-256 is not the sealed one."""


class UnsafePath(BundleError):
    """A path leaves the version directory, or a symbolic link stands inside it."""


class GoldenInvalid(BundleError):
    """The golden samples cannot be read or do not fit the signature."""


class VersionExists(BundleError):
    """The version to publish exists already and replacing it was not asked for."""


class TensorError(FoldserveError):
    """A tensor cannot be read, or does not have the dtype or shape that is asked for."""


class GoldenMismatch(FoldserveError):
    """An engine's answer to a golden sample is outside the promised tolerance."""
