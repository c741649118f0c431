"""Real webhooks that nobody here wrote, with their natural duplicates and provoked conflicts."""

import asyncio
import os

import pytest

from benchmarks import github_webhooks, real_events
from tests.fixtures import stack


@pytest.mark.chaos
def test_github_s_webhooks_take_effect_once_each(system: stack.System) -> None:
    try:
        github_webhooks.load()
    except RuntimeError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the public payloads cannot be fetched here: {error}")
    api = system.start_all()

    report = asyncio.run(real_events.run(api.url, copies=2, seed=7))

    assert report.holds, report
    assert report.distinct == 404
    assert report.posted == 2 * 726
    assert report.conflicts > 0
