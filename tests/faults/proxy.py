"""A proxy between a run and its server: it sees each SQL command, and can stop the world at a
chosen one.

It reads the frontend/backend protocol as far as that takes, and passes on every byte as it is:
https://www.postgresql.org/docs/current/protocol-message-formats.html. On a Unix socket nobody asks
for encryption.
"""

from __future__ import annotations

import select
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PORT_FILE = ".s.PGSQL.5432"

_CANCEL_REQUEST = 80877102
_PATIENCE_S = 60.0


class Command(NamedTuple):
    """SQL as a client sent it: by Query, which may hold several statements, or by Parse, Bind and
    Execute.
    """

    sql: str
    parameters: tuple[str, ...] = ()


# The commands of one session so far: whether the last of them is the one that is waited for.
Point = Callable[[Sequence[Command]], bool]

# What to do with the session when the point is reached; the bytes are what holds the command, not
# yet sent.
Handler = Callable[["Session", bytes], None]


class Proxy:
    """Listens where a client takes it for the server, until it is closed. Each session has a thread
    of its own.
    """

    def __init__(self, server: Path) -> None:
        """`server` is the directory of the server's socket, `directory` then that of ours."""
        self.server = server
        self.directory = Path(tempfile.mkdtemp(prefix="proxy-"))
        self.cancelled = threading.Event()  # a client has asked the server to cancel a command
        self.fired = threading.Event()
        self.arrivals = 0  # how many clients have come
        self.error: BaseException | None = None
        self._refusing = False
        self._aim: tuple[Point, Handler] | None = None
        self._lock = threading.Lock()
        self._sessions: list[Session] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.directory / PORT_FILE))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def once(self, point: Point, handler: Handler) -> None:
        """Hand over the first session that reaches the point, once."""
        self._aim = (point, handler)

    def cut_all(self) -> None:
        """Cut every session, and refuse new ones from now on."""
        self._refusing = True
        for session in list(self._sessions):
            session.cut()

    def close(self) -> None:
        """Stop listening and cut what is left."""
        self.cut_all()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for session in list(self._sessions):
            session.thread.join()
        (self.directory / PORT_FILE).unlink()
        self.directory.rmdir()

    def claim(self, history: Sequence[Command]) -> Handler | None:
        """The handler, for the one session whose last command is the point; None for all others."""
        with self._lock:
            if self._aim is None or not self._aim[0](history):
                return None
            (_, handler), self._aim = self._aim, None
            return handler

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.arrivals += 1
            if self._refusing:
                client.close()
            else:
                self._sessions.append(Session(self, client))


class Session:
    """One client's connection to the server. Everything happens in a thread of its own, but anybody
    may cut it.
    """

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.backend_pid = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self._proxy = proxy
        self._commands: list[Command] = []
        self._client = _Stream(client)
        self._server = _Stream(socket.socket(socket.AF_UNIX))
        self.thread.start()

    # -- for handlers
    # ----------------------------------------------------------------------------------------

    @property
    def command(self) -> Command:
        """The last command of the session."""
        return self._commands[-1]

    def send(self, batch: bytes) -> None:
        """Send messages to the server."""
        self._server.send(batch)

    def reply(self) -> bytes:
        """What the server answers, up to its ReadyForQuery."""
        received = b""
        while True:
            for kind, message in self._server.receive():
                received += message
                self._note(kind, message)
                if kind == b"Z":
                    return received

    def deliver(self, reply: bytes) -> None:
        """Send messages to the client."""
        self._client.send(reply)

    def ask(self, sql: str) -> None:
        """Run a command of our own in the client's session; the client does not learn of it."""
        body = sql.encode() + b"\0"
        self.send(b"Q" + struct.pack("!i", len(body) + 4) + body)
        self.reply()

    def cut(self) -> None:
        """End both connections: each side sees the other one vanish."""
        self._client.close()
        self._server.close()

    # -- the thread
    # ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._server.connect(self._proxy.server / PORT_FILE)
            if self._start_up():
                self._relay()
        except (OSError, EOFError):
            pass
        except BaseException as exc:  # of a handler; the test that set it raises it
            self._proxy.error = exc
        finally:
            self._client.socket.close()
            self._server.socket.close()

    def _start_up(self) -> bool:
        """Pass on the startup message; False if it is a request to cancel, after which nothing
        comes.
        """
        packet = self._client.startup_packet()
        self._server.send(packet)
        if struct.unpack_from("!i", packet, 4)[0] != _CANCEL_REQUEST:
            return True
        with suppress(EOFError):
            self._server.receive()  # the server closes the connection when it has sent the signal
        self._proxy.cancelled.set()
        return False

    def _relay(self) -> None:
        batches = _Batches()
        while True:
            for stream in _readable(self._client, self._server):
                messages = stream.receive()
                if stream is self._server:
                    for kind, message in messages:
                        self._note(kind, message)
                    self._client.send(b"".join(message for _, message in messages))
                    continue
                for commands, batch in batches.add(messages):
                    self._pass_on(commands, batch)

    def _pass_on(self, commands: Sequence[Command], batch: bytes) -> None:
        self._commands += commands
        if commands and (handler := self._proxy.claim(self._commands)):
            try:
                handler(self, batch)
            finally:
                self._proxy.fired.set()
        else:
            self._server.send(batch)

    def _note(self, kind: bytes, message: bytes) -> None:
        if kind == b"K":
            self.backend_pid = struct.unpack_from("!i", message, 5)[0]


