"""Hears of commits and ends the loop's sleep. Nothing depends on it: the poll is the truth."""

import threading

from services.relay.queries import outbox
from shared import database, telemetry

_LISTEN_SECONDS = 1.0
_RECONNECT_SECONDS = 0.2
_RECONNECT_SECONDS_MAX = 5.0

_log = telemetry.logger(__name__)


class Wakeup:
    """An own connection that listens, and an event that the loop waits on."""

    def __init__(self, dsn: str, *, instance: str) -> None:
        self._dsn = dsn
        self._instance = instance
        self._heard = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen_forever, name="wakeup", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._heard.set()
        self._thread.join(timeout=2 * _LISTEN_SECONDS)

    def sleep(self, seconds: float) -> bool:
        """Wait for a notification, at most so long; True when one came."""
        heard = self._heard.wait(seconds)
        self._heard.clear()
        return heard

    def wake(self) -> None:
        """End the sleep from inside the process."""
        self._heard.set()

    def _listen_forever(self) -> None:
        pause = _RECONNECT_SECONDS
        while not self._closed.is_set():
            try:
                self._listen()
                pause = _RECONNECT_SECONDS
            except database.Error:
                # The loop has its own connection and says it when the database is away.
                _log.debug("wakeup connection lost")
                self._closed.wait(pause)
                pause = min(pause * 2, _RECONNECT_SECONDS_MAX)

    def _listen(self) -> None:
        name = f"oncely-relay-wakeup {self._instance}"
        with database.connect(self._dsn, application_name=name, autocommit=True) as conn:
            outbox.listen(conn)
            self._heard.set()  # what was committed while nobody listened
            while not self._closed.is_set():
                for _ in conn.notifies(timeout=_LISTEN_SECONDS, stop_after=1):
                    self._heard.set()
