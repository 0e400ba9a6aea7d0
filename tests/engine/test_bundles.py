from pathlib import Path

import pytest

from foldserve_contract.bundle import Bundle
from tests.bundles import change_weight, dense_model, make_bundle, sequence_model, two_headed_model


@pytest.mark.parametrize("model", [None, dense_model(), sequence_model(repeat=2), two_headed_model()])
def test_the_bundles_of_the_tests_open(tmp_path: Path, model: object) -> None:
    bundle = Bundle.open(make_bundle(tmp_path, model=model))
    assert bundle.golden().rows == 8


def test_a_changed_weight_is_sealed_again(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    before = Bundle.open(path).digest
    change_weight(path)
    assert Bundle.open(path).digest != before
