"""Every form rendered against its golden file, and replies parsed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.search.metaprompts import metaprompt
from opro_local.search.metaprompts.metaprompt import MARK, View, load, missing_marks, parse
from opro_local.search.proposing import with_limit
from opro_local.types import Mistake

GOLDEN = Path(__file__).parents[1] / "golden"
FORMS = (
    "brackets",
    "tags",
    "precision",
    "continuation",
    "rewording",
    "text",
    "text_line",
    "agent_file",
    "agent_section",
    "paraphrase",
    "paraphrase_line",
    "crossover",
    "crossover_line",
    "reflection",
    "reflection_line",
    "induction",
    "induction_line",
    "paragraph",
    "shorter",
    "description",
    "description_line",
)
WORDS = {
    "heading": "## Style",
    "outline": "# Agent\n## Style",
    "place": "at the beginning of the question",
    "noun": "instruction",
    "tag": "INS",
    "subject": "grade school math",
}
EXEMPLARS = [{"input": f"{MARK}\nWhat is 2+2?", "question": "What is 2+2?", "target": "4"}]
VIEW = View(
    [("Think.", "40"), ("Let's do the math!", "78")],
    EXEMPLARS,
    "ascending",
    "95",
    "Let's do the math!",
    "At most 20 words.",
    parent="Think.\n\nIs it right?",
    other="Let's do the math!",
    mistakes=[
        Mistake("train:1", "What is 2+3?", "5", "six"),
        Mistake("train:2", "What is 3+3?", "6", ""),
    ],
    paragraph="Is it right?",
)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("scored", [True, False])
def test_forms_render_as_their_golden_files(name, scored):
    """Set OPRO_GOLDEN=write to write the files anew, then read the difference."""
    view = (
        VIEW if scored else View([(t, None) for t, _ in VIEW.shown], [], "random", "95", "Think.")
    )
    prompt = metaprompt.render(metaprompt.load(name), view, WORDS)
    path = GOLDEN / f"{name}{'' if scored else '-hidden'}.txt"
    if os.environ.get("OPRO_GOLDEN") == "write":
        path.write_text(prompt.text, "utf-8")
    assert prompt.text == path.read_text("utf-8")
    assert MARK not in prompt.text


def golden(name, text):
    """Whether a text is what its golden file says; see the test above for writing it anew."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("OPRO_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    return text == path.read_text("utf-8")


def test_a_reflection_shows_rows_that_were_right_beside_the_wrong_ones():
    view = replace(VIEW, rights=[Mistake("train:3", "What is 1+1?", "2", "2")])
    text = metaprompt.render(metaprompt.load("reflection"), view, WORDS).text
    assert golden("reflection-rights", text)


@pytest.mark.parametrize("name", ["tags", "brackets", "reflection", "induction", "shorter", "text"])
def test_chat_forms_tell_the_limit_of_a_text(name):
    form, limited = metaprompt.load(name), config(max_characters=4000)
    text = metaprompt.render(form, with_limit(limited, form, VIEW), WORDS).text
    assert "At most 20 words. It may have at most 4,000 characters, some 666 words." in text
    assert name != "shorter" or golden("shorter-limit", text)


def config(**search):
    return reading.build({"search": {"revision": 6, **search}})


@pytest.mark.parametrize(
    ("name", "search", "told"),
    [
        ("tags", {"max_characters": 900}, "at most 900 characters, some 150 words"),
        ("tags", {"max_characters": 900, "max_words": 60}, "at most 60 words and 900 characters"),
        ("tags", {}, "at most 500 characters"),
        ("rewording", {"max_characters": 100}, "at most 100 characters"),
        ("rewording", {"max_words": 9}, "at most 9 words and 500 characters"),
        ("rewording", {}, ""),  # 64 tokens are no 500 characters
        ("tags", {"mode": "opro", "max_characters": 900}, ""),
        ("tags", {"revision": 5, "max_characters": 900}, ""),
    ],
)
def test_a_limit_is_told_where_a_reply_can_be_over_it(name, search, told):
    form = metaprompt.load(name)
    shown = with_limit(config(**search), form, replace(VIEW, constraint="Be kind"))
    assert shown.constraint.startswith("Be kind") and told in shown.constraint
    assert bool(told) == (shown.constraint != "Be kind")


