"""What is handed to Postgres."""

from services.consumer.dispatcher import results
from tests.dispatcher import ledger


def test_whole_numbers_and_fractions_make_columns_of_one_type() -> None:
    """Psycopg refuses a list of int and float, and the type checker takes an int for a float."""
    found = [
        ledger.result(wait_seconds=0, took_ms=3),
        ledger.result(wait_seconds=0.5, took_ms=2.5),
        ledger.result(wait_seconds=5, took_ms=None),
    ]

    columns = results.columns(found)

    types = {name: {type(value).__name__ for value in values} for name, values in columns.items()}
    mixed = {name for name, kinds in types.items() if len(kinds - {"NoneType"}) > 1}
    assert mixed == set()
