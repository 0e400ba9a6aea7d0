import pytest

from foldserve_engine.device import Device, DeviceKind
from foldserve_engine.errors import DeviceNotFound
from foldserve_engine.onnx_options import CPU, CUDA, TENSORRT, session_plan
from foldserve_engine.protocol import EngineOptions


def test_tf32_is_off_unless_it_is_asked_for() -> None:
    for asked, said in ((False, "0"), (True, "1")):
        plan = session_plan(EngineOptions(device=Device.parse("cuda:0"), tf32=asked))
        assert plan.providers[0].options["use_tf32"] == said


def test_kernels_that_differ_at_every_run_are_ruled_out_where_that_is_asked_for() -> None:
    assert not session_plan(EngineOptions()).deterministic
    assert session_plan(EngineOptions(deterministic=True)).deterministic


def test_a_session_does_not_spin_unless_asked() -> None:
    assert set(session_plan(EngineOptions()).config.values()) == {"0"}
    assert set(session_plan(EngineOptions(spinning=True)).config.values()) == {"1"}


def test_threads_and_optimisation_are_passed_on() -> None:
    plan = session_plan(EngineOptions(threads=3, optimise=False))
    assert (plan.intra_op_threads, plan.optimise) == (3, False)


@pytest.mark.parametrize(
    ("device", "providers"), [("cpu", [CPU]), ("cuda:1", [CUDA]), ("tensorrt:0", [TENSORRT, CUDA])]
)
def test_a_device_is_its_provider_and_never_silently_the_cpu(device: str, providers: list[str]) -> None:
    plan = session_plan(EngineOptions(device=Device.parse(device)))
    assert [provider.name for provider in plan.providers] == providers


def test_a_gpu_computes_in_full_precision_and_chooses_its_algorithms_without_a_race() -> None:
    options = EngineOptions(device=Device.parse("cuda:1"), memory_limit_bytes=1 << 30)
    chosen = session_plan(options).providers[0].options
    assert chosen["device_id"] == "1"
    assert chosen["use_tf32"] == "0"
    assert chosen["cudnn_conv_algo_search"] != "EXHAUSTIVE"
    assert chosen["gpu_mem_limit"] == str(1 << 30)


def test_names_of_devices() -> None:
    assert Device.parse("cuda") == Device(DeviceKind.CUDA, 0)
    assert str(Device.parse("tensorrt:2")) == "tensorrt:2"
    assert str(Device()) == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cpu:0", "CUDA:0", "cuda:0 "])
def test_an_unknown_device_is_an_error(name: str) -> None:
    with pytest.raises(DeviceNotFound, match="not known"):
        Device.parse(name)
