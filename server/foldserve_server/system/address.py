"""Whether a port can be had, asked before anything heavy is started."""

import errno
import socket
from pathlib import Path
from typing import Any

from ..errors import CannotStart

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # `localhost` is ::1 too, also where there is no IPv6


def check_free(host: str, port: int, flag: str = "--port", instead: str = "0 for any") -> None:
    """Binds and lets go of every address the host stands for; gRPC alone is content with one of them.

    As `hold`, for a moment.
    """
    for sock in reserve(host, port, flag, instead)[1]:
        sock.close()


def reserve(host: str, port: int, flag: str = "--port", instead: str = "0 for any") -> tuple[int, list[socket.socket]]:
    """Binds every address the host stands for, so that nobody else can; other processes of this server may.

    Nothing arrives at these sockets: who is to listen binds the port again, with SO_REUSEPORT.

    Args:
        host: Where to listen.
        port: What to listen on; 0 for any free port.
        flag: What sets the port, for the message.
        instead: What else the flag may say.

    Returns:
        The port, and the sockets that hold it until they are closed.

    Raises:
        CannotStart: The port is in use, or the host is none of this machine's.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise CannotStart(f"--host {host}: {error}; give an address of this machine, such as 127.0.0.1") from error
    sockets: list[socket.socket] = []
    errors: list[OSError] = []
    for family, _, _, _, address in found:
        known = sockets[0].getsockname()[1] if sockets else port  # any free port must be the same one everywhere
        try:
            sockets.append(_bind(family, (address[0], known, *address[2:])))
        except OSError as error:
            errors.append(error)
    elsewhere = [failure for failure in errors if failure.errno in _NOT_HERE]
    if len(elsewhere) < len(errors) or len(errors) == len(found):
        for sock in sockets:
            sock.close()
        worst = next((failure for failure in errors if failure.errno not in _NOT_HERE), errors[0])
        raise CannotStart(
            f"cannot listen on {join(host, port)}: {worst.strerror};"
            f" is another server running? Choose another port with {flag}, or {instead}"
        )
    return int(sockets[0].getsockname()[1]), sockets


def _bind(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port that was just left is free
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # from here on it is refused to others,
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # except where both sides agree to share it
    except BaseException:
        sock.close()
        raise
    return sock


def check_socket(path: Path) -> None:
    """Says whether a Unix socket can be made there; one that a dead server left is in nobody's way.

    Raises:
        CannotStart: Something else is there, somebody listens, or nobody may look.
    """
    try:
        if not path.parent.is_dir():
            raise CannotStart(f"--grpc_socket_path: {path.parent} is not a directory")
        if not path.exists():
            return
        if not path.is_socket():
            raise CannotStart(f"--grpc_socket_path: {path} is there already and is not a socket")
    except OSError as error:
        raise CannotStart(f"--grpc_socket_path: {path}: {error.strerror}") from error
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise CannotStart(f"--grpc_socket_path: another server listens on {path}")


def join(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
