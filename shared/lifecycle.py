"""SIGTERM or SIGINT -> drain -> stop, for the threaded services.

The first signal asks for a drain; a second one ends the process at once, because a person who
presses Ctrl-C twice means it.
"""

import os
import signal
import socket
import threading
from types import FrameType

EXIT_INTERRUPTED = 130


class Lifecycle:
    """One per process: the first signal sets `stopping`; loops wait on it instead of sleeping."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def install(self) -> None:
        """Take over SIGTERM and SIGINT. Call from the main thread."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.stopping.is_set():
            os._exit(EXIT_INTERRUPTED)
        self.stopping.set()


def instance_name(configured: str) -> str:
    """The configured name, else one that no other live process has."""
    return configured or f"{socket.gethostname()}-{os.getpid()}"
