"""What is sealed opens under any of the keys, and under nothing else."""

import pytest

from shared import errors, sealing


def test_a_key_is_changed_by_putting_the_new_one_first() -> None:
    old, new = sealing.make_key(), sealing.make_key()
    sealed = sealing.Sealer.from_keys(old).seal(b"hush")

    both = sealing.Sealer.from_keys(f"{new}, {old}")

    assert both.open(sealed) == b"hush"
    assert b"hush" not in sealed
    assert sealing.Sealer.from_keys(new).open(both.seal(b"a")) == b"a"


def test_what_another_key_sealed_or_somebody_changed_stays_shut() -> None:
    sealer = sealing.Sealer.from_keys(sealing.make_key())
    sealed = sealer.seal(b"hush")

    for broken in (sealed[:-1], sealed[:20] + b"A" + sealed[21:], b"", b"\x00\xff"):
        with pytest.raises(sealing.SealBroken, match="SECRETS_KEY"):
            sealer.open(broken)
    with pytest.raises(sealing.SealBroken):
        sealing.Sealer.from_keys(sealing.make_key()).open(sealed)


@pytest.mark.parametrize("keys", ["", "x", "a" * 44, "é" * 44, f"{sealing.make_key()},"])
def test_a_bad_key_is_refused_and_not_repeated(keys: str) -> None:
    with pytest.raises(errors.ConfigurationError) as refused:
        sealing.Sealer.from_keys(keys)
    assert len(keys) < 2 or keys not in str(refused.value)
