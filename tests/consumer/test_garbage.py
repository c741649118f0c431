import msgspec
import uuid_utils.compat

from tests.consumer import checks, samples
from tests.fixtures import raw_records, stack
from tests.fixtures.deadlines import eventually


def test_garbage_goes_to_the_dead_letters_with_its_place_and_the_partition_goes_on(
    system: stack.System,
) -> None:
    database, publisher = system.database, samples.Publisher(system.topics)
    genuine = samples.ingested(subject="k", amount=10)
    order = samples.paid()
    samples.accept(database, [genuine, order])
    unknown_order = samples.paid()
    forged = msgspec.structs.replace(genuine, data=b'{"amount":999999}')
    forged_order = msgspec.structs.replace(
        order, data=order.data.replace(b'"amount":1250', b'"amount":9999')
    )
    headers = genuine.headers
    replayed: samples.RawHeaders = [
        (name, b"7" if name == "x-replay" else value) for name, value in headers
    ]
    sent = {
        publisher.send_raw(value, key=key, headers=each): error_class
        for error_class, value, key, each in [
            ("EmptyValue", b"", "k", headers),
            ("Tombstone", None, "k", headers),
            ("PayloadInvalid", b'{"a":"\xff"}', "k", headers),
            ("PayloadInvalid", b"not json", "k", headers),
            ("PayloadTooDeep", b"[" * 50_000 + b"]" * 50_000, "k", headers),
            ("ForgedRecord", b"[" * 40 + b"]" * 40, "k", headers),
            ("ForgedRecord", b'{"a":"' + b"x" * 900_000 + b'"}', "k", headers),
            ("HeaderMissing", genuine.data, "k", []),
            ("HeaderMissing", genuine.data, "k", [h for h in headers if h[0] != "x-event-id"]),
            ("HeaderDoubled", genuine.data, "k", [*headers, ("x-event-id", b"1")]),
            (
                "HeaderInvalid",
                genuine.data,
                "k",
                [("x-junk", b"\xff"), *headers[1:], ("ce_specversion", b"9")],
            ),
            ("HeaderInvalid", genuine.data, "k", [*headers[1:], ("ce_specversion", None)]),
            ("KeyMismatch", genuine.data, "another", headers),
            ("KeyMismatch", genuine.data, b"\xff\x00", headers),
            ("KeyMismatch", genuine.data, None, headers),
            ("ForgedRecord", forged.data, "k", headers),
            ("UnknownReplay", genuine.data, "k", replayed),
            ("UnknownEvent", unknown_order.data, unknown_order.key, unknown_order.headers),
            ("ForgedRecord", forged_order.data, order.key, order.headers),
        ]
    }
    publisher.send([genuine, order])
    system.start("consumer")
    checks.wait_processed(database, 2)
    after = publisher.send_raw(forged.data, key="k", headers=headers)
    eventually(
        lambda: checks.count(database, "dead_letters") == len(sent) + 1, what="all dead letters"
    )

    stored = {
        (topic, partition, offset): error_class
        for topic, partition, offset, error_class in database.rows(
            "select topic, kafka_partition, kafka_offset, error_class from dead_letters"
        )
    }
    assert stored == {**sent, after: "ForgedRecord"}
    assert database.value("select bool_and(error_message <> '') from dead_letters")
    assert database.value("select max(payload_bytes) from dead_letters") == 900_008
    checks.each_took_effect_once(database, [genuine, order])
    assert database.value("select amount from ledger_entries where side = 'debit'") == 1250


def test_another_id_under_an_applied_key_is_a_visible_conflict(system: stack.System) -> None:
    database, publisher = system.database, samples.Publisher(system.topics)
    order = samples.paid()
    samples.accept(database, [order])
    other = msgspec.structs.replace(
        order,
        envelope=msgspec.structs.replace(order.envelope, event_id=uuid_utils.compat.uuid7()),
    )
    publisher.send([order, other, order])
    system.start("consumer")

    eventually(lambda: checks.count(database, "dropped_records") == 2, what="two verdicts")

    verdicts = database.rows("select event_id, verdict from dropped_records order by kafka_offset")
    assert verdicts == [(other.id, "conflict"), (order.id, "duplicate")]
    checks.each_took_effect_once(database, [order])
    assert checks.count(database, "dead_letters") == 0


def test_an_ingested_event_named_like_an_order_event_books_nothing(system: stack.System) -> None:
    event = samples.ingested("order.paid", order_id="x", amount=5, currency="EUR")
    samples.accept(system.database, [event])
    samples.Publisher(system.topics).send([event])
    system.start("consumer")

    checks.wait_processed(system.database, 1)

    checks.each_took_effect_once(system.database, [event])
    assert checks.count(system.database, "ledger_entries") == 0


def test_one_bad_row_of_500_is_found_and_the_others_are_applied(system: stack.System) -> None:
    database = system.database
    good = [samples.paid() for _ in range(499)]
    bad = samples.paid(amount=0)  # the ledger's CHECK refuses it, and only Postgres knows
    samples.accept(database, [*good[:250], bad, *good[250:]])
    samples.Publisher(system.topics).send([*good[:250], bad, *good[250:]])
    consumer = system.start("consumer", BATCH_SIZE_MAX="500")

    checks.wait_processed(database, 499)
    eventually(lambda: checks.count(database, "dead_letters") == 1, what="the dead letter")

    rows = database.rows("select event_id, error_class, stage, state from dead_letters")
    assert rows == [(bad.id, "CheckViolation", "consumer", "open")]
    assert database.value("select status from events where id = %s", bad.id) == "failed"
    assert checks.count(database, "ledger_entries") == 998
    assert checks.count(database, "event_attempts", "status = 'failed'") == 1
    eventually(
        lambda: (
            database.value("select coalesce(sum(committed_offset), 0) from consumer_partitions")
            == 500
        ),
        what="the partition to go on",
    )
    assert consumer.ready()


def test_data_that_cannot_be_booked_is_a_dead_letter(system: stack.System) -> None:
    bad = samples.paid(amount="twelve")
    samples.accept(system.database, [bad])
    samples.Publisher(system.topics).send([bad])
    system.start("consumer")

    eventually(lambda: checks.count(system.database, "dead_letters") == 1, what="the dead letter")

    assert system.database.value("select error_class from dead_letters") == "Unbookable"
    assert checks.count(system.database, "processed_events") == 0


def test_a_header_whose_name_is_no_text_stops_nobody(system: stack.System) -> None:
    database, publisher = system.database, samples.Publisher(system.topics)
    genuine = samples.ingested(subject="k", amount=10)
    samples.accept(database, [genuine])
    raw_records.send(system.topics.bootstrap_servers, system.topics.events, header=b"\xff\xfe")
    publisher.send([genuine])

    system.start("consumer")

    checks.wait_processed(database, 1)
    eventually(
        lambda: database.rows("select error_class from dead_letters") == [("HeaderMissing",)],
        what="the dead letter",
    )
