"""What the services say, as a machine reads it."""

import json

from tests.fixtures import client, stack


def test_every_line_that_a_service_logs_is_one_json_object(system: stack.System) -> None:
    api = system.start_all()
    client.call(api.url, "POST", "/events", {"id": "a", "type": "t", "data": {}})
    for process in system.services:
        assert process.stop() == 0

    for process in system.services:
        lines = process.child.tail(200).splitlines()
        assert lines
        for line in lines:
            assert json.loads(line)["service"] == process.kind
