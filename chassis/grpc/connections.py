"""Ending a server so that every call it refuses ends UNAVAILABLE.

grpcio's own `server.stop` ends CANCELLED what came in and was not yet handed to a handler (gRPC core kills its
pending calls), and what a client sends before it has read the GOAWAY. Under load that was ten calls a stop; a client
that does not retry CANCELLED loses them, although nothing had happened. So we drain first, with the server still
open: new calls are refused by the chain, and a connection that has no call under way is hung up at the socket. To a
gRPC client that is UNAVAILABLE, and it looks for another process at once. `server.stop` then finds nobody there.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress

import grpc

from chassis.errors import Unavailable


class ServerEnding(Unavailable):
    """The process is about to end and begins nothing new."""

    reason = "SERVER_ENDING"


class UnderWay:
    """The calls that have begun, by the connection that brought them; none begins any more after `close()`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._closed = False
        self._by_port: Counter[int] = Counter()

    def begin(self, context: grpc.ServicerContext) -> None:
        """Count the call until its last byte is written. ServerEnding after `close()`: nothing has happened yet."""
        port = _port(context.peer())
        with self._changed:
            if self._closed:
                raise ServerEnding(
                    "this process is ending; retry with the same request_id, another one answers", retry_after_seconds=1
                )
            # grpcio calls back when the status has left and the client's side is closed, whoever ended the call.
            if context.add_callback(lambda: self._end(port)):
                self._by_port[port] += 1

    def _end(self, port: int) -> None:
        with self._changed:
            self._by_port[port] -= 1
            if not self._by_port[port]:
                del self._by_port[port]
            self._changed.notify_all()

    def close(self) -> None:
        """Begin nothing from now on."""
        with self._changed:
            self._closed = True

    def ports(self) -> frozenset[int]:
        """The clients' ports of the connections that have a call under way."""
        with self._changed:
            return frozenset(self._by_port)

    def wait(self, seconds: float) -> None:
        """Until some call ends, at most `seconds`; at once when none is under way."""
        with self._changed:
            if self._by_port:
                self._changed.wait(seconds)


def stop_listening(port: int) -> None:
    """Refuse connections from now on. gRPC core logs one line, `Failed accept4`, for the listener that is gone."""
    for one in _sockets(port, listening=True):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def hang_up(port: int, *, except_ports: Collection[int] = ()) -> None:
    """End the connections to our `port`, but for those from the clients' ports named.

    Only our side is closed (FIN): what was written before reaches the client. Two clients on two machines may have
    one port number; then both are kept for longer than need be.
    """
    for one in _sockets(port, listening=False):
        # A client that has gone meanwhile is not connected any more.
        with suppress(OSError):
            if one.getpeername()[1] not in except_ports:
                one.shutdown(socket.SHUT_WR)


def _sockets(port: int, *, listening: bool) -> Iterator[socket.socket]:
    """Copies of this process's TCP sockets whose own end is `port`: grpcio does not hand them out."""
    try:
        descriptors = os.listdir("/proc/self/fd")
    except OSError:
        return  # Not Linux: the server's own stop has to do.
    for descriptor in descriptors:
        # Other threads open and close files meanwhile; a copy is ours.
        with suppress(OSError):
            if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(descriptor))) as one:
                ours = one.family in (socket.AF_INET, socket.AF_INET6) and one.getsockname()[1] == port
                if ours and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)) == listening:
                    yield one


def _port(peer: str) -> int:
    """The port in `ipv4:127.0.0.1:40312`; 0 for what has none."""
    digits = peer.rpartition(":")[2]
    return int(digits) if digits.isdigit() else 0
