"""Templates within limits: what they give, and one line for each that asks for too much."""

from __future__ import annotations

import time

import bombs
import pytest

from opro_local.errors import UsageError
from opro_local.programs import template as module
from opro_local.programs.template import Unrendered, render_all
from opro_local.search.metaprompts import metaprompt
from opro_local.search.metaprompts.metaprompt import View


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 1)


def test_each_row_is_rendered_in_order():
    rows = [{"a": str(number), "b": [1, "\ud800"]} for number in range(2500)]
    assert render_all("{{ a }}", rows) == [row["a"] for row in rows]
    assert render_all("{{ a }}{{ b[0] }}\n", rows) == [row["a"] + "1\n" for row in rows]
    assert render_all("{{ b[1] | up }}", rows[:1], filters={"up": str.upper}) == ["\ud800"]
    assert render_all("{% if a %}\nx\n{% endif %}\n", rows[:1], trims=True) == ["x\n"]


@pytest.mark.parametrize(
    "source, row, words",
    [
        ("{{ b }}", 0, "'b' is undefined"),
        ("{{ (a == '3') and 1 / 0 }}", 3, "division by zero"),
        ("{{ a.x.y }}", 0, "has no attribute 'x'"),
        ("{% include 'x' %}", 0, "no loader"),
        ("{{ a.__class__.__mro__ }}", 0, "access to attribute '__class__'"),
        ("{{ a", None, "unexpected end"),
        ("{% x %}", None, "unknown tag 'x'"),
    ],
)
def test_what_does_not_render_is_said_with_its_row(source, row, words):
    with pytest.raises(Unrendered, match=words) as caught:
        render_all(source, [{"a": str(number)} for number in range(9)])
    assert caught.value.row == row


@pytest.mark.parametrize("name", bombs.QUICK)
def test_what_takes_too_much_is_one_line(quick, name):
    begun = time.monotonic()
    with pytest.raises(Unrendered) as caught:
        render_all(bombs.TEMPLATES[name], [{}])
    assert len(str(caught.value).splitlines()) == 1 and time.monotonic() - begun < 60


@pytest.mark.long
@pytest.mark.parametrize("name", bombs.TEMPLATES)
def test_everything_that_takes_too_much_is_one_line(name):
    test_what_takes_too_much_is_one_line(None, name)


def form(path, template, close="</T>"):
    path.write_text(
        f"chat = true\ntemplate = '''{template}'''\nopen = \"<T>\"\nclose = '''{close}'''\nmax_tokens = 8\n"
    )
    return metaprompt.load(str(path))


VIEW = View([("a", "50")], (), "ascending", "60", "a")


def test_a_users_form_is_rendered_within_limits_and_a_shipped_one_in_this_process(
    tmp_path, quick, monkeypatch
):
    own = form(
        tmp_path / "own.toml", "{% for text, score in shown %}{{ text }}={{ score }}{% endfor %}"
    )
    assert metaprompt.render(own, VIEW, {}).text == "a=50"
    assert metaprompt.parse(own, "<T>b</T>", {}) == "b"
    bomb = form(tmp_path / "bomb.toml", bombs.TEMPLATES["product"])
    with pytest.raises(UsageError, match=r"form 'bomb': rendering it takes more than 256 MiB"):
        metaprompt.render(bomb, VIEW, {})
    late = form(tmp_path / "late.toml", "x", close=bombs.TEMPLATES["product"])
    with pytest.raises(UsageError, match=r"form 'late': rendering it takes"):
        metaprompt.parse(late, "<T>b", {})
    with pytest.raises(UsageError, match=r"form 'zero': division by zero"):
        metaprompt.render(form(tmp_path / "zero.toml", "{{ 1 / (best | length - 1) }}"), VIEW, {})
    monkeypatch.setattr(metaprompt, "render_all", None)
    assert "a" in metaprompt.render(metaprompt.load("brackets"), VIEW, {"task": "t"}).text


@pytest.mark.parametrize("text", ["a = " + "[" * 9999, "a.b = " * 9, "template = 1", "\x00"])
def test_a_form_that_is_no_form_is_one_line(tmp_path, text):
    (tmp_path / "f.toml").write_text(text)
    with pytest.raises(UsageError, match="not a meta-prompt form") as caught:
        metaprompt.load(str(tmp_path / "f.toml"))
    assert len(str(caught.value).splitlines()) == 1
