"""A sign of life from the session that holds a run's lock, which is idle for hours: a session that
gives none is ended by the server.
"""

from __future__ import annotations

import threading

import psycopg

from pgrunbook.postgres.session import Session

# A server behind a proxy does not notice that its client is gone, as the proxy is still there. So
# it is to end a session that has been idle for so long, with its locks: idle_session_timeout,
# https://www.postgresql.org/docs/current/runtime-config-client.html
IDLE_TIMEOUT = "1min"
EVERY_S = 15.0  # seconds: three of them may be late


class Heartbeat:
    """Sends a query to the session now and then, until it is stopped or the session is lost.

    By a thread: the main one may wait for a statement in another session for hours. psycopg lets
    one thread at a time use a session.
    """

    def __init__(self, conn: Session, every_s: float = EVERY_S) -> None:
        self._conn, self._every_s = conn, every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._conn.execute("SELECT")
            except psycopg.Error:  # whoever needs the session next is told
                return

    def stop(self) -> None:
        """Leave the session alone from now on, so that it can be closed."""
        self._stopped.set()
        self._thread.join()
