import pytest

from foldserve_engine.batch_sizes import buckets
from foldserve_engine.device import Device

CPU, GPU, TENSORRT = Device(), Device.parse("cuda:0"), Device.parse("tensorrt:0")


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (32, (1, 2, 4, 8, 16, 32)), (33, (1, 2, 4, 8, 16, 32, 33))],
)
@pytest.mark.parametrize("device", [GPU, TENSORRT])
def test_on_a_gpu_batches_have_few_sizes(device: Device, largest: int, sizes: tuple[int, ...]) -> None:
    assert buckets((), largest, device) == sizes


def test_on_a_cpu_any_size_is_computed_as_it_is() -> None:
    assert buckets((), 32, CPU) == ()


@pytest.mark.parametrize("device", [CPU, GPU])
def test_what_was_said_is_what_is_done(device: Device) -> None:
    assert buckets((3, 7), 7, device) == (3, 7)
