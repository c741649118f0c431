"""One real system with something on every screen, one browser, and a page that is watched."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from cli.stack import console
from tests.console import browser, places
from tests.fixtures import sink, stack

type Open = Callable[..., Page]
"""Receives an address below /console, and size, dark; returns the page there."""


@pytest.fixture(scope="session")
def built() -> None:
    """dist/ as the sources are now."""
    if console.main([]) != 0:
        pytest.skip("the console could not be built: see above")


@pytest.fixture(scope="session")
def chromium(built: None) -> Iterator[Browser]:
    path = browser.find()
    if path is None:
        pytest.skip(browser.MISSING)
    with sync_playwright() as playwright:
        opened = browser.launch(playwright, path)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def receiver() -> Iterator[sink.Sink]:
    with sink.Sink() as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_system(
    built: None, servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[stack.System]:
    """Api, relay, consumer and dispatcher for all tests of this folder."""
    with ExitStack() as cleanup:
        database = cleanup.enter_context(stack.fresh_database(servers.postgres))
        system = stack.System(
            database=database,
            topics=stack.fresh_topics(servers),
            log_dir=tmp_path_factory.mktemp("console"),
        )
        cleanup.callback(system.stop)
        system.start("dispatcher", wait=False, FAULTS_ENABLED="1", **places.DISPATCHER)
        system.start_all(FAULTS_ENABLED="1")
        yield system


@pytest.fixture(scope="session")
def api(shared_system: stack.System) -> str:
    return shared_system.services[-1].url


@pytest.fixture(scope="session")
def filled(api: str, receiver: sink.Sink) -> places.Places:
    return places.fill(api, receiver)


@pytest.fixture
def witness(api: str) -> Iterator[browser.Witness]:
    """Fails the test for whatever a page did that it may not."""
    seen = browser.Witness(api)
    yield seen
    assert seen.unexpected() == []


@pytest.fixture
def open_page(chromium: Browser, api: str, witness: browser.Witness) -> Iterator[Open]:
    with ExitStack() as cleanup:

        def open_one(address: str, **options: Any) -> Page:
            context = browser.open_context(chromium, api, **options)
            cleanup.callback(context.close)
            page = context.new_page()
            witness.watch(page)
            page.goto(f"/console{address}")
            return page

        yield open_one
