"""Every error that a client can meet, in one table: its status, its title, and what it explains."""

import msgspec


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: what `/problems/{slug}` says."""

    status: int
    title: str
    explanation: str


KINDS: dict[str, Kind] = {
    "invalid-request": Kind(
        status=422,
        title="The request says something that is not allowed",
        explanation=(
            "The JSON can be read, but a field is missing, unknown, of the wrong type or out of "
            "range. `errors[].pointer` names the field and `errors[].detail` what it must be."
        ),
    ),
    "malformed-json": Kind(
        status=400,
        title="The body is not JSON that can be trusted",
        explanation=(
            "The body is empty, not UTF-8, not JSON, nested too deeply, has too many members, "
            "names a member twice, or holds a NUL character or a number that would change on its "
            "way."
        ),
    ),
    "malformed-request": Kind(
        status=400,
        title="The request cannot be read",
        explanation=("The request line, a header or the body's length breaks the rules of HTTP."),
    ),
    "unsupported-media-type": Kind(
        status=415,
        title="The content type is not taken here",
        explanation=(
            "Send `Content-Type: application/json` in UTF-8 without content encoding. Events may "
            "also be `application/cloudevents+json`, batches of them "
            "`application/cloudevents-batch+json`."
        ),
    ),
    "body-too-large": Kind(
        status=413,
        title="The body is too large",
        explanation=(
            "A body may have 256 KiB, POST /events/batch 1 MiB, unless the operator set other "
            "limits."
        ),
    ),
    "head-too-large": Kind(
        status=431,
        title="The request has too many or too large headers",
        explanation=(
            "The whole head may have 32 KiB and 64 headers, unless the operator set other limits."
        ),
    ),
    "target-too-long": Kind(
        status=414,
        title="The address is too long",
        explanation="Path and query may have 8,000 characters.",
    ),
    "unauthenticated": Kind(
        status=401,
        title="A valid API key is needed",
        explanation=(
            "Send `Authorization: Bearer onc_...` once, with a key that is in force: not unknown, "
            "revoked or expired. Who has the scope `admin` makes keys with POST /keys or `oncely "
            "keys create`; the first one is made with the operator's ADMIN_API_KEY."
        ),
    ),
    "scope-missing": Kind(
        status=403,
        title="The API key has not the scope for this",
        explanation=(
            "`scope` names what is missing. A key's scopes never change: ask for another key."
        ),
    ),
    "key-exists": Kind(
        status=409,
        title="A key has this name already",
        explanation=(
            "The audit log tells keys apart by their names, so two in force cannot share one. "
            "Choose another name, or revoke that key first, also when its answer was lost."
        ),
    ),
    "too-many-keys": Kind(
        status=409,
        title="There are too many API keys",
        explanation="Revoke keys that nobody needs; expired ones count until they are revoked.",
    ),
    "not-found": Kind(
        status=404,
        title="There is nothing here",
        explanation="No route has this path, or nothing is stored under this id.",
    ),
    "method-not-allowed": Kind(
        status=405,
        title="The method does not fit the path",
        explanation="The `Allow` header names the methods that fit.",
    ),
    "upgrade-required": Kind(
        status=426,
        title="This is a WebSocket",
        explanation=(
            "GET /ws is answered to an upgrade only (RFC 6455). Its frames are JSON and stand in "
            "/openapi.json as LiveServerFrame and LiveSubscribe."
        ),
    ),
    "order-exists": Kind(
        status=409,
        title="An order has this id already",
        explanation=(
            "The id that the request chose belongs to a stored order. A retry of the same "
            "creation needs the `Idempotency-Key` of the first try: then the stored answer comes "
            "back."
        ),
    ),
    "order-state": Kind(
        status=409,
        title="The order's state does not allow this",
        explanation=(
            "created can be paid or cancelled, paid can be refunded. `state` names the present one."
        ),
    ),
    "event-id-conflict": Kind(
        status=409,
        title="An event with this id has another payload",
        explanation=(
            "`source` and `id` name one event for ever. The second payload is kept in the event's "
            "receipts and not processed. Send it under its own id if it is another event."
        ),
    ),
    "idempotency-key-reused": Kind(
        status=422,
        title="This Idempotency-Key belongs to another request",
        explanation=("A key names one request with one body. Use a new key for a new request."),
    ),
    "source-reserved": Kind(
        status=422,
        title="This source is reserved",
        explanation=("`oncely:orders` is the source of the events that order commands write."),
    ),
    "data-schema-violation": Kind(
        status=422,
        title="The event's data breaks the schema of its type",
        explanation=(
            "`GET /event-types/{type}` shows the schema. `errors[].pointer` names the place and "
            "`errors[].detail` what it must be, for at most 20 places. The event is not stored; "
            "send it again under the same id when it is mended."
        ),
    ),
    "data-schema-unreadable": Kind(
        status=500,
        title="The schema of the event's type cannot be read",
        explanation=(
            "It was saved by another build of the service, and this one cannot use it. Save it "
            "again with `PUT /event-types/{type}`; until then the type's events are refused."
        ),
    ),
    "too-many-event-types": Kind(
        status=409,
        title="There are too many event types with settings",
        explanation=(
            "A type without settings needs no entry and has the defaults. Delete entries that say "
            "nothing else."
        ),
    ),
    "dead-letter-state": Kind(
        status=409,
        title="The dead letter's state does not allow this",
        explanation=(
            "Only an open dead letter can be redriven or discarded. `state` names the present one."
        ),
    ),
    "rule-exists": Kind(
        status=409,
        title="A rule has this id already",
        explanation=(
            "The id that the request chose belongs to a stored rule with another content. The same "
            "creation again answers 200 with the stored rule; change a rule by PUT or PATCH."
        ),
    ),
    "rule-archived": Kind(
        status=409,
        title="The rule is archived",
        explanation=(
            "An archived rule is kept with its history, is not evaluated and cannot be changed. "
            "POST /rules/{id}/restore takes it back."
        ),
    ),
    "rule-version-state": Kind(
        status=409,
        title="The version's state does not allow this",
        explanation=(
            "A version goes draft, shadow, published, retired; steps may be left out, and a "
            "retired one may be published again. `state` names the present one."
        ),
    ),
    "stale-version": Kind(
        status=412,
        title="It was changed since you read it",
        explanation=(
            "`If-Match` names another revision than the present one, which is in `revision`. Read "
            "it again, put your change on top of what you find, and send that with its ETag."
        ),
    ),
    "too-many-rules": Kind(
        status=409,
        title="There are too many rules",
        explanation=(
            "The number of rules, of versions of one rule, or of live versions with one event type "
            "is at its limit. Archive or retire what nobody needs, or ask the operator to raise "
            "RULES_MAX, RULE_VERSIONS_MAX or RULES_PER_TYPE_MAX."
        ),
    ),
    "target-exists": Kind(
        status=409,
        title="A target has this name already",
        explanation=(
            "Rules name targets, so a name belongs to one target that is not archived. `target_id` "
            "is the other one's id."
        ),
    ),
    "target-archived": Kind(
        status=409,
        title="The target is archived",
        explanation=(
            "An archived target is kept with its history, gets nothing more and cannot be changed. "
            "Its name is free: make a new target."
        ),
    ),
    "target-disabled": Kind(
        status=409,
        title="The delivery's target takes nothing",
        explanation=(
            "A disabled target gets nothing until POST /targets/{id}/enable: then retry the "
            "delivery. An archived one never gets anything again: let the rule name another "
            'target, then `POST /events/{id}/replay {"effects": "force", "reason": ...}`, which '
            "sends all deliveries of the event once more. Without force the delivery that is there "
            "stands in the way."
        ),
    ),
    "too-many-targets": Kind(
        status=409,
        title="There are too many targets",
        explanation="Archive those that nobody needs, or ask the operator to raise TARGETS_MAX.",
    ),
    "too-many-secrets": Kind(
        status=409,
        title="The target has too many live secrets",
        explanation=(
            "At most five sign at a time. Wait until an older one expires "
            "(`secrets[].expires_at`), or rotate with `overlap_seconds` 0, which ends the present "
            "one at once."
        ),
    ),
    "secrets-key-missing": Kind(
        status=503,
        title="Secrets cannot be stored",
        explanation=(
            "Secrets and header values of targets are stored encrypted only, and the service has "
            "no key. The operator sets SECRETS_KEY (or SECRETS_KEY_FILE), the same for api and "
            "dispatcher: 32 random bytes in URL-safe base64."
        ),
    ),
    "delivery-state": Kind(
        status=409,
        title="The delivery's state does not allow this",
        explanation=(
            "A delivery that failed, is unknown, was skipped or is pending can be sent again, and "
            "only an unknown one can be resolved. `state` names the present one. One that was "
            "skipped without anything to send (it could not be rendered, or its target was never "
            "found) needs the cause mended, then `POST /events/{id}/replay "
            '{"effects": "force", "reason": ...}`.'
        ),
    ),
    "backtest-state": Kind(
        status=409,
        title="The backtest is over",
        explanation=(
            "Only a backtest that waits or runs can be cancelled. `state` names the present one."
        ),
    ),
    "event-not-finished": Kind(
        status=409,
        title="The event is still under way",
        explanation=(
            "Only a processed or failed event can be replayed; `state` names the present one. Of "
            "two replays at once the second one meets this: wait until the first is over."
        ),
    ),
    "dead-letter-open": Kind(
        status=409,
        title="A dead letter of the event is open",
        explanation=(
            "The event failed and its dead letter (`dead_letter_id`) waits for somebody. A replay "
            "with effects none cannot close it; any other would be overtaken by later events of "
            "its key that wait behind it. Redrive the letter, which keeps their order, or discard "
            "it first."
        ),
    ),
    "replay-state": Kind(
        status=409,
        title="The bulk replay's state does not allow this",
        explanation=(
            "A queued or running one can be paused, a paused one resumed, and each of these "
            "cancelled or given another rate. `state` names the present one."
        ),
    ),
    "payload-expired": Kind(
        status=409,
        title="The event's data is not kept any more",
        explanation=(
            "The retention of its event type has emptied the payload: what a rule would say of it "
            "cannot be reconstructed, and its deliveries cannot be sent again. Backtests count "
            "such events as not_reconstructed."
        ),
    ),
    "origin-not-allowed": Kind(
        status=403,
        title="Browsers may not write from this origin",
        explanation=(
            "The request came from a web page of another origin. The operator can allow one "
            "origin with CORS_ORIGIN."
        ),
    ),
    "queue-full": Kind(
        status=503,
        title="Too many requests are waiting",
        explanation=(
            "The request was not begun and nothing of it is stored. Try again after `Retry-After`."
        ),
    ),
    "database-away": Kind(
        status=503,
        title="The database cannot be reached",
        explanation="Nothing of the request is stored. Try again after `Retry-After`.",
    ),
    "contended": Kind(
        status=503,
        title="Others change the same rows at this moment",
        explanation=(
            "The request was tried more than once and each time gave way to others. Nothing of it "
            "is stored. Try again after `Retry-After`."
        ),
    ),
    "outcome-unknown": Kind(
        status=503,
        title="It is not known whether the request took effect",
        explanation=(
            "The connection was lost, or time ran out, while the commit was under way. Send the "
            "same request again: with its `Idempotency-Key`, its order id or its event id it "
            "takes effect once. A request that has none of them may take effect twice: look first "
            "whether it did, for a replay with GET /events/{id}/replays or GET /replays."
        ),
    ),
    "deadline": Kind(
        status=503,
        title="The request took too long",
        explanation=(
            "The answer was not ready within the request's time. A read can be tried again as it "
            "is."
        ),
    ),
    "body-too-slow": Kind(
        status=408,
        title="The body did not arrive in time",
        explanation="Nothing of the request is stored.",
    ),
    "refused-by-database": Kind(
        status=422,
        title="The database refuses a value",
        explanation=(
            "A value passed the checks of the api but not those of the schema. `constraint` names "
            "the check. Nothing of the request is stored."
        ),
    ),
    "internal-error": Kind(
        status=500,
        title="The service made a mistake",
        explanation=(
            "It is in the service's log under the request's trace id. A retry with the same "
            "`Idempotency-Key`, order id or event id is safe."
        ),
    ),
}
