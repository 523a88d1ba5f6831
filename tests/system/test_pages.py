"""The pages in a real browser, served by a real process: nothing broken, nothing fetched elsewhere, nothing too wide."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import sync_playwright

from clearing.dashboard.pages import REFRESH_S
from protocol.decisions import DECISION_DENIED, DECISION_INSUFFICIENT_FUNDS
from protocol.tap import MEDIUM_BANK_CARD, MEDIUM_QR_TICKET
from tests.builders import CITY, NOW_S, Counter, Device, make_token

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, BrowserContext, Page, Request

DAYS = tuple(f"2024-05-{day}" for day in range(15, 22))
# Cash rides on each bus, by day.
_CASH = (13, 12, 12, 10, 9, 9, 7)
PAGES = (
    "/",
    "/exceptions",
    "/closes",
    f"/closes/{CITY}/{DAYS[0]}",
    "/share",
    "/?day=2024-05-01",
    f"/rides?day={DAYS[0]}",
    "/breaks",
    f"/balance?from={DAYS[0]}&to={DAYS[-1]}",
    f"/parties?from={DAYS[0]}&to={DAYS[-1]}",
    f"/charges?day={DAYS[0]}",
    f"/pay/{CITY}/A-101",
)
LANGUAGES = ("kk", "ru", "en")
WIDTHS = (390, 1280)
_DAY_S = 86_400
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Service:
    """`jolaqy serve` on a fresh database, its clock in a file."""

    def __init__(self, home: Path) -> None:
        self._clock_file = home / "clock"
        self.set_clock(NOW_S)
        environment = {**os.environ, "JOLAQY_HOME": str(home)}
        environment.pop("JOLAQY_DATABASE_URL", None)
        with (home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clearing", "serve", "--port", "0", "--clock-file", str(self._clock_file)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), (home / "log").read_text()
        self.url = line.split()[-1]

    def set_clock(self, now_s: int) -> None:
        # In place: the running service has the file mapped.
        with self._clock_file.open("r+b" if self._clock_file.exists() else "wb") as file:
            file.write((now_s * 1000).to_bytes(8, "little"))

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        assert self._process.stdout is not None
        self._process.stdout.close()


class DatedDevice(Device):
    """A validator on a day of its own choice.

    Attributes:
        at_s: when the next tap is; each comes a second after the one before.
        first_rider: number of the first of its riders: a code that passes on two buses is one ride.
    """

    at_s = NOW_S
    first_rider = 0

    def record(self, **fields: Any) -> bytes:  # noqa: ANN401 - a tap has fields of many types
        self.at_s += 1
        return super().record(**{"tapped_at_s": self.at_s} | fields)


def ride_for_days(service: Service) -> None:
    """Two buses over all days, each with less cash than the one before; all but the last day are closed, one of them twice."""
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        counter = Counter(client)
        buses = [DatedDevice(seed=1), DatedDevice(seed=2)]
        buses[1].first_rider = 500
        for bus, vehicle in zip(buses, ("A-101", "A-107"), strict=True):
            counter.enrol(bus, vehicle)
        for index in range(len(DAYS)):
            service.set_clock(NOW_S + index * _DAY_S)
            for bus in buses:
                counter.send(bus, bus.message(_rides_of_a_day(bus, index)))
            if index > 0:
                _close(client, DAYS[index - 1])
        late = buses[0].record(tapped_at_s=NOW_S - 30)
        counter.send(buses[0], buses[0].message([late]))
        _close(client, DAYS[0])
        for path, asked in (("/v1/payouts", {"last_day": DAYS[-2]}), ("/v1/reconciliations", {"day": DAYS[-2]})):
            answer = client.post(path, json={"city": CITY} | asked)
            assert answer.is_success, answer.text


def _rides_of_a_day(bus: DatedDevice, index: int) -> list[bytes]:
    bus.at_s = NOW_S + index * _DAY_S - 600
    records = [bus.record() for _ in range(_CASH[index])]
    for card in range(9 + index):
        records += bus.card_ride(card, counter=index)
    for medium, count in ((MEDIUM_BANK_CARD, 6 + index), (MEDIUM_QR_TICKET, 5)):
        for number in range(count):
            token = make_token(1000 * medium + bus.first_rider + number)
            records.append(
                bus.record(medium=medium, token=token, token_key_version=1, counter=index, fare_minor=10_000)
            )
    return [*records, bus.refusal(DECISION_INSUFFICIENT_FUNDS), bus.refusal(DECISION_DENIED)]


def _close(client: httpx.Client, day: str) -> None:
    answer = client.post("/v1/closes", json={"city": CITY, "day": day})
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("pages"))
    try:
        ride_for_days(service)
        yield service
    finally:
        service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next((found for name in _CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("Chromium is not installed: apt-get install chromium fonts-dejavu-core")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_QUIET)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page as a reader has it, and everything that went wrong while it was drawn.

    Attributes:
        troubles: what the console said, requests that failed or went elsewhere.
    """

    context: BrowserContext
    page: Page
    troubles: list[str] = field(default_factory=list)

    def watch(self, url: str) -> None:
        self.page.on("console", lambda message: self._note(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self._note(f"error: {error}"))
        self.page.on("requestfailed", self._note_failed)
        self.page.on("request", lambda request: self._note_elsewhere(request.url, url))

    def _note(self, trouble: str) -> None:
        self.troubles.append(trouble)

    def _note_failed(self, request: Request) -> None:
        # The browser itself gives up what it still fetches for a page that it leaves.
        if request.failure != "net::ERR_ABORTED":
            self._note(f"failed: {request.url}: {request.failure}")

    def _note_elsewhere(self, asked: str, url: str) -> None:
        if urlsplit(asked).scheme != "data" and urlsplit(asked).netloc != urlsplit(url).netloc:
            self._note(f"elsewhere: {asked}")

    def too_wide_px(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def open_browser(browser: Browser, service: Service, language: str = "en", width: int = 1280) -> Visit:
    context = browser.new_context(locale=language, viewport={"width": width, "height": 900})
    found = Visit(context, context.new_page())
    found.watch(service.url)
    return found


def visit(browser: Browser, service: Service, path: str, language: str = "en", width: int = 1280) -> Visit:
    found = open_browser(browser, service, language, width)
    found.page.goto(service.url + path)
    return found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_are_drawn_whole_in_every_language_and_width(
    browser: Browser, service: Service, language: str, width: int
) -> None:
    found = open_browser(browser, service, language, width)
    with found.context:
        for path in PAGES:
            found.page.goto(service.url + path)
            assert found.page.locator("html").get_attribute("lang") == language
            assert found.page.locator("h1").count() == 1
            assert found.too_wide_px() <= 0, path
            assert found.troubles == [], path


def test_the_chart_has_a_line_for_each_definition_and_a_point_for_each_day(browser: Browser, service: Service) -> None:
    found = visit(browser, service, "/share")
    with found.context:
        chart = found.page.locator("#chart svg")
        box = chart.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) > 200
        lines = chart.locator("path[stroke-width='2.5']").all()
        assert [str(line.get_attribute("d")).count("L") for line in lines] == [len(DAYS) - 1] * 2
        found.page.mouse.move(box["x"] + box["width"] - 150, box["y"] + box["height"] / 2)
        chart.get_by_text("By trips 82.05%").wait_for()
        assert found.troubles == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_that_is_not_there_says_so_in_the_readers_language(
    browser: Browser, service: Service, language: str
) -> None:
    found = visit(browser, service, "/nowhere", language, 390)
    with found.context:
        assert found.page.locator("html").get_attribute("lang") == language
        assert "404" in found.page.locator("main").inner_text()
        assert found.too_wide_px() <= 0


def test_the_day_refreshes_itself_and_says_when_it_cannot(browser: Browser, service: Service) -> None:
    found = visit(browser, service, "/")
    with found.context:
        page = found.page
        page.clock.install()
        page.reload()
        page.evaluate("document.querySelector('#day h1').textContent = 'old'")
        with page.expect_response(service.url + "/?"):
            page.clock.run_for(REFRESH_S * 1000)
        page.locator("#day h1", has_text="Almaty").wait_for()
        assert not page.locator("#offline").is_visible()
        assert found.troubles == []
        page.route("**/*", lambda route: route.abort())
        page.clock.run_for(REFRESH_S * 1000)
        page.locator("#offline").wait_for(state="visible")


def test_a_reader_at_the_keyboard_can_skip_to_the_content(browser: Browser, service: Service) -> None:
    found = visit(browser, service, "/share")
    with found.context:
        found.page.keyboard.press("Tab")
        found.page.keyboard.press("Enter")
        assert found.page.evaluate("document.activeElement.id") == "content"


def test_a_language_that_was_chosen_is_kept(browser: Browser, service: Service) -> None:
    found = visit(browser, service, "/closes", "en")
    with found.context:
        found.page.locator("a[hreflang=ru]").click()
        found.page.locator("nav a[href='/share']").click()
        assert found.page.locator("html").get_attribute("lang") == "ru"
