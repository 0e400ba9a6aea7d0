"""Options of `diagnose-model`, each declared once: a field, and the flag that sets it."""

from dataclasses import dataclass
from pathlib import Path

from foldserve_contract.options import option


@dataclass(frozen=True, slots=True)
class DiagnoseOptions:
    """The choices of one diagnosis.

    Attributes:
        model: The model's file, directory or `package.module:function`.
        samples: A file or folder of samples; None for none.
        labels: A file of the expected predictions; None for none.
        json: True to print the diagnosis as JSON.
        html: The file to write a page into; None for none.
        fail_on: The least severity that makes the command fail; None for none.
        fix: The file to write the recalibrated model into; None for none.
        trust_code: True if code in the model file (Lambda layers) may run.
        custom_objects: Modules to import before loading, or `NAME=package.module:object` for what a file calls NAME.
    """

    model: Path
    samples: Path | None = option(
        None, "real inputs: .npz, .npy or a folder of images (see below)", parse="path", metavar="FILE"
    )
    labels: Path | None = option(
        None, "what the answers to them should be: .npy or .npz (see below)", parse="path", metavar="FILE"
    )
    json: bool = option(False, "print the diagnosis as JSON")
    html: Path | None = option(None, "write it as a page, with plots", parse="path", metavar="OUT")
    fail_on: str | None = option(
        None,
        "exit with 1 where something is found that is at least as grave",
        name="fail-on",
        choices=("warning", "error"),
    )
    fix: Path | None = option(
        None, "write the model with statistics estimated anew from --samples", parse="path", metavar="OUT.keras"
    )
    trust_code: bool = option(
        False, "let code run: a file's Lambda layers, or package.module:function", name="trust-code"
    )
    custom_objects: tuple[str, ...] = option(
        (),
        "a module of the file's own classes and functions, or NAME=package.module:object; repeatable",
        name="custom-objects",
        metavar="MODULE",
        repeatable=True,
    )

    @property
    def conflict(self) -> str:
        """The reason why the choices cannot be met, in words; empty where they can."""
        if self.samples is None and (self.labels or self.fix):
            return "--labels and --fix need --samples"
        if self.fix is not None and (self.fix.suffix != ".keras" or self.fix.exists()):
            return f"--fix {self.fix}: give a new file ending in .keras"
        for written in (self.html, self.fix):
            if written is not None and not written.parent.is_dir():
                return f"{written}: there is no folder {written.parent} to write it into"
        return ""
