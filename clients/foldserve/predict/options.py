"""The options of `predict-model`: each is declared once, here or in `Imaging`, with its flag, default and help."""

from dataclasses import dataclass, field
from pathlib import Path

from foldserve_contract.signature import DEFAULT_SIGNATURE

from ..transport.tls import TlsFiles
from .converters import input_paths, output_path, positive_integer, positive_seconds
from .flags import environment, flag, positional
from .image_conversion import Imaging
from .model_target import ModelTarget, parse_model_target

TOKEN_VARIABLE = "FOLDSERVE_TOKEN"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Run of `predict-model`.

    Attributes:
        target: The model that predicts, and its server.
        inputs: `.npy`, `.npz`, images and folders of images, in this order.
        out: The file to write: `.npz`, or `.npy` for a single output.
        signature: The entry point.
        outputs: Names of the outputs wanted; empty for all.
        imaging: The conversion of images to arrays.
        batch: Rows in one request.
        in_flight: Concurrent requests.
        channels: Connections.
        timeout: Seconds for one request, retries included.
        save_every: Seconds of work that a killed run may lose.
        overwrite: True if `out` may exist already.
        restart: True if an unfinished run is discarded.
        json: True if the summary is printed as JSON.
        quiet: True if neither progress nor summary are printed.
        ca: Certificates of the authorities to trust, PEM.
        cert: The client's own certificate, PEM.
        key: The private key of `cert`, PEM.
        token: The bearer token, if any.
    """

    target: ModelTarget = field(
        metadata=positional(
            metavar="TARGET", help="HOST:PORT/MODEL[/VERSION]; grpcs:// before it for TLS", convert=parse_model_target
        )
    )
    inputs: tuple[Path, ...] = field(
        metadata=positional(
            metavar="INPUT", nargs="+", help=".npy, .npz, image or folder of images", convert=input_paths
        )
    )
    out: Path = field(
        metadata=flag("-o", "--out", metavar="OUT", help="the file to write, .npz or .npy", convert=output_path)
    )
    signature: str = field(
        default=DEFAULT_SIGNATURE,
        metadata=flag("--signature", group="model", metavar="NAME", help="entry point (%(default)s)"),
    )
    outputs: tuple[str, ...] = field(
        default=(),
        metadata=flag(
            "--output",
            group="model",
            metavar="NAME",
            action="append",
            convert=tuple,
            help="only this output; may be given again",
        ),
    )
    imaging: Imaging = field(default_factory=Imaging)
    batch: int = field(
        default=32,
        metadata=flag(
            "--batch", group="run", metavar="ROWS", type=positive_integer, help="rows in a request (%(default)s)"
        ),
    )
    in_flight: int = field(
        default=4,
        metadata=flag(
            "--in-flight",
            group="run",
            metavar="N",
            type=positive_integer,
            help="requests on their way at once (%(default)s)",
        ),
    )
    channels: int = field(
        default=1,
        metadata=flag("--channels", group="run", metavar="N", type=positive_integer, help="connections (%(default)s)"),
    )
    timeout: float = field(
        default=120.0,
        metadata=flag(
            "--timeout",
            group="run",
            metavar="SECONDS",
            type=positive_seconds,
            help="for a request with retries (%(default)s)",
        ),
    )
    save_every: float = field(
        default=1.0,
        metadata=flag(
            "--save-every", group="run", metavar="SECONDS", type=float, help="work a killed run may lose (%(default)s)"
        ),
    )
    overwrite: bool = field(default=False, metadata=flag("--overwrite", group="run", help="OUT may be there already"))
    restart: bool = field(default=False, metadata=flag("--restart", group="run", help="throw an unfinished run away"))
    json: bool = field(
        default=False, metadata=flag("--json", group="run", help="tell how it went as JSON on standard output")
    )
    quiet: bool = field(default=False, metadata=flag("--quiet", group="run", help="no progress bar and no summary"))
    ca: str | None = field(
        default=None, metadata=flag("--ca", group="security", metavar="PEM", help="authorities to trust")
    )
    cert: str | None = field(
        default=None, metadata=flag("--cert", group="security", metavar="PEM", help="own certificate")
    )
    key: str | None = field(
        default=None, metadata=flag("--key", group="security", metavar="PEM", help="its private key")
    )
    token: str | None = field(default=None, repr=False, metadata=environment(TOKEN_VARIABLE))

    def __post_init__(self) -> None:
        """Refuses a certificate without its key before any file is read or written."""
        if self.cert or self.key:
            TlsFiles(self.ca, self.cert, self.key)

    @property
    def tls(self) -> TlsFiles | None:
        """Encryption with the certificate files, None without any."""
        return TlsFiles(self.ca, self.cert, self.key) if self.ca or self.cert or self.key else None
