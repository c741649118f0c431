"""What must be true of every screen: it is drawn, it fits, and everybody can use it."""

from typing import Any

from playwright.sync_api import Page, expect

from cli.stack import console

AXE = console.FOLDER / "node_modules" / "axe-core" / "axe.min.js"
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What is being made anew is dimmed for that moment, as a disabled control may be.
_RUN = """async (tags) => (await axe.run(
  {include: [["html"]], exclude: [["[aria-busy=true]"]]}, {runOnly: {type: "tag", values: tags}}))
  .violations.map(({id, help, nodes}) => ({id, help, nodes: nodes.slice(0, 3).map(
    ({html, failureSummary}) => `${html.slice(0, 200)} ${failureSummary}`)}))"""


def wait_until_drawn(page: Page) -> None:
    """A heading is there, nothing is on its way, and nothing failed."""
    expect(page.get_by_role("heading").first).to_be_visible()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def assert_drawn(page: Page) -> None:
    wait_until_drawn(page)
    failures = page.get_by_role("alert").all_inner_texts()
    assert failures == []


def assert_fits(page: Page) -> None:
    """The page itself never scrolls sideways; a table or code may, within itself."""
    width, room = page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert width <= room, f"{width} px wide on a screen of {room}: {_widest(page)}"


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds against WCAG 2.2 AA."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(_RUN, _TAGS)


def _widest(page: Page) -> list[str]:
    return page.evaluate(
        """() => [...document.querySelectorAll("main *, header *")]
          .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
          .slice(0, 5).map((one) => one.outerHTML.slice(0, 160))"""
    )
