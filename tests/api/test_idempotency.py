"""Idempotency-Key: one key, one effect, one answer."""

import uuid
from collections import Counter

from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client, stack


def _key() -> dict[str, str]:
    return {"Idempotency-Key": f"key-{uuid.uuid4()}"}


def test_same_key_and_body_gets_the_stored_answer(api: Api) -> None:
    key = _key()
    first = client.call(api.url, "POST", "/orders", samples.order(), headers=key)
    again = client.call(api.url, "POST", "/orders", samples.order(), headers=key)
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert "idempotent-replayed" not in first.headers


def test_same_key_and_other_body_is_422(api: Api) -> None:
    key = _key()
    client.call(api.url, "POST", "/orders", samples.order(), headers=key)
    other = client.call(api.url, "POST", "/orders", samples.order(amount=1), headers=key)
    assert other.status == 422
    assert other.body["type"] == "/problems/idempotency-key-reused"


def test_50_at_once_with_one_key_create_one_order(api: Api) -> None:
    key = _key()
    answers = client.at_once(
        50, lambda _: client.call(api.url, "POST", "/orders", samples.order(), headers=key)
    )
    assert Counter(answer.status for answer in answers) == {201: 50}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1


def test_50_at_once_over_two_apis_with_one_key_create_one_order(
    system: stack.System,
) -> None:
    urls = [system.start("api").url for _ in range(2)]
    key = _key()
    answers = client.at_once(
        50, lambda n: client.call(urls[n % 2], "POST", "/orders", samples.order(), headers=key)
    )
    assert Counter(answer.status for answer in answers) == {201: 50}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert system.database.value("select count(*) from orders") == 1
    samples.require_whole_orders(system.database)


def test_paying_again_under_the_key_repeats_the_answer(api: Api) -> None:
    key = _key()
    path = f"/orders/{samples.create_order(api.url)}/pay"
    first = client.call(api.url, "POST", path, headers=key)
    again = client.call(api.url, "POST", path, headers=key)
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert client.call(api.url, "POST", path, headers=_key()).status == 409


def test_one_key_on_two_orders_is_two_requests(api: Api) -> None:
    key = _key()
    for _ in range(2):
        path = f"/orders/{samples.create_order(api.url)}/pay"
        assert client.call(api.url, "POST", path, headers=key).status == 200


def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    key = _key()
    path = f"/orders/{samples.create_order(api.url)}"
    assert client.call(api.url, "POST", f"{path}/refund", headers=key).status == 409
    assert client.call(api.url, "POST", f"{path}/pay").status == 200
    assert client.call(api.url, "POST", f"{path}/refund", headers=key).status == 200


def test_seeding_again_under_the_key_makes_nothing(api: Api) -> None:
    key = _key()
    first = client.call(api.url, "POST", "/orders/seed?count=5", headers=key)
    again = client.call(api.url, "POST", "/orders/seed?count=5", headers=key)
    assert first.body == again.body
    other = client.call(api.url, "POST", "/orders/seed?count=6", headers=key)
    assert other.status == 422
