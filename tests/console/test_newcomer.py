import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console import browser, newcomer, places
from tests.fixtures import stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


@pytest.fixture
def empty(built: None, system: stack.System) -> str:
    """A system of its own: nobody has sent anything."""
    system.start("dispatcher", wait=False, **places.DISPATCHER)
    return system.start_all().url


@pytest.fixture
def page(chromium: Browser, empty: str) -> Iterator[Page]:
    seen = browser.Witness(empty)
    context = browser.open_context(chromium, empty)
    opened = context.new_page()
    seen.watch(opened)
    yield opened
    context.close()
    assert seen.unexpected() == []


def test_a_newcomer_sees_an_event_its_timeline_and_a_rule_fire_within_a_minute(
    page: Page, tmp_path: Path
) -> None:
    begin = time.monotonic()

    newcomer.walk(page, lambda _: None)

    assert time.monotonic() - begin < 60
    page.goto("/console/")
    expect(page.get_by_role("list", name="Pipeline")).to_be_visible()
    # All is done: the list of first steps has gone.
    expect(page.get_by_text("A first event was accepted")).to_have_count(0, timeout=15_000)
