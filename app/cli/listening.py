"""Whether the server can listen where it is told to, found out before anything else is done."""

from __future__ import annotations

import errno
import socket

from app.cli.failures import Unable


def listening_address(host: str, port: int) -> str:
    """Return the IP address to listen on.

    The server's own workers share their port (SO_REUSEPORT), so a second server would silently take part of
    the first one's requests; a socket that does not share finds that out.

    :raises Unable: when the host is not one of this machine, the port is taken, or may not be used.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # A port that a server has just left is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Unable(
                f"port {port} of {host} is in use: end what listens there or set KEYSTEWARD_PORT"
            ) from None
        raise Unable(f"cannot listen on port {port} of {host}: {error.strerror}") from None
    return str(address[0])
