"""Texts that every solution must hold: when one counts as held, and what the optimizer is told."""

from __future__ import annotations

import unicodedata

import pytest
from pydantic import ValidationError

from opro_local.config.search import SearchSettings
from opro_local.errors import UsageError
from opro_local.search.metaprompts.metaprompt import FORMS, View, load, render, reply_constraint
from opro_local.search.required import check_form, lacking, only_in, restored, told, without

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Café {größe}") for form in ("NFC", "NFD"))
HUNDRED = tuple(f"{{{{field_{number}}}}}" for number in range(100))
WORDS = {"noun": "text", "tag": "INS", "place": "", "subject": "", "heading": "H", "outline": "H"}


def search(*required, **others):
    return SearchSettings(required=required, **others)


@pytest.mark.parametrize(
    ("required", "text", "missing"),
    [
        # placeholders of several kinds
        (["{{ticket}}"], "Answer {{ticket}} now.", []),
        (["{{ticket}}"], "Answer {{ ticket }} now.", ["{{ticket}}"]),
        (["{{ticket}}"], "Answer {ticket} now.", ["{{ticket}}"]),
        (["{ticket}"], "Answer {{ticket}} now.", ["{ticket}"]),
        (["{ticket}"], "Answer {{ticket}} or {ticket}.", []),
        (["{ticket}"], '{{"text": {ticket}}}', []),
        (["$ticket"], "Answer $tickets.", ["$ticket"]),
        (["$ticket"], "Answer $ticket.", []),
        (["<ticket>"], "Answer <<ticket>>.", ["<ticket>"]),
        (["%(ticket)s"], "Answer %(ticket)s.", []),
        (["{{ticket}}"], "Answer {{tick", ["{{ticket}}"]),
        # one in another
        (["ticket", "ticket_id"], "Give the ticket_id.", ["ticket"]),
        (["ticket", "ticket_id"], "Give the ticket and its ticket_id.", []),
        (["cat"], "Name the category.", ["cat"]),
        (["5"], "At most 15 words.", ["5"]),
        (["a b", "b c"], "Say a b c.", []),
        # characters that mean something in a regular expression
        (["a.c"], "Say abc.", ["a.c"]),
        (["(x|y)*", "[^a]", "\\d+", "^$", "#1"], "(x|y)* [^a] \\d+ ^$ #1", []),
        # case
        (["{{Ticket}}"], "Answer {{ticket}}.", ["{{Ticket}}"]),
        (["JSON"], "Answer in json.", ["JSON"]),
        # how often does not matter
        (["{{t}}"], "{{t}} and {{t}}", []),
        # Unicode forms, and words without spaces between them
        ([COMPOSED], DECOMPOSED, []),
        ([DECOMPOSED], COMPOSED, []),
        (["cafe"], unicodedata.normalize("NFD", "Ein café."), ["cafe"]),
        (["工单"], "请用工单回答", []),
        (["ticket"], "请用ticket回答", []),
        (["ﬁeld"], "A field.", ["ﬁeld"]),
        # white space
        (["answer in JSON"], "Please answer\n  in JSON.", []),
        (["answer in JSON"], "Please answerin JSON.", ["answer in JSON"]),
        # many
        (HUNDRED, " ".join(HUNDRED), []),
        (HUNDRED, " ".join(HUNDRED[:99]), [HUNDRED[99]]),
    ],
)
def test_a_text_is_held_where_it_stands_as_itself(required, text, missing):
    assert lacking(search(*required), text) == missing


def test_runs_begun_before_take_any_place_in_a_text():
    older = search("cat", revision=4)
    assert lacking(older, "Name the category.") == []
    assert lacking(older, "Name it.") == ["cat"]
    assert told(older) == "" and restored(older, "c at") == "c at"
    assert without(older, "category 5") == " egory 5"


def test_what_looks_alike_is_given_back_as_the_user_wrote_it():
    settings = search(COMPOSED, "answer in JSON")
    assert (
        restored(settings, f"x {DECOMPOSED}, answer\n in JSON") == f"x {COMPOSED}, answer in JSON"
    )
    assert restored(search("\\1 \\g<0>"), "a \\1  \\g<0>") == "a \\1 \\g<0>"


def test_the_wording_is_what_is_left_longest_first():
    assert without(search("5", "5 of 5"), "Take 5 of 5, then 15.") == "Take  , then 15."


@pytest.mark.parametrize("empty", ["", " ", "\t\n"])
def test_an_empty_text_is_refused(empty):
    with pytest.raises(ValidationError, match="at least 1 character"):
        search(empty)


def test_a_text_is_asked_for_once_and_without_space_around_it():
    assert search(" {{t}}\n", "{{t}}", "x").required == ("{{t}}", "x")
    with pytest.raises(ValidationError, match="NUL"):
        search("a\0b")


def test_what_the_optimizer_is_told():
    assert told(search()) == "" and told(search(constraint="short.")) == "short."
    assert told(search("{{a}}")) == 'The text must contain "{{a}}", letter for letter'
    both = told(search("{{a}}", 'say "b"', "c", constraint="At most 9 words."))
    assert both == (
        'At most 9 words. The text must contain "{{a}}", `say "b"` and "c", letter for letter'
    )


ASKING = sorted(
    file.stem
    for file in FORMS.glob("*.toml")
    if file.stem.split("_")[0].split("-")[0] not in ("description", "tsp", "linear")
)


@pytest.mark.parametrize("name", ASKING)
def test_every_form_tells_it_and_none_where_nothing_is_required(name):
    for settings in (search("{{ticket}}"), search()):
        view = View(
            [("A b", "50")], (), "ascending", "60", "A b", told(settings), other="c", paragraph="A"
        )
        text = render(load(name), view, {**WORDS}).text
        assert ('"{{ticket}}", letter for letter' in text) is bool(settings.required)


@pytest.mark.parametrize(
    ("form", "required", "fits"),
    [
        ("tags", "{{ticket}}", True),
        ("tags", "<ticket>", True),
        ("tags", "</INS>", False),
        ("tags", "two\nlines", True),
        ("brackets", "[ticket]", True),
        ("brackets", "[ticket", False),
        ("continuation", "{{ticket}}", True),
        ("continuation", 'say "x"', True),
        ("paraphrase_line", 'say "x"', False),
        ("reflection", '{"a": "</INS>"}', True),
        ("tags", "<think>", False),
    ],
)
def test_a_form_that_would_cut_it_is_refused(form, required, fits):
    settings = search(required)
    if fits:
        check_form(settings, load(form), WORDS)
        return
    with pytest.raises(UsageError, match=r"can't hold"):
        check_form(settings, load(form), WORDS)
    check_form(search(required, revision=4), load(form), WORDS)


def test_replies_are_not_held_to_a_shape_that_has_no_place_for_it():
    assert reply_constraint(load("tags"), WORDS, ["{{ticket}}"]) is not None
    assert reply_constraint(load("tags"), WORDS, ["<ticket>"]) is None
    assert reply_constraint(load("reflection"), WORDS, ["<ticket>"]) is not None


def test_a_part_keeps_what_stands_nowhere_else():
    settings = search("{{a}}", "{{b}}", "{{c}}")
    whole = "Use {{a}} and {{b}}.\n\nThen {{b}} and {{c}}."
    assert only_in(settings, "Use {{a}} and {{b}}.", whole) == ["{{a}}"]
    assert only_in(settings, "Then {{b}} and {{c}}.", whole) == ["{{c}}"]
    assert only_in(search("{{a}}", revision=4), "Use {{a}} and {{b}}.", whole) == []
