"""Addresses to listen on: checked and reserved before anything heavy is started."""

import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import CannotStart

_NOT_LOCAL = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # `localhost` is ::1 too, also where there is no IPv6
_ANY = ("::", "0.0.0.0")
_MAPPED = "::ffff:"  # an IPv4 address as IPv6
_Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]  # as `socket.getaddrinfo` gives


def check_free(host: str, port: int, flag: str = "--port", instead: str = "0 for any") -> None:
    """Binds and releases every address of the host, as `reserve` does; gRPC would accept a single one of them."""
    for sock in reserve(host, port, flag, instead)[1]:
        sock.close()


def reserve(host: str, port: int, flag: str = "--port", instead: str = "0 for any") -> tuple[int, list[socket.socket]]:
    """Binds every address of the host, so that only processes of this server can listen there.

    These sockets receive nothing: a process that listens binds the port again, with SO_REUSEPORT.

    Args:
        host: The host name or address to listen on.
        port: The port to listen on; 0 for any free port.
        flag: The flag that sets the port, for the message.
        instead: Another value for the flag, for the message.

    Returns:
        The port, and the sockets that reserve it until they are closed.

    Raises:
        CannotStart: The port is in use, or the host does not name this machine.
    """
    bound_port, sockets = bind_all(host, port, flag, instead)
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # from here on, other binds of the port fail,
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # except where both sides agree to share it
    return bound_port, sockets


def bind_all(host: str, port: int, flag: str = "--port", instead: str = "0 for any") -> tuple[int, list[socket.socket]]:
    """Binds every address of the host; `::` and `0.0.0.0` stand for every address, IPv4 and IPv6, as in gRPC.

    Args, Returns, Raises: See `reserve`.
    """
    # 1. every address of the name
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotStart(f"--host {host}: {error}; give an address of this machine, such as 127.0.0.1") from error
    # 2. a socket for each
    addresses = _with_every_address(resolved)
    sockets, errors = _bind_each(addresses, port)
    # 3. addresses that are not this machine's are left out, unless no other is left
    not_local = [error for error in errors if error.errno in _NOT_LOCAL]
    if len(not_local) < len(errors) or len(errors) == len(addresses):
        for sock in sockets:
            sock.close()
        worst = next((error for error in errors if error.errno not in _NOT_LOCAL), errors[0])
        raise CannotStart(
            f"cannot listen on {join(host, port)}: {worst.strerror};"
            f" is another server running? Choose another port with {flag}, or {instead}"
        )
    return int(sockets[0].getsockname()[1]), sockets


def _with_every_address(addresses: Sequence[_Address]) -> Sequence[_Address]:
    """The addresses; for any that stands for every address, a socket of both families, where there is IPv6."""
    if not any(address[4][0] in _ANY for address in addresses):
        return addresses
    port = addresses[0][4][1]
    for family, every in ((socket.AF_INET6, ("::", port, 0, 0)), (socket.AF_INET, ("0.0.0.0", port))):
        with suppress(OSError), socket.socket(family) as probe:
            probe.bind((every[0], 0))
            return [(family, socket.SOCK_STREAM, 0, "", every)]
    return addresses


def _bind_each(addresses: Iterable[_Address], port: int) -> tuple[list[socket.socket], list[OSError]]:
    """Binds the port at every address; a free port that the first socket gets is the port of all."""
    sockets: list[socket.socket] = []
    errors: list[OSError] = []
    for family, _, _, _, address in addresses:
        bound_port = sockets[0].getsockname()[1] if sockets else port
        try:
            sockets.append(_bind(family, (address[0], bound_port, *address[2:])))
        except OSError as error:
            errors.append(error)
    return sockets, errors


def _bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just released is free
        if family == socket.AF_INET6:
            takes_ipv4 = address[0] in _ANY or address[0].startswith(_MAPPED)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not takes_ipv4))
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def check_socket(path: Path) -> None:
    """Checks that a Unix socket can be created at the path; a socket that a dead server left there does not matter.

    Raises:
        CannotStart: The path holds another file, another server listens on it, or it cannot be accessed.
    """
    try:
        if not path.parent.is_dir():
            raise CannotStart(f"--grpc_socket_path: {path.parent} is not a directory")
        if not path.exists():
            return
        if not path.is_socket():
            raise CannotStart(f"--grpc_socket_path: {path} exists already and is not a socket")
    except OSError as error:
        raise CannotStart(f"--grpc_socket_path: {path}: {error.strerror}") from error
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise CannotStart(f"--grpc_socket_path: another server listens on {path}")


def join(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
