"""A sign of life from a session that is idle, so that the server may end one of which there is
none.
"""

from __future__ import annotations

import threading

import psycopg

from pgrunbook.postgres.session import Session

# A server behind a proxy does not notice that its client is gone: the proxy is there. It ends a
# session that has been idle for so long, and gives back what that had locked.
IDLE_TIMEOUT = "1min"
EVERY_S = 15.0


class Heartbeat:
    """Asks the session something, as long as it is not stopped and the session answers."""

    def __init__(self, conn: Session, every_s: float = EVERY_S) -> None:
        self._conn, self._every_s = conn, every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._conn.execute("SELECT")
            except psycopg.Error:  # who needs the session finds out
                return

    def stop(self) -> None:
        """Leave the session alone from now on, so that it can be closed."""
        self._stopped.set()
        self._thread.join()