class _Stream:
    """A socket as a stream of messages."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_S)
        self.socket = connection
        self._buffer = b""

    def connect(self, path: Path) -> None:
        self.socket.connect(str(path))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> list[tuple[bytes, bytes]]:
        """What has arrived, as messages with their kinds; waits for the first bytes. Raises
        EOFError at the end.
        """
        self._fill()
        return list(self._messages())

    def startup_packet(self) -> bytes:
        """The first message, which has no kind."""
        while (
            len(self._buffer) < 8 or len(self._buffer) < struct.unpack_from("!i", self._buffer)[0]
        ):
            self._fill()
        packet, self._buffer = self._buffer, b""
        return packet

    def close(self) -> None:
        with suppress(OSError):
            # wakes the thread that waits for it; its thread closes it
            self.socket.shutdown(socket.SHUT_RDWR)

    def _fill(self) -> None:
        received = self.socket.recv(1 << 16)
        if not received:
            raise EOFError
        self._buffer += received

    def _messages(self) -> Iterator[tuple[bytes, bytes]]:
        while len(self._buffer) >= 5:
            end = 1 + struct.unpack_from("!i", self._buffer, 1)[0]
            if len(self._buffer) < end:
                return
            message, self._buffer = self._buffer[:end], self._buffer[end:]
            yield message[:1], message


def _readable(*streams: _Stream) -> list[_Stream]:
    ready, _, _ = select.select([stream.socket for stream in streams], [], [])
    return [stream for stream in streams if stream.socket in ready]


class _Batches:
    """Puts a client's messages together to what can be held back: what comes before a Sync, or a
    message that stands alone, such as a Query.
    """

    def __init__(self) -> None:
        self._prepared: dict[bytes, str] = {}
        self._bound = Command("")
        self._commands: list[Command] = []
        self._pending = b""

    def add(self, messages: Sequence[tuple[bytes, bytes]]) -> Iterator[tuple[list[Command], bytes]]:
        """The batches that these messages complete: the command of each, if any, and its bytes."""
        for kind, message in messages:
            self._pending += message
            self._read(kind, message[5:])
            # Parse, Bind, Describe, Execute, Close wait for what follows them
            if kind not in b"PBDEC":
                yield self._commands, self._pending
                self._commands, self._pending = [], b""

    def _read(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self._commands.append(Command(body[:-1].decode()))
        elif kind == b"P":
            name, sql, _ = body.split(b"\0", 2)
            self._prepared[name] = sql.decode()
        elif kind == b"B":
            _, name, rest = body.split(b"\0", 2)
            self._bound = Command(self._prepared.get(name, ""), tuple(_parameters(rest)))
        elif kind == b"E":
            self._commands.append(self._bound)


def _parameters(data: bytes) -> Iterator[str]:
    """The values of a Bind message, after its names: NULL and what is in binary format as they may
    read.
    """
    (formats,) = struct.unpack_from("!h", data)
    offset = 2 + 2 * formats
    (count,) = struct.unpack_from("!h", data, offset)
    offset += 2
    for _ in range(count):
        (length,) = struct.unpack_from("!i", data, offset)
        offset += 4
        yield data[offset : offset + max(length, 0)].decode(errors="replace")
        offset += max(length, 0)
