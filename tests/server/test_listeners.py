"""Imports of the front end, addresses, and the log's format."""

import json
import logging
import socket
import subprocess
import sys

import pytest

from foldserve_server.errors import CannotStart
from foldserve_server.system.address import bind_all, check_free, join
from foldserve_server.system.log import JsonFormatter

HEAVY = {"tensorflow", "keras", "onnx", "onnxruntime", "foldserve_exporter"}


def modules_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_front_end_imports_no_engine_library() -> None:
    loaded = modules_after(
        "import foldserve_server.app, foldserve_server.engines.launcher, foldserve_server.rpc.server"
    )
    assert {"grpc", "numpy", "foldserve_contract"} <= loaded
    assert not loaded & HEAVY


def test_the_command_line_is_read_before_anything_heavy_is_imported() -> None:
    assert not modules_after("import foldserve_server.cli") & {*HEAVY, "numpy", "grpc"}


def test_a_port_is_free_until_a_server_listens_there() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=f"127.0.0.1:{port}: Address already in use"):
            check_free("127.0.0.1", port)
        with pytest.raises(CannotStart, match="Address already in use"):
            check_free("localhost", port)  # ::1 may be free
    check_free("127.0.0.1", port)


def test_a_host_other_than_this_machine_is_refused() -> None:
    with pytest.raises(CannotStart, match=r"--host no\.such\.host\.invalid"):
        check_free("no.such.host.invalid", 0)
    with pytest.raises(CannotStart, match=r"--host a\.\.b"):
        check_free("a..b", 0)


def test_every_address_of_the_machine_includes_ipv4() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CannotStart, match="Address already in use"):
            check_free("::", other.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "addresses"), [("::", ["127.0.0.1", "::1"]), ("::1", ["::1"]), ("0.0.0.0", ["127.0.0.1", "::1"])]
)
def test_the_sockets_of_a_host_are_reached_at_its_addresses(host: str, addresses: list[str]) -> None:
    port, sockets = bind_all(host, 0)
    for sock in sockets:
        sock.listen()
    for address in ("127.0.0.1", "::1"):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as caller:
            assert (caller.connect_ex((address, port)) == 0) == (address in addresses)
    for sock in sockets:
        sock.close()


def test_an_ipv6_address_is_bracketed() -> None:
    assert (join("::1", 8500), join("127.0.0.1", 8500)) == ("[::1]:8500", "127.0.0.1:8500")


def test_a_json_log_holds_one_object_a_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        record = logging.LogRecord("name", logging.ERROR, "", 0, "it %s", ("failed",), sys.exc_info())
    entry = json.loads(JsonFormatter().format(record))
    assert (entry["level"], entry["logger"], entry["message"]) == ("error", "name", "it failed")
    assert entry["time"].endswith("Z") and "ValueError: why" in entry["exception"]
