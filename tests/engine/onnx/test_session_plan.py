import pytest

from foldserve_contract.signature import TensorSpec
from foldserve_engine.device import Device, DeviceKind
from foldserve_engine.errors import DeviceNotFound
from foldserve_engine.onnx.session_plan import CPU, CUDA, TENSORRT, session_plan
from foldserve_engine.spec import EngineSpec


def test_tf32_is_off_unless_it_is_asked_for() -> None:
    for request, text in ((False, "0"), (True, "1")):
        plan = session_plan(EngineSpec(device="cuda:0", tf32=request))
        assert plan.providers[0].options["use_tf32"] == text


def test_kernels_that_differ_at_every_run_are_ruled_out_where_that_is_asked_for() -> None:
    assert not session_plan(EngineSpec()).deterministic
    assert session_plan(EngineSpec(deterministic=True)).deterministic


def test_a_session_does_not_spin_unless_asked() -> None:
    assert set(session_plan(EngineSpec()).config.values()) == {"0"}
    assert set(session_plan(EngineSpec(spinning=True)).config.values()) == {"1"}


def test_threads_and_optimisation_are_passed_on() -> None:
    plan = session_plan(EngineSpec(threads=3, optimise=False))
    assert (plan.intra_op_threads, plan.optimise) == (3, False)


@pytest.mark.parametrize(
    ("device", "providers"), [("cpu", [CPU]), ("cuda:1", [CUDA]), ("tensorrt:0", [TENSORRT, CUDA])]
)
def test_a_device_is_its_provider_and_never_silently_the_cpu(device: str, providers: list[str]) -> None:
    plan = session_plan(EngineSpec(device=device))
    assert [provider.name for provider in plan.providers] == providers


def test_a_gpu_computes_in_full_precision_and_chooses_its_algorithms_without_a_race() -> None:
    options = EngineSpec(device="cuda:1", memory_limit_bytes=1 << 30)
    chosen = session_plan(options).providers[0].options
    assert chosen["device_id"] == "1"
    assert chosen["use_tf32"] == "0"
    assert chosen["cudnn_conv_algo_search"] != "EXHAUSTIVE"
    assert chosen["gpu_mem_limit"] == str(1 << 30)


def test_graphs_are_captured_only_where_that_is_asked_for() -> None:
    options = EngineSpec(device="cuda:0")
    assert "enable_cuda_graph" not in session_plan(options).providers[0].options
    assert session_plan(options, graphs=True).providers[0].options["enable_cuda_graph"] == "1"


def test_tensorrt_is_told_to_keep_to_float32_and_to_run_nothing_it_did_not_build_itself() -> None:
    options = EngineSpec(device="tensorrt:1", memory_limit_bytes=1 << 20)
    plan = session_plan(options, graphs=True)
    tensorrt, cuda = (provider.options for provider in plan.providers)
    off = ("trt_fp16_enable", "trt_int8_enable", "trt_engine_cache_enable", "trt_timing_cache_enable")
    assert {name: tensorrt[name] for name in off} == dict.fromkeys(off, "0")
    assert (tensorrt["device_id"], tensorrt["trt_max_workspace_size"]) == ("1", str(1 << 20))
    assert cuda["use_tf32"] == "0" and cuda["gpu_mem_limit"] == str(1 << 20) and "enable_cuda_graph" not in cuda
    assert plan.environment == {"NVIDIA_TF32_OVERRIDE": "0"}


def test_tensorrt_builds_once_for_every_batch_size() -> None:
    options = EngineSpec(device="tensorrt:0", sizes=(1, 2, 6))
    inputs = (TensorSpec("image", "float32", (-1, 8, 6, 3)), TensorSpec("age", "float32", (-1,)))
    chosen = session_plan(options, inputs=inputs).providers[0].options
    assert chosen["trt_profile_min_shapes"] == "image:1x8x6x3,age:1"
    assert chosen["trt_profile_opt_shapes"] == chosen["trt_profile_max_shapes"] == "image:6x8x6x3,age:6"


@pytest.mark.parametrize(
    ("name", "shape", "sizes"), [("x", (-1, -1), (1, 2)), ("a:0", (-1, 2), (1, 2)), ("x", (-1, 2), ())]
)
def test_what_tensorrt_cannot_be_told_beforehand_it_finds_out(
    name: str, shape: tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    options = EngineSpec(device="tensorrt:0", sizes=sizes)
    plan = session_plan(options, inputs=(TensorSpec(name, "float32", shape),))
    assert not any("profile" in option for option in plan.providers[0].options)


def test_no_library_rounds_to_tf32_where_a_provider_would_let_it() -> None:
    plan = session_plan(EngineSpec(device="cuda:0"))
    assert plan.environment == {"NVIDIA_TF32_OVERRIDE": "0"}


@pytest.mark.parametrize(("device", "tf32"), [("tensorrt:0", True), ("cuda:0", True), ("cpu", False)])
def test_the_environment_is_left_alone_on_a_cpu_and_where_tf32_is_asked_for(device: str, tf32: bool) -> None:
    assert not session_plan(EngineSpec(device=device, tf32=tf32)).environment


def test_nodes_that_stay_on_the_cpu_are_recorded_on_a_gpu_alone() -> None:
    key = "session.record_ep_graph_assignment_info"
    assert session_plan(EngineSpec(device="cuda:0")).config[key] == "1"
    assert key not in session_plan(EngineSpec()).config


def test_names_of_devices() -> None:
    assert Device.parse("cuda") == Device(DeviceKind.CUDA, 0)
    assert str(Device.parse("tensorrt:2")) == "tensorrt:2"
    assert str(Device()) == "cpu"


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "cpu:0", "CUDA:0", "cuda:0 "])
def test_an_unknown_device_is_an_error(name: str) -> None:
    with pytest.raises(DeviceNotFound, match="not known"):
        Device.parse(name)
