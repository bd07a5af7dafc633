"""A line between a client and a server, by TCP: it delays, cuts and falls silent."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Self

SERVER_SOCKET = ".s.PGSQL.5432"


class Line:
    """Listens on a port of 127.0.0.1 and passes every byte to the server's socket and back, until
    it is closed.

    `round_trip_s` is added to each question and its answer, a half to each way. It may be changed
    at any time.
    """

    def __init__(self, server: Path, round_trip_s: float = 0.0) -> None:
        """`server` is the directory of the server's Unix socket."""
        self.round_trip_s = round_trip_s
        self.opened = 0  # how many clients have come
        self._server = server
        self._speaks = threading.Event()
        self._speaks.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        """The line, closed at the end of the `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, database: str, user: str = "postgres") -> str:
        """How to reach a database over this line."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def fall_silent(self) -> None:
        """Pass nothing on from now on, and say nothing: as behind a firewall that forgot us.
        Clients still connect.
        """
        self._speaks.clear()

    def speak(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._speaks.set()

    def cut(self) -> None:
        """End every connection: each side sees the other one vanish. New ones are taken."""
        sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Take no more clients, and cut what is left."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self._speaks.set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.opened += 1
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self._server / SERVER_SOCKET))
            except OSError:  # the server is down: whoever asks sees that
                client.close()
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            for way in ((client, server), (server, client)):
                _Way(self, *way)

    def wait_until_speaking(self) -> None:
        """Return as soon as bytes may pass."""
        self._speaks.wait()


class _Way:
    """One direction: a thread takes the bytes, and another passes each on when its time has
    come.
    """

    def __init__(self, line: Line, source: socket.socket, sink: socket.socket) -> None:
        self._line, self._source, self._sink = line, source, sink
        self._arrived: deque[tuple[float, bytes]] = deque()
        self._news = threading.Semaphore(0)
        for target in (self._take, self._pass_on):
            threading.Thread(target=target, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                data = self._source.recv(1 << 16)
            except OSError:
                data = b""
            self._arrived.append((time.monotonic() + self._line.round_trip_s / 2, data))
            self._news.release()
            if not data:
                return

    def _pass_on(self) -> None:
        while True:
            self._news.acquire()
            due, data = self._arrived.popleft()
            time.sleep(max(0.0, due - time.monotonic()))
            self._line.wait_until_speaking()
            with suppress(OSError):
                if data:
                    self._sink.sendall(data)
                    continue
                self._sink.shutdown(socket.SHUT_RDWR)
                self._source.shutdown(socket.SHUT_RDWR)
            return
