"""Encryption of secrets at rest under SECRETS_KEY: Fernet (AES-128-CBC and HMAC-SHA256). The first
key seals and every key opens, so a key is changed by putting the new one before the old one.
"""

from typing import Self

from cryptography import fernet

from shared import errors

HINT = (
    'each key is 32 bytes in URL-safe base64, e.g. from python3 -c "import base64, os; '
    'print(base64.urlsafe_b64encode(os.urandom(32)).decode())"'
)


class SealBroken(errors.OncelyError):
    """What was sealed cannot be opened: another key sealed it, or it was changed."""


class Sealer:
    """Seals and opens. Holds keys, so it is never shown."""

    __slots__ = ("_keys",)

    def __init__(self, keys: fernet.MultiFernet) -> None:
        self._keys = keys

    @classmethod
    def from_keys(cls, keys: str) -> Self:
        """Read `key,older key`. Raises ConfigurationError, which never repeats a key."""
        names = [key.strip() for key in keys.split(",")]
        try:
            return cls(fernet.MultiFernet([fernet.Fernet(key) for key in names]))
        except ValueError:
            message = f"SECRETS_KEY holds a key that cannot be used: {HINT}"
            raise errors.ConfigurationError(message) from None

    def seal(self, value: bytes) -> bytes:
        return self._keys.encrypt(value)

    def open(self, sealed: bytes) -> bytes:
        """Raises SealBroken."""
        try:
            return self._keys.decrypt(sealed)
        except fernet.InvalidToken:
            message = (
                "a stored secret cannot be opened by SECRETS_KEY: put the key that sealed it "
                "behind the present one, as new,old"
            )
            raise SealBroken(message) from None


def make_key() -> str:
    return fernet.Fernet.generate_key().decode()
