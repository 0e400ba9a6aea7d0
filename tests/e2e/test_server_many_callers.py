"""Two hundred callers who come, leave, run out of time and ask wrongly: each gets one answer, and the right one."""

import asyncio
import random
from collections import Counter
from pathlib import Path

import grpc
import grpc.aio
import numpy as np

from foldserve_contract.bundle import ONNX
from foldserve_contract.signature import Array
from foldserve_contract.tensors import decode
from foldserve_engine.onnx.onnx_engine import OnnxEngine
from tests.bundles import conv_model, make_bundle, signature_of
from tests.server.running import METHODS, images, predict_request, running

CALLERS, CALLS, CONNECTIONS = 200, 3, 8
PREDICT = METHODS["Predict"]
Code = grpc.StatusCode


class Callers:
    """Callers at random; what became of each call is counted."""

    def __init__(self, address: str, engine: OnnxEngine) -> None:
        self.outcomes: Counter[str] = Counter()
        self._address = address
        self._engine = engine
        self._draw = random.Random(0)

    async def run(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(self._address, options=options) for _ in range(CONNECTIONS)]
        try:
            await asyncio.gather(*(self._caller(channels[number % CONNECTIONS], number) for number in range(CALLERS)))
        finally:
            for channel in channels:
                await channel.close(None)

    async def _caller(self, channel: grpc.aio.Channel, number: int) -> None:
        predict = channel.unary_unary(PREDICT.path, PREDICT.request.SerializeToString, PREDICT.response.FromString)
        for turn in range(CALLS):
            rows = images(self._draw.randrange(12), CALLS * number + turn)
            wrong = len(rows) > 0 and self._draw.random() < 0.2
            patience_s = self._draw.choice([0.001, 0.02, 60, 60])
            call = predict(predict_request(image=rows[:, :5] if wrong else rows), timeout=patience_s)
            leaves = self._draw.random() < 0.2
            if leaves:
                asyncio.get_running_loop().call_later(self._draw.uniform(0, 0.05), call.cancel)
            self.outcomes[await self._outcome(call, rows, wrong, leaves, patience_s < 60)] += 1

    async def _outcome(self, call: grpc.aio.UnaryUnaryCall, rows: Array, wrong: bool, leaves: bool, hurry: bool) -> str:
        try:
            response = await call
        except asyncio.CancelledError:
            assert leaves
            return "left"
        except grpc.aio.AioRpcError as error:
            return refusal(error, wrong, hurry)
        assert not wrong
        scores = decode(response.outputs["scores"])
        expected = self._engine.run({"image": rows})["scores"] if len(rows) else np.zeros((0, 5), np.float32)
        np.testing.assert_allclose(scores, expected, atol=1e-5)
        return "answered"


def refusal(error: grpc.aio.AioRpcError, wrong: bool, hurry: bool) -> str:
    if error.code() is Code.INVALID_ARGUMENT:
        assert wrong and "expected shape [-1, 8, 8, 3]" in (error.details() or "")
        return "told what is wrong"
    assert error.code() is Code.DEADLINE_EXCEEDED and hurry, error
    return "late"


def test_every_caller_is_answered_once_and_rightly(tmp_path: Path) -> None:
    path = make_bundle(tmp_path)
    engine = OnnxEngine.from_bytes((path / ONNX).read_bytes(), signature_of(conv_model()))
    with running(tmp_path, "--max_batch_size=16", "--threads=1", "--grace=600") as server:
        callers = Callers(server.address, engine)
        asyncio.run(callers.run())
        assert callers.outcomes.total() == CALLERS * CALLS
        assert callers.outcomes.keys() == {"answered", "left", "late", "told what is wrong"}
        assert server.predict(image=images(1))["scores"].shape == (1, 5)
        assert server.terminate() == 0  # it waits for what it has not answered: a lost job would take the grace
