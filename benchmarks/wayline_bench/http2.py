"""Our own load generator: unary gRPC calls as bare HTTP/2 frames over sockets.

`python -m wayline_bench.http2 HOST:PORT PATH BODIES SECONDS CONNECTIONS STREAMS` prints a `Load` as JSON. grpcio's own
client costs more than a server that does nothing, so it would measure itself. This one costs some 10 µs a call, and
walks through as many different requests as it is given.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE = 4
_FRAME_BYTES = 9
_WINDOW = 1 << 30
_SERVER_WINDOW = 65_535  # until the server says more
_PREFIX = struct.Struct(">BI")
_READ_BYTES = 1 << 18


class LoadFailed(Exception):
    """The server ended the connection or a stream. The message says how."""


@dataclass(frozen=True, slots=True)
class Load:
    """What was got: `calls` answered within `seconds`, of which `failed` carried no message."""

    calls: int
    failed: int
    seconds: float
    response_bytes: int


class Connection:
    """One HTTP/2 connection with a fixed number of calls under way at once."""

    def __init__(self, host: str, port: int, path: str, bodies: Iterator[bytes], streams: int) -> None:
        """Connect, and say hello. Nothing is asked yet."""
        self.socket = socket.create_connection((host, port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        settings = struct.pack(">HIHI", 2, 0, _INITIAL_WINDOW_SIZE, (1 << 31) - 1)  # no push; windows wide open
        self.socket.sendall(
            _PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WINDOW))
        )
        self.calls = self.failed = self.response_bytes = 0
        self._headers, self._later_headers = _request_headers(f"{host}:{port}", path)
        self._bodies = bodies
        self._streams = streams
        self._next_stream = 1
        self._open: dict[int, int] = {}  # stream to bytes of its answer
        self._window = _SERVER_WINDOW
        self._unread = 0
        self._buffer = b""
        self._waiting: deque[bytes] = deque()

    def begin(self) -> None:
        """Ask as many questions as may be under way at once."""
        self.socket.sendall(b"".join(self._ask() for _ in range(self._streams)))

    def receive(self) -> None:
        """Read what has come, and ask a new question for each answer.

        Raises:
            LoadFailed: the server ended the connection or a stream.
        """
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise LoadFailed("the server closed the connection")
        out: list[bytes] = []
        buffer, at = self._buffer + data, 0
        while len(buffer) - at >= _FRAME_BYTES:
            length = int.from_bytes(buffer[at : at + 3], "big")
            end = at + _FRAME_BYTES + length
            if end > len(buffer):
                break
            self._take(buffer[at + 3], buffer[at + 4], buffer[at + 5 : at + 9], buffer[at + _FRAME_BYTES : end], out)
            at = end
        self._buffer = buffer[at:]
        if out:
            self.socket.sendall(b"".join(out))

    def _take(self, kind: int, flags: int, number: bytes, payload: bytes, out: list[bytes]) -> None:
        stream = int.from_bytes(number, "big")
        if kind == _DATA:
            self._open[stream] += len(payload)
            self._unread += len(payload)
            if self._unread > _WINDOW // 2:
                out.append(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._unread)))
                self._unread = 0
        elif kind == _RST_STREAM:
            raise LoadFailed(f"the server reset a call with error {int.from_bytes(payload, 'big')}")
        elif kind == _GOAWAY:
            raise LoadFailed(f"the server said goodbye: {payload[8:].decode(errors='replace')}")
        elif kind == _SETTINGS and not flags & _ACK:
            out.append(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            out.append(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE and not stream:
            self._window += int.from_bytes(payload, "big")
            while self._waiting and self._window > len(self._waiting[0]):
                out.append(self._sent(self._waiting.popleft()))
        if stream and flags & _END_STREAM and kind in (_DATA, _HEADERS):
            size = self._open.pop(stream)
            self.calls += 1
            self.failed += size == 0  # a call that fails ends without a message
            self.response_bytes += size
            asked = self._ask()
            if asked:
                out.append(asked)

    def _ask(self) -> bytes:
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        body = next(self._bodies)
        self._open[stream] = 0
        headers = self._headers if stream == 1 else self._later_headers
        request = _frame(_HEADERS, _END_HEADERS, stream, headers) + _frame(_DATA, _END_STREAM, stream, body)
        if self._waiting or self._window <= len(request):
            self._waiting.append(request)
            return b""
        return self._sent(request)

    def _sent(self, request: bytes) -> bytes:
        self._window -= len(request)  # a little more than counts: only the body does
        return request


def generate(
    host: str, port: int, path: str, bodies: Sequence[bytes], *, seconds: float, connections: int, streams: int
) -> Load:
    """Ask for `seconds`, with `streams` calls under way at once on each connection.

    Raises:
        LoadFailed: the server ended a connection or a stream.
    """
    framed = [_PREFIX.pack(0, len(body)) + body for body in bodies]
    every = len(framed) // connections
    selector = selectors.DefaultSelector()
    opened = []
    for at in range(connections):
        one = Connection(host, port, path, islice(cycle(framed), at * every, None), streams)
        selector.register(one.socket, selectors.EVENT_READ, one.receive)
        opened.append(one)
    started = time.perf_counter()
    for one in opened:
        one.begin()
    while (elapsed := time.perf_counter() - started) < seconds:
        for key, _ in selector.select(0.5):
            key.data()
    for one in opened:
        one.socket.close()
    return Load(
        calls=sum(one.calls for one in opened),
        failed=sum(one.failed for one in opened),
        seconds=elapsed,
        response_bytes=sum(one.response_bytes for one in opened),
    )


def write_bodies(path: Path, bodies: Iterable[bytes]) -> None:
    """Requests for `main`, each after its length."""
    path.write_bytes(b"".join(struct.pack(">I", len(body)) + body for body in bodies))


def read_bodies(path: Path) -> list[bytes]:
    """What `write_bodies` wrote."""
    data, at, bodies = path.read_bytes(), 0, []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        bodies.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    return bodies


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _request_headers(authority: str, path: str) -> tuple[bytes, bytes]:
    """The header block of the first call, which fills the server's table, and of those after it, which refer to it."""
    post, http = b"\x83", b"\x86"
    first = (
        post
        + http
        + b"\x44"  # :path
        + _text(path)
        + b"\x41"  # :authority
        + _text(authority)
        + b"\x5f"  # content-type
        + _text("application/grpc")
        + b"\x40"
        + _text("te")
        + _text("trailers")
    )
    return first, post + http + b"\xc1\xc0\xbf\xbe"  # path, authority, content-type, te: entries 65 to 62


def _text(text: str) -> bytes:
    assert len(text) < 127, "longer texts have another form"
    return bytes((len(text),)) + text.encode()


def main() -> None:
    """Generate load, and print what was got."""
    address, path, bodies, seconds, connections, streams = sys.argv[1:]
    host, _, port = address.rpartition(":")
    load = generate(
        host,
        int(port),
        path,
        read_bodies(Path(bodies)),
        seconds=float(seconds),
        connections=int(connections),
        streams=int(streams),
    )
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