def test_the_answer_opening_has_its_own_words():
    words = {**WORDS, "noun": "answer starting sentence", "tag": "Start"}
    text = metaprompt.render(metaprompt.load("tags"), VIEW, words).text
    assert (
        "Generate an answer starting sentence that is different" in text
        and "</Start>" in text
        and "INS" not in text
    )


@pytest.mark.parametrize(
    ("form", "reply", "text"),
    [
        ("brackets", "Sure: [Do it.] and [more]", "Do it."),
        ("brackets", "Do it.", None),
        ("brackets", "[Do it.", None),
        ("tags", "<INS>Do it.</INS>", "Do it."),
        ("tags", "<INS>\nDo it.\n</INS> bye", "Do it."),
        ("tags", "<INS>Do it.", None),
        ("precision", "Do it.", "Do it."),
        ("precision", "Do it.</TEXT>\n\nPrecision: 3", "Do it."),
        ("continuation", " Do it.\nAccuracy: 3", "Do it."),
        ("continuation", "\n Do it.", "Do it."),
        ("rewording", "", ""),
    ],
)
def test_replies_are_parsed(form, reply, text):
    assert metaprompt.parse(metaprompt.load(form), reply, WORDS) == text


@given(st.text(), st.sampled_from(FORMS))
def test_any_reply_parses_or_not_without_failing(reply, form):
    text = metaprompt.parse(metaprompt.load(form), reply, WORDS)
    assert text is None or text == text.strip()


def test_hostile_solutions_are_shown_as_text(tmp_path):
    view = View([("{{ 7 * 7 }} {% raw %}", "1")], [], "ascending", "2", "x")
    assert (
        "{{ 7 * 7 }} {% raw %}" in metaprompt.render(metaprompt.load("brackets"), view, WORDS).text
    )


def test_own_forms_are_read_and_bad_ones_refused(tmp_path):
    good = tmp_path / "mine.toml"
    good.write_text(
        'chat = true\nmax_tokens = 9\nopen = "<a>"\nclose = "</a>"\ntemplate = "say {{ aim }}"\n'
    )
    form = metaprompt.load(str(good))
    assert metaprompt.render(form, VIEW, WORDS).text == "say 95" and form.name == "mine"
    with pytest.raises(UsageError, match="there is no form 'nope'"):
        metaprompt.load("nope")
    bad = tmp_path / "bad.toml"
    bad.write_text("chat = 1\ncolour = 2\n")
    with pytest.raises(UsageError, match="not a meta-prompt form"):
        metaprompt.load(str(bad))
    broken = tmp_path / "broken.toml"
    broken.write_text(
        'chat = true\nmax_tokens = 9\nopen = ""\nclose = "\\n"\ntemplate = "{{ nothing }}"\n'
    )
    with pytest.raises(UsageError, match="'nothing' is undefined"):
        metaprompt.render(metaprompt.load(str(broken)), VIEW, WORDS)


def test_openers_are_a_list_or_a_file_beside_the_form(tmp_path):
    form = 'chat = false\nmax_tokens = 8\nopen = ""\nclose = "\\n"\ntemplate = "x"\nopeners = '
    (tmp_path / "own.txt").write_text("\ufeffIs\n\nTell me\n", "utf-8")
    (tmp_path / "a.toml").write_text(f'\ufeff{form}"own.txt"\n', "utf-8")
    (tmp_path / "b.toml").write_text(f'{form}[" Is", "Tell me"]\n', "utf-8")
    for name in ("a", "b"):
        assert metaprompt.load(str(tmp_path / f"{name}.toml")).openers == ("Is", "Tell me")
    (tmp_path / "c.toml").write_text(f'{form}"none.txt"\n', "utf-8")
    with pytest.raises(UsageError, match=r"none\.txt"):
        metaprompt.load(str(tmp_path / "c.toml"))


