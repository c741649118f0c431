import psycopg
import pytest

from shared import database as db
from tests.fixtures import stack


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("select 1 / 0", db.ErrorKind.DATA),
        ("insert into relay_shards (shard) values (64)", db.ErrorKind.DATA),
        ("insert into relay_shards (shard) values (1)", db.ErrorKind.DATA),
        ("select convert_from('\\xff', 'UTF8')", db.ErrorKind.DATA),
        ("do $$ begin raise exception 'x' using errcode = '40001'; end $$", db.ErrorKind.CONFLICT),
        ("do $$ begin raise exception 'x' using errcode = '40P01'; end $$", db.ErrorKind.CONFLICT),
        (
            "select pg_terminate_backend(pg_backend_pid())",
            db.ErrorKind.CONNECTION,
        ),
        ("select nothing from nowhere", db.ErrorKind.PROGRAM),
    ],
)
def test_an_error_says_what_to_do(
    database: stack.Database, statement: str, kind: db.ErrorKind
) -> None:
    with (
        db.connect(database.url(), application_name="test") as conn,
        pytest.raises(psycopg.Error) as caught,
    ):
        conn.execute(statement.encode(), prepare=False)

    assert db.kind_of(caught.value) is kind


def test_an_absent_server_is_a_connection_error() -> None:
    with pytest.raises(psycopg.Error) as caught:
        db.connect("postgresql://nobody@127.0.0.1:1/x", application_name="test")

    assert db.kind_of(caught.value) is db.ErrorKind.CONNECTION
