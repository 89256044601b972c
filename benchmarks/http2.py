"""A gRPC client that costs little: one connection, calls in flight on it, bytes that were made before.

grpcio's own client takes more of a core for a call than a bare server does, so that on a small machine it would be
what is measured. This one speaks the part of HTTP/2 (RFC 9113) that closed-loop callers need: literal headers
without compression, flow control, pings, trailers; it looks at the status of every answer. It is no client for
anything else.
"""

from __future__ import annotations

import socket
import struct
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_HEADER_TABLE_SIZE, _ENABLE_PUSH, _INITIAL_WINDOW_SIZE = 1, 2, 4
_FRAME_BYTES_MAX = 16_384
_WINDOW_DEFAULT, _WINDOW_WIDE = 65_535, 2**30
# Our table for incoming headers has no room, so the server spells every header out.
_GRPC_OK = b"grpc-status\x010"
_READ_BYTES = 262_144


class CallFailed(RuntimeError):
    """A call did not end with the status OK, or the connection ended."""


def framed(message: bytes) -> bytes:
    """A message with gRPC's five bytes before it: not compressed, and its length."""
    return b"\0" + len(message).to_bytes(4, "big") + message


@dataclass
class _Outgoing:
    """What of a call is not yet sent."""

    body: memoryview
    sent: int
    window: int


class Http2Connection:
    """One connection; `begin` starts a call, `receive` says which have ended."""

    def __init__(self, address: str, path: str, metadata: Mapping[str, str]) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = _header_block(address, path, metadata)
        self._stream = -1
        self._window, self._stream_window = _WINDOW_DEFAULT, _WINDOW_DEFAULT
        self._outgoing: dict[int, _Outgoing] = {}
        self._waiting: deque[int] = deque()
        self._unread = b""
        self._unsent: list[bytes] = [
            _PREFACE,
            _frame(
                _SETTINGS,
                0,
                0,
                struct.pack("!HIHIHI", _HEADER_TABLE_SIZE, 0, _ENABLE_PUSH, 0, _INITIAL_WINDOW_SIZE, _WINDOW_WIDE),
            ),
            _frame(_WINDOW_UPDATE, 0, 0, struct.pack("!I", _WINDOW_WIDE)),
        ]

    def begin(self, body: bytes) -> int:
        """Start a call whose framed messages are `body`; its number. `flush` sends."""
        self._stream += 2
        self._unsent.append(_frame(_HEADERS, _END_HEADERS, self._stream, self._headers))
        self._outgoing[self._stream] = _Outgoing(memoryview(body), 0, self._stream_window)
        self._waiting.append(self._stream)
        return self._stream

    def flush(self) -> None:
        """Send what the windows allow."""
        for _ in range(len(self._waiting)):
            stream = self._waiting.popleft()
            if not self._send(stream):
                self._waiting.append(stream)
        if self._unsent:
            self.socket.sendall(b"".join(self._unsent))
            self._unsent.clear()

    def _send(self, stream: int) -> bool:
        """Queue a call's data as far as the windows go; whether all of it is out."""
        call = self._outgoing[stream]
        while call.sent < len(call.body):
            size = min(_FRAME_BYTES_MAX, len(call.body) - call.sent, call.window, self._window)
            if size <= 0:
                return False
            part = call.body[call.sent : call.sent + size]
            call.sent += size
            call.window -= size
            self._window -= size
            last = _END_STREAM if call.sent == len(call.body) else 0
            self._unsent.append(_frame(_DATA, last, stream, part))
        del self._outgoing[stream]
        return True

    def receive(self) -> list[int]:
        """Read what has come and answer what HTTP/2 wants answered; the calls that ended well.

        CallFailed when one ended otherwise, or the connection did.
        """
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise CallFailed("the server closed the connection")
        data = self._unread + data
        ended: list[int] = []
        at, size = 0, len(data)
        while size - at >= 9:
            length = int.from_bytes(data[at : at + 3], "big")
            if size - at - 9 < length:
                break
            kind, flags = data[at + 3], data[at + 4]
            stream = int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF
            payload = data[at + 9 : at + 9 + length]
            at += 9 + length
            if kind == _HEADERS and flags & _END_STREAM:
                if _GRPC_OK not in payload:
                    raise CallFailed(f"a call ended with {_readable(payload)}")
                ended.append(stream)
            elif kind != _DATA:
                self._control(kind, flags, stream, payload)
        self._unread = data[at:]
        return ended

    def _control(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _WINDOW_UPDATE:
            more = int.from_bytes(payload, "big") & 0x7FFFFFFF
            if stream == 0:
                self._window += more
            elif stream in self._outgoing:
                self._outgoing[stream].window += more
        elif kind == _PING and not flags & _ACK:
            self._unsent.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _SETTINGS and not flags & _ACK:
            for name, value in struct.iter_unpack("!HI", payload):
                if name == _INITIAL_WINDOW_SIZE:
                    for call in self._outgoing.values():
                        call.window += value - self._stream_window
                    self._stream_window = value
            self._unsent.append(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind in (_RST_STREAM, _GOAWAY):
            raise CallFailed(f"the server sent frame {kind}: {_readable(payload)}")

    def close(self) -> None:
        """Close the connection; calls in flight are given up."""
        self.socket.close()


def _frame(kind: int, flags: int, stream: int, payload: bytes | memoryview) -> bytes:
    return b"".join((len(payload).to_bytes(3, "big"), bytes((kind, flags)), stream.to_bytes(4, "big"), payload))


def _header_block(authority: str, path: str, metadata: Mapping[str, str]) -> bytes:
    # From HPACK's static table (RFC 7541, appendix A): 3 is `:method: POST`, 6 `:scheme: http`, 4 the name `:path`,
    # 1 the name `:authority`. A leading 0 is a literal that neither side remembers.
    block = bytes((0x83, 0x86, 0x04)) + _string(path) + bytes((0x01,)) + _string(authority)
    for name, value in {"te": "trailers", "content-type": "application/grpc", **metadata}.items():
        block += b"\0" + _string(name) + _string(value)
    if len(block) > _FRAME_BYTES_MAX:
        raise ValueError(f"headers of {len(block)} bytes do not fit one frame")
    return block


def _string(text: str) -> bytes:
    """A string literal that is not Huffman-coded, its length as an integer with a prefix of seven bits."""
    data = text.encode("ascii")
    length = len(data)
    if length < 127:
        return bytes((length,)) + data
    coded, rest = [127], length - 127
    while rest >= 128:
        coded.append(rest % 128 + 128)
        rest //= 128
    return bytes((*coded, rest)) + data


def _readable(payload: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else " " for byte in payload)[:600].strip()
