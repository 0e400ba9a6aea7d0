import pytest

from foldserve import Client, Signature, State, Status, TensorSpec, VersionStatus
from foldserve.errors import ConfigurationError, NotFound, NotReady

from .conftest import Connect
from .fake_server import ModelServer, times

SOON = [(3, 20, 0, "")]
BROKEN = [(3, 50, 9, "sample 2 deviates by 0.5"), (2, 50, 0, "")]


def test_metadata_is_the_models_signature(client: Client, server: ModelServer) -> None:
    assert client.metadata("double") == Signature(
        (TensorSpec("x", "float32", (-1, 3)),), (TensorSpec("y", "float32", (-1, 3)),)
    )
    server.models["double"][4] = times(1)
    assert client.resolve("double") == 4
    assert client.resolve("double", version=1) == 1


def test_status_lists_versions_newest_first_with_the_reason_of_a_failure(client: Client, server: ModelServer) -> None:
    server.states.append(list(reversed(BROKEN)))
    assert client.status("double") == (
        VersionStatus(3, State.END, Status.FAILED_PRECONDITION, "sample 2 deviates by 0.5"),
        VersionStatus(2, State.END, Status.OK, ""),
    )
    with pytest.raises(NotFound, match="Could not find any versions of model absent"):
        client.status("absent")


def test_waiting_ends_when_a_version_is_available(client: Client, server: ModelServer) -> None:
    server.states.extend([[], SOON, SOON])
    client.wait_ready("double")
    assert len(server.seen("GetModelStatus")) == 4


def test_not_ready_reports_the_servers_last_reply(client: Client, server: ModelServer) -> None:
    server.states.extend([BROKEN] * 50)
    with pytest.raises(NotReady, match="version 3 is END: sample 2 deviates") as caught:
        client.wait_ready("double", timeout=0.2)
    assert isinstance(caught.value, TimeoutError)


def test_without_a_model_waiting_ends_when_the_server_is_healthy(client: Client, server: ModelServer) -> None:
    client.wait_ready()
    server.health = None  # a stock TensorFlow Serving need not know the health service
    client.wait_ready()
    server.health = 2
    with pytest.raises(NotReady, match="not SERVING"):
        client.wait_ready(timeout=0.2)


def test_an_unreachable_server_is_waited_for_and_reported(connect: Connect, server: ModelServer) -> None:
    server.stop()
    with pytest.raises(NotReady, match=r"(?i)connect"):
        connect().wait_ready(timeout=0.5)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_that_is_not_positive_is_refused(client: Client, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="timeout must be above 0"):
        client.wait_ready(timeout=timeout)
