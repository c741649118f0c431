from tests.fixtures import stack


def test_a_fresh_database_has_the_schema_and_the_roles(
    database: stack.Database, topics: stack.Topics
) -> None:
    assert database.value("select count(*) from relay_shards") == 64
    with database.connect("oncely_relay") as conn:
        assert conn.execute("select current_user").fetchone() == ("oncely_relay",)
