"""The model file that `diagnose-model --fix` writes."""

import tempfile
from pathlib import Path
from typing import Any

import keras

from foldserve_contract.signature import Array, Arrays

from ..error_text import error_text
from ..errors import Refused
from .recalibrate import RecalibrationResult, recalibrate, require_better


def write_fixed(model: Any, samples: Path | str, labels: Array | Arrays | None, path: Path) -> RecalibrationResult:
    """Recalibrates a model that was loaded for this purpose, and saves it as a new file, whole or not at all.

    Raises:
        Refused: The model cannot be recalibrated or saved, or its scores would be worse.
    """
    result = recalibrate(model, samples, labels=labels)
    require_better(result)
    result.apply_to(model)
    with tempfile.TemporaryDirectory(prefix=".foldserve-fix-", dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        _save(model, written)
        written.rename(path)
    return result


def _save(model: Any, path: Path) -> None:
    try:
        keras.saving.save_model(model, path)
    except OSError:
        raise
    except Exception as error:
        raise Refused(f"the recalibrated model cannot be saved: {error_text(error)}") from error
