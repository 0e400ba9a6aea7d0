import os
from pathlib import Path

import pytest

from tests.bundles import dense_model, make_bundle
from tests.server.engines.fake_process import ENTERED, GATE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A version directory with the pipes of `fake_process` beside it."""
    bundle = make_bundle(tmp_path, model=dense_model())
    for pipe in (ENTERED, GATE):
        os.mkfifo(bundle.parent / pipe)
    return bundle
