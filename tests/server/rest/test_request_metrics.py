"""Metrics of requests over HTTP, counted as by TensorFlow Serving."""

from tests.server.fakes import FakeEngine, serving

from .calls import MAX_BYTES, listening


async def test_requests_are_counted_by_verb_and_model() -> None:
    table = serving(FakeEngine())
    async with listening(table) as caller:
        await caller.post("/v1/models/m:predict", {"instances": [[1, 2]]})
        await caller.post("/v1/models/m/versions/1:PREDICT", {"instances": [[1, 2]]})
        await caller.get("/v1/models/m")
        await caller.post("/v1/models/m:predict", b"{")
        await caller.post("/v1/models/m:predict", b" " * (MAX_BYTES + 1))
        await caller.post("/v1/models/made-up:predict", {"instances": [[1, 2]]})
        await caller.get("/v1/models")
        await caller.post("/v1/nonsense", {})
        await caller.get("/page/state")
        tensor = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2]}
        await caller.post("/v2/models/m/infer", {"inputs": [tensor]})
        await caller.get("/v2/models/m")
    table = table
    totals = {key: histogram.total for key, histogram in table.metric_counters.latency.items()}
    assert totals == {("m", "predict", "REST"): 2, ("m", "", "REST"): 1, ("m", "infer", "REST"): 1}, "not the page"
    assert table.metric_counters.requests == {
        ("m", "OK"): 4,
        ("m", "INVALID_ARGUMENT"): 1,
        ("m", "RESOURCE_EXHAUSTED"): 1,
        ("unknown", "NOT_FOUND"): 1,
        ("", "INVALID_ARGUMENT"): 2,
    }
