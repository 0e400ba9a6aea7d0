import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from foldserve_engine.spec import EngineKind
from tests.server.engines.support import REAL, expected, rows, run, started

MAKE = """
import sys
from pathlib import Path
from tests.bundles import dense_model, make_bundle
print(make_bundle(Path(sys.argv[1]), model=dense_model(), saved_model=True))
"""


@pytest.mark.slow
def test_a_saved_model_is_served_by_tensorflow_in_a_process_of_its_own(tmp_path: Path) -> None:
    root, before = Path(__file__).parents[3], "tensorflow" in sys.modules
    made = subprocess.run([sys.executable, "-c", MAKE, tmp_path], cwd=root, capture_output=True, text=True, check=True)
    path = Path(made.stdout.splitlines()[-1])

    async def test() -> None:
        async with started(path, command=REAL, kind=EngineKind.TENSORFLOW) as engine:
            answer = await engine.predict(rows(1, 2, 3))
            np.testing.assert_allclose(answer["scores"], expected(path, rows(1, 2, 3)), atol=1e-5)
            print(engine.report.stages, engine.report.seconds)

    run(test())
    assert ("tensorflow" in sys.modules) is before, "it is not what this process imports"
