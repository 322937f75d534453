"""The page of the microscope: as text, and in a real browser where one is installed."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace

import pytest
from browser import CHROMIUM, Browser
from rich.console import Console

from textmdp.agents.microscope.colours import show_credit
from textmdp.agents.microscope.examine import examine
from textmdp.agents.microscope.page import page, write_page
from textmdp.agents.microscope.settings import Settings
from textmdp.agents.rollouts.scripted import RandomAgent

HOSTILE = '</script><script>document.title="hacked"</script><img src=x onerror=alert(1)>\u202e'


@pytest.fixture(scope="module")
def credit():
    settings = Settings(group_size=4, samples=8, seed=3)
    return examine(RandomAgent(0), "TextUmbrella-v0", {"length": 3}, [0, 1], settings, name="random")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, credit, tmp_path):
    browser.media()
    browser.resize(1280, 900)
    browser.open(write_page(credit, tmp_path / "credit.html"))
    return browser


def texts(browser, selector):
    return browser.run(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")


def selected(browser):
    return browser.run("document.querySelector('#detail h3').textContent")


def test_the_page_names_nothing_from_elsewhere(credit):
    text = page(credit)
    assert not re.search(r"(src|href)=[\"'](?!data:)", text)
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])
    assert len(data["episodes"]) == len(credit.episodes)


def test_the_terminal_shows_the_same_words_and_numbers(credit):
    stream = io.StringIO()
    show_credit(
        credit, ["exact", "rloo"], Console(file=stream, force_terminal=True, color_system="truecolor", width=90)
    )
    out = stream.getvalue()
    assert "\x1b[1;38;2;0;0;0;48;2;86;160;211mtake" in out  # the best of all: the fullest blue
    assert "\x1b[1;4;38;2;0;0;0;48;2;232;126;48mleave" in out  # the worst: vermilion, underlined
    assert "+0.500" in out
    assert "left out: remax" in out
    with pytest.raises(ValueError, match="no estimator 'remax' here: the agent has no greedy"):
        show_credit(credit, ["remax"], Console(file=stream))
    with pytest.raises(ValueError, match="no estimator 'nonsense' here: there are exact, branches"):
        show_credit(credit, ["nonsense"], Console(file=stream))


def test_it_opens_on_the_token_that_mattered_most(opened, credit):
    assert opened.errors() == []
    assert [url for url in opened.requests() if not url.startswith(("file:", "data:"))] == []
    first = credit.episodes[0].tokens[0]
    assert selected(opened) == f"«{first.text}»"
    assert opened.run("document.getElementById('verdict').textContent") == credit.episodes[0].verdict
    assert opened.run("document.querySelectorAll('.panel').length") == 2
    stars = "document.querySelector('.panel[data-estimator=exact] .token .star').parentElement.dataset.token"
    assert opened.run(stars) == "0"
    signs = opened.run(
        "[...document.querySelectorAll('.panel[data-estimator=exact] .token')].map((e) => e.dataset.sign)"
    )
    assert signs == ["1" if first.advantages["exact"] > 0 else "-1", "0", "0", "0"]


def test_hovering_shows_a_token_and_a_click_holds_it(opened, credit):
    tokens = credit.episodes[0].tokens
    opened.hover(".panel .token[data-token='2']")
    assert selected(opened) == f"«{tokens[2].text}»"
    detail = opened.run("document.getElementById('detail').textContent")
    for word in ("token 3 of 4, turn 3", "50 %", "−0.693", "0.693 nats", "What if the policy had written"):
        assert word in detail
    opened.click(".panel .token[data-token='3']")
    opened.hover(".panel .token[data-token='1']")
    assert "token 4 of 4, turn 4; held" in opened.run("document.getElementById('detail').textContent")
    opened.press("Escape")
    opened.hover(".panel .token[data-token='0']")
    assert "token 1 of 4" in opened.run("document.getElementById('detail').textContent")


def test_estimators_switch_and_stand_side_by_side(opened, credit):
    for side, name in (("left", "vine"), ("right", "gae λ=1")):
        opened.run(
            f"(() => {{ const s = document.getElementById('{side}'); s.value = {json.dumps(name)};"
            " s.dispatchEvent(new Event('change')); })()"
        )
    assert texts(opened, ".panel h3") == ["vine", "gae λ=1"]
    labels = opened.run(
        "[...document.querySelectorAll('.panel[data-estimator=\"gae λ=1\"] .token')].map((e) => e.ariaLabel)"
    )
    for label, token in zip(labels, credit.episodes[0].tokens, strict=True):
        size = abs(token.advantages["gae λ=1"])
        assert f"advantage {'−' if token.advantages['gae λ=1'] < 0 else '+'}{size:g}" in label or size == 0
    assert "sum of advantages, vine" in texts(opened, "#ledger th")


def test_the_keyboard_does_everything(opened, credit):
    opened.press("ArrowRight")
    opened.press("ArrowRight")
    assert "token 3 of 4" in opened.run("document.getElementById('detail').textContent")
    assert opened.run("document.activeElement.dataset.token") == "2"
    opened.press("ArrowLeft")
    assert "token 2 of 4" in opened.run("document.getElementById('detail').textContent")
    opened.press("]")
    assert texts(opened, ".panel h3")[0] == "branches"
    opened.press("[")
    opened.press(",")
    assert texts(opened, ".panel h3") == ["exact", "reinforce-running"]
    opened.press("2")
    assert opened.run("document.getElementById('verdict').textContent") == credit.episodes[1].verdict
    assert opened.run("document.querySelector('#episodes [aria-pressed=true]').textContent") == credit.episodes[1].title


def test_what_if_shows_the_branches_of_another_token(opened, credit):
    first = credit.episodes[0].tokens[0]
    other = next(one for one in first.alternatives if not one.chosen)
    branch = "document.querySelector('.branch').textContent"
    assert f"«{other.text}»: 8 branches return" in opened.run(branch)
    assert opened.run("document.querySelectorAll('.branch .dot').length") == 8
    number = [one.chosen for one in first.alternatives].index(True)
    opened.click(f"button[data-choice='{number}']")
    assert f"«{first.text}»: 8 branches return" in opened.run(branch)
    story = "".join(text for _, text in first.alternatives[number].continuation)
    assert opened.run("document.querySelector('.branch .transcript').textContent") == story


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_it_fits_the_screen_and_targets_are_large(opened, width):
    opened.resize(width, 800, mobile=width < 500)
    assert opened.run("document.documentElement.scrollWidth <= innerWidth")
    heights = opened.run("[...document.querySelectorAll('.panel .token')].map((e) => e.getBoundingClientRect().height)")
    assert min(heights) >= 40
    assert opened.screenshot().startswith(b"\x89PNG")


def test_it_prints_all_numbers_without_controls(opened):
    assert opened.pdf().startswith(b"%PDF")  # runs the handler that opens the table
    opened.media("print")
    assert opened.run("getComputedStyle(document.getElementById('controls')).display") == "none"
    assert opened.run("document.getElementById('all').open")
    assert opened.run("document.querySelectorAll('#table tbody tr').length") == 4


def contrast(a, b):
    def luminance(colour):
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in colour)]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_on_the_fullest_colours_is_readable(opened, scheme):
    opened.media(prefers_color_scheme=scheme)
    for selector in (".sample[data-sign='1'] .text", ".sample[data-sign='-1'] .text"):
        colours = opened.run(
            f"[getComputedStyle(document.querySelector({json.dumps(selector)})).backgroundColor,"
            " getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        (*hue, alpha), ink, paper = ([float(x) for x in re.findall(r"[\d.]+", colour)] for colour in colours)
        mixed = [alpha * h + (1 - alpha) * p for h, p in zip(hue, paper, strict=True)]
        assert contrast(mixed, ink) >= 4.5


def test_nothing_that_a_model_wrote_is_read_as_markup(browser, credit, tmp_path):
    episode = credit.episodes[0]
    token = replace(episode.tokens[0], text=HOSTILE)
    hostile = replace(
        episode,
        tokens=(token, *episode.tokens[1:]),
        pieces=(HOSTILE, *episode.pieces[1:]),
        verdict=HOSTILE,
        title=HOSTILE,
    )
    browser.open(write_page(replace(credit, episodes=(hostile,), agent=HOSTILE), tmp_path / "hostile.html"))
    assert browser.errors() == []
    assert browser.run("document.title") == "TextUmbrella-v0 · credit microscope"
    assert browser.run("document.images.length") == 0
    assert "onerror" in browser.run("document.querySelector('.panel .environment').textContent")
    assert "\u202e" not in browser.run("document.body.textContent")
