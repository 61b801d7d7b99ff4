"""The Model Board in a real Chromium: on a desk and on a phone, by day and by night, by keyboard and screen reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import Browser, chromium
from listening import site
from monitoring.boarded import HTML, board, register

from tollgate.monitoring import board_page

if TYPE_CHECKING:
    from conftest import Night

__all__ = ["board"]
PHONE, DESK = 390, 1280
POLICY = "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'unsafe-inline'\">"
# Of each text that is seen, how far its colour is from what lies behind it (WCAG 2.2, contrast minimum); the faintest.
CONTRAST = """(() => {
  const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
    .reduce((sum, c, place) => sum + c * [.2126, .7152, .0722][place], 0);
  const behind = at => { for (; at; at = at.parentElement) {
    const found = rgb(getComputedStyle(at).backgroundColor); if (found.length < 4 || found[3] > 0) return found; }
    return [255, 255, 255]; };
  const found = [...document.body.querySelectorAll('*')]
    .filter(at => [...at.childNodes].some(child => child.nodeType == 3 && child.data.trim()))
    .map(at => { const style = getComputedStyle(at), svg = at instanceof SVGElement;
      const [a, b] = [light(rgb(svg ? style.fill : style.color)), light(behind(at))].sort((x, y) => y - x);
      return [(a + .05) / (b + .05), at.textContent.trim().slice(0, 40)]; });
  return found.sort((x, y) => x[0] - y[0])[0]; })()"""
FOCUSED = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture
def page(board: Night, tmp_path: Path) -> str:
    """The address of a Board under the policy that Airflow serves it with."""
    path = tmp_path / "board.html"
    path.write_text(board_page("consumer").replace("<head>", f"<head>{POLICY}"), encoding="utf-8")
    return path.as_uri()


def test_the_board_is_read_at_a_desk_and_on_a_phone_by_day_and_by_night(browser: Browser, page: str) -> None:
    browser.said.clear()
    for width in (DESK, PHONE):
        backgrounds = set()
        for dark in (False, True):
            browser.show(page, width, dark=dark)
            assert browser.run("document.documentElement.scrollWidth") == width, "it scrolls sideways"
            assert browser.run("(box => box.scrollWidth <= box.clientWidth && box.scrollHeight <= box.clientHeight)("
                               "document.querySelector('[aria-labelledby=kinds] .scroll'))"), "evidence is cut off"
            ratio, text = browser.run(CONTRAST)
            assert ratio >= 4.5, f"{text} is faint"
            backgrounds.add(browser.run("getComputedStyle(document.body).backgroundColor"))
            judgement = browser.run("document.querySelector('.sentence').getBoundingClientRect().bottom")
            assert judgement < 400, "the judgement is not on the first screen"
        assert len(backgrounds) == 2
    assert browser.said == [], "the page asks for what its policy forbids"


def test_html_in_a_books_name_in_a_comment_and_in_a_loans_id_is_shown_as_it_is(browser: Browser, page: str) -> None:
    browser.show(page, DESK)
    assert browser.run("document.querySelector('h1').innerText") == f"Loans {HTML}"
    assert browser.run("document.scripts.length") == 0
    assert f"loan {HTML} went bad" in browser.run("document.body.innerText")
    assert HTML in browser.run("document.title")


def test_a_screen_reader_is_told_what_each_picture_shows_and_has_its_numbers_beside_it(browser: Browser,
                                                                                      page: str) -> None:
    browser.show(page, DESK)
    roles = browser.roles()
    pictures = [name for role, name in roles if role == "image"]
    assert pictures == [name for role, name in roles if role == "heading" and name in pictures] and len(pictures) == 10
    assert all(pictures)
    described = browser.run("[...document.querySelectorAll('figure svg')].map(svg => document.getElementById("
                            "svg.getAttribute('aria-describedby')).innerText.length)")
    assert all(length > 20 for length in described)
    assert browser.run("[...document.querySelectorAll('figure')].every(f => f.querySelectorAll('td').length)")
    assert not [name for role, name in roles if role == "link" and not name]
    assert browser.run("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"
                       " == document.querySelectorAll('[id]').length"), "an id stands twice"


def test_the_keyboard_goes_through_the_page_from_top_to_bottom_and_into_every_table(browser: Browser,
                                                                                    page: str) -> None:
    browser.show(page, DESK)
    reached, places = [], []
    for _ in range(browser.run("document.querySelectorAll('a, summary, [tabindex]').length")):
        browser.press_tab()
        reached.append(browser.run(FOCUSED))
        places.append(browser.run("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        if reached[-1] == "rollback_model":
            break
    assert reached[0] == "To the judgement"
    assert places == sorted(places)
    assert {"consumer", "Model card", "The numbers of Drift (PSI) by feature and month", "Alerts under way",
            "Last decisions", "rollback_model"} <= set(reached)
    browser.show(page, DESK)
    browser.press_tab()
    assert browser.run("getComputedStyle(document.activeElement).clipPath") == "none", "focus is not seen"


def test_mlflow_opens_in_a_tab_of_its_own_and_airflows_pages_in_the_boards_place(
        browser: Browser, board: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    register("3", trained_in="train_weekly__consumer/a run")
    pages: dict[str, str] = {}
    with site(pages) as airflow, site({}) as mlflow:
        monkeypatch.setenv("TOLLGATE_MLFLOW_UI", mlflow)
        pages["/tollgate/consumer"] = board_page("consumer").replace("<head>", f"<head>{POLICY}")
        browser.show(f"{airflow}/tollgate/consumer", DESK)
        browser.click("a[href*='/versions/3']")
        browser.wait_for_tab(f"{mlflow}/#/models/tollgate-consumer/versions/3")
        assert browser.run("location.pathname") == "/tollgate/consumer", "the Board is gone"
        browser.click("a[href$='a%20run']")
        browser.wait_for_tab(f"{airflow}/dags/train_weekly__consumer/runs/a%20run")
