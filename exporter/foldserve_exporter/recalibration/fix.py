"""The model file that `diagnose-model --fix` writes."""

import tempfile
from pathlib import Path
from typing import Any

import keras

from foldserve_contract.signature import Array, Arrays

from ..errors import Refused
from .recalibrate import RecalibrationResult, recalibrate, require_better


def write_fixed(model: Any, samples: Path | str, labels: Array | Arrays | None, path: Path) -> RecalibrationResult:
    """Recalibrates a model that was loaded for this, and saves it under a new name; it appears whole or not at all.

    Raises:
        Refused: The model cannot be recalibrated, labels say that it would be worse, or it cannot be saved.
    """
    done = recalibrate(model, samples, labels=labels)
    require_better(done)
    done.apply_to(model)
    with tempfile.TemporaryDirectory(prefix=".foldserve-fix-", dir=path.parent) as scratch:
        written = Path(scratch) / path.name
        _save(model, written)
        written.rename(path)
    return done


def _save(model: Any, path: Path) -> None:
    try:
        keras.saving.save_model(model, path)
    except OSError:
        raise
    except Exception as error:
        raise Refused(f"the recalibrated model cannot be saved: {error}") from error
