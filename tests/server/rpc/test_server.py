"""Settings and addresses of the gRPC server."""

import grpc
import numpy as np

from foldserve_server.config.transport_options import TransportOptions
from foldserve_server.rpc.server import channel_options
from tests.server.fakes import FakeEngine, serving

from .calls import listening, predict_request

PING = "grpc.http2.min_ping_interval_without_data_ms"


def test_the_operator_s_settings_replace_the_server_s_own() -> None:
    own = channel_options(TransportOptions(max_connection_age_s=300, max_concurrent_streams=7))
    assert dict(own)["grpc.max_connection_age_ms"] == 300_000 and dict(own)["grpc.max_concurrent_streams"] == 7
    given = ((PING, 90), ("grpc.max_connection_age_ms", 2000), ("grpc.optimization_target", "latency"))
    options = channel_options(TransportOptions(max_connection_age_s=300, channel_arguments=given))
    assert {*given} < {*options} and len(options) == len(dict(options)), (
        "of two values for one key gRPC takes the first"
    )


async def test_a_replaced_setting_has_its_effect() -> None:
    transport = TransportOptions(channel_arguments=(("grpc.max_send_message_length", 10),))
    async with listening(serving(FakeEngine()), transport=transport) as caller:
        code, message = await caller.failure("Predict", predict_request(x=np.zeros((3, 2), np.float32)))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in message
