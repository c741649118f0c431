"""What can go wrong, as a tree. Expected failures are instructions to whoever catches them.

OncelyError
├── ConfigurationError   a setting is wrong: all errors listed, exit 78
├── SchemaMismatch       the database has another schema version than this build needs
├── LeaseLost            another relay owns the shard now: drop it, publish nothing more of it
├── RetryLater           processing failed and may succeed later: schedule it
├── DeadLetter           no retry mends this: keep it, say why, go on
└── InjectedFault        a failpoint raised on purpose; treated like any unexpected error
"""


class OncelyError(Exception):
    """Root of every expected failure."""


class ConfigurationError(OncelyError):
    """One or more settings are missing or wrong; the message lists all of them."""


class SchemaMismatch(OncelyError):
    """The database's schema version is not the one that this build needs."""


class LeaseLost(OncelyError):
    """The shard belongs to another relay."""


class RetryLater(OncelyError):
    """Processing failed in a way that time may mend."""


class DeadLetter(OncelyError):
    """Processing failed in a way that no retry mends."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class


class InjectedFault(OncelyError):
    """Raised by a failpoint."""
