"""Swagger UI in a real browser: sign in both ways, run a statement, and no rule of the page's policy is broken."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Running

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is a dev dependency")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")

FLAGS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
MASKED = re.compile(r'"\*\*\*@[a-z.]+"')


class Page:
    """/docs in a fresh browser profile, and everything it complained about."""

    def __init__(self, page: "playwright.Page", url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(f"{request.url}: {request.failure}"))
        page.on("request", lambda request: self._asked(request.url, url))
        page.goto(f"{url}/docs")
        page.locator("#operations-agents-query_sql").wait_for()

    def _heard(self, said: "playwright.ConsoleMessage") -> None:
        if said.type in {"error", "warning"}:
            self.complaints.append(said.text)

    def _asked(self, what: str, ours: str) -> None:
        if not what.startswith((f"{ours}/", "data:", "blob:")):
            self.strangers.append(what)

    def open_authorization(self) -> None:
        self.page.locator(".auth-wrapper .authorize").first.click()
        self.page.locator(".modal-ux").wait_for()

    def run_query(self) -> str:
        """What the page shows when somebody opens query_sql and runs it as it is filled in."""
        operation = self.page.locator("#operations-agents-query_sql")
        operation.locator("button.opblock-summary-control").click()
        operation.locator("button.execute").click()
        answer = operation.locator(".live-responses-table")
        answer.locator(".response-col_description pre").first.wait_for()
        answer.scroll_into_view_if_needed()
        return answer.inner_text()


@pytest.fixture
def docs(shop: Running) -> Iterator[Page]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            context = browser.new_context(viewport={"width": 1280, "height": 1600})
            context.set_default_timeout(30_000)
            yield Page(context.new_page(), shop.url)
        finally:
            browser.close()


def assert_masked_and_quiet(docs: Page, shown: str, tmp_path: Path) -> None:
    docs.page.screenshot(path=tmp_path / "answer.png")
    assert len(MASKED.findall(shown)) == 5, shown
    assert '"status": "completed"' in shown
    assert docs.complaints == []
    assert docs.strangers == []


def test_a_pasted_token_shows_masked_rows(shop: Running, docs: Page, tmp_path: Path) -> None:
    docs.open_authorization()
    bearer = docs.page.locator(".auth-container").filter(has=docs.page.locator("#auth-bearer-value"))
    bearer.locator("input").fill(shop.token("ana"))
    bearer.locator("button.authorize").click()
    docs.page.locator(".modal-ux button.close-modal").click()
    shown = docs.run_query()
    assert_masked_and_quiet(docs, shown, tmp_path)


def test_who_signs_in_by_choosing_a_person_sees_masked_rows(shop: Running, docs: Page, tmp_path: Path) -> None:
    docs.open_authorization()
    docs.page.screenshot(path=tmp_path / "authorize.png")
    openid = docs.page.locator(".auth-container").filter(has_text="OpenID Connect URL")
    with docs.page.expect_popup() as opened:
        openid.locator("button.authorize").click()
    popup = opened.value
    popup.locator("button[value=ana]").wait_for()
    popup.screenshot(path=tmp_path / "choice.png")
    popup.locator("button[value=ana]").click()
    openid.locator("button", has_text="Logout").wait_for()
    docs.page.screenshot(path=tmp_path / "signed_in.png")
    docs.page.locator(".modal-ux button.close-modal").click()
    shown = docs.run_query()
    assert_masked_and_quiet(docs, shown, tmp_path)