@pytest.mark.parametrize(
    ("template", "chat", "begun"),
    [("asked:", False, " Is"), ('said: "', False, "Is"), ("asked:", True, "Is")],
)
def test_an_opener_is_a_word_of_its_own(template, chat, begun):
    """But not after a quotation mark, nor at the start of a chat's reply."""
    form = metaprompt.Form("own", chat, template, "", "\n", 8)
    assert metaprompt.render(form, replace(VIEW, opener="Is"), WORDS).prefill == begun
    assert metaprompt.render(form, VIEW, WORDS).prefill == ""


@pytest.mark.parametrize(
    ("opener", "reply", "text"),
    [
        ("Given", " the text, decide.", "Given the text, decide."),
        ("Given", "the text, decide.", "Given the text, decide."),
        ("Given", "Classify.", "Given Classify."),
        ("Given", "   Classify.", "Given Classify."),
        ("Given", "\t Classify.", "Given Classify."),
        ("Answer with", " 'yes' or 'no'.", "Answer with 'yes' or 'no'."),
        ("Answer with", '"yes" or "no".', 'Answer with "yes" or "no".'),
        ("In one word", ", is it good?", "In one word, is it good?"),
        ("Is", "n't it good?", "Isn't it good?"),
        ("Is", "nt it", "Is nt it"),
        ("Let", "'s read.", "Let's read."),
        ("请", "判断这条评论。", "请判断这条评论。"),
        ("Given", "5 stars", "Given 5 stars"),
        ("", "  Classify.", "Classify."),
        ("Given", "", "Given"),
    ],
)
def test_an_opener_and_its_reply_have_one_separator(opener, reply, text):
    form = metaprompt.Form("own", False, "asked:", "", "\n", 8)
    assert metaprompt.parse(form, reply, WORDS, opener) == text
    assert metaprompt.parse(form, reply, WORDS, opener, revision=2) == (opener + reply).strip()


def test_an_opener_behind_a_prefill_is_a_word_of_its_own():
    form = metaprompt.Form("own", False, "asked:", "", "\n", 8, prefill="Please")
    assert metaprompt.parse(form, "Classify.", WORDS, "read and") == "Please read and Classify."


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ('close = ""', "close: string should have at least 1 character"),
        ('max_tokens = "many"', "max_tokens: must be a whole number"),
        ('needs = "pears"', "needs: input should be '', 'pair', 'mistakes' or 'paragraphs'"),
        ("colour = 1", "colour: "),
        ('stop = "END"', "stop: must be a list"),
    ],
)
def test_a_form_with_a_wrong_setting_is_refused_by_its_name(tmp_path, changed, said):
    lines = {
        "chat": "chat = true",
        "max_tokens": "max_tokens = 20",
        "open": 'open = "<X>"',
        "close": 'close = "</X>"',
    }
    lines |= {"template": 'template = "hi"', changed.partition(" ")[0]: changed}
    (tmp_path / "own.toml").write_text("\n".join(lines.values()))
    with pytest.raises(UsageError) as caught:
        metaprompt.load(str(tmp_path / "own.toml"))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("[Say [yes] or [no].]", "Say [yes] or [no]."),
        ("Here: [Say yes.] or [Say no.]", "Say yes."),
        ("[Say [yes or no.]", None),
        ("[Say yes.", None),
    ],
)
def test_a_text_in_brackets_ends_with_the_bracket_that_belongs_to_the_first(reply, text):
    assert parse(load("brackets"), reply, {}) == text


def test_runs_of_earlier_builds_take_the_first_closing_bracket():
    assert parse(load("brackets"), "[Say [yes] or no.]", {}, revision=1) == "Say [yes"


@pytest.mark.parametrize("form", ["tags", "brackets", "text", "rewording"])
def test_what_a_reply_lacks_is_said_without_template_source(form):
    lacks = missing_marks(load(form), {"tag": "INS"})
    assert "{{" not in lacks and "{%" not in lacks
