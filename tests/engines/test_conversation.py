"""All of a conversation comes through every chat template, or is refused by name."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import date, datetime
from types import SimpleNamespace

import bombs
import pytest

pytest.importorskip("transformers")
from model_folders import whole
from tiny_models import TEMPLATES, character_tokenizer

from opro_local.config import reading
from opro_local.config.settings import Config, ModelSettings
from opro_local.engines.chat_template import text_change
from opro_local.engines.settings import EngineSettings
from opro_local.engines.tokenizer import PromptTokenizer, explain_template_errors
from opro_local.errors import EngineError, ModelError, UsageError
from opro_local.models import templates
from opro_local.models.cards import Card, card_for
from opro_local.runs import hosting, prediction, run_engines
from opro_local.runs.checking import template_notices
from opro_local.types import Prompt

ASKED = Prompt("Q")
WITH_SYSTEM = Prompt("Q", system="S")
WITH_TURNS = Prompt("Q", system="S", prefill="P", turns=(("q", "r"), ("t", "v")))
# What each template makes of the three.
EXPECTED = {
    "usual": ("<u>Q<a>", "<s>S<u>Q<a>", "<s>S<u>q<a>r<u>t<a>v<u>Q<a>P"),
    "no system": ("<u>Q<a>", "<u>S\n\nQ<a>", "<u>S\n\nq<a>r<u>t<a>v<u>Q<a>P"),
    "system dropped": ("<u>Q<a>", "<u>S\n\nQ<a>", "<u>S\n\nq<a>r<u>t<a>v<u>Q<a>P"),
    "alternation": ("<u>Q<a>", "<u>S\n\nQ<a>", "<u>S\n\nq<a>r<u>t<a>v<u>Q<a>P"),
    "one turn": ("<u>Q<a>", "<u>S\n\nQ<a>", "<u>S\n\nq\n\nr\n\nt\n\nv\n\nQ<a>P"),
    "no assistant": ("<u>Q<a>", "<s>S<u>Q<a>", "<u>S\n\nq\n\nr\n\nt\n\nv\n\nQ<a>P"),
    "list content": ("<u>Q<a>", "<s>S<u>Q<a>", "<s>S<u>q<a>r<u>t<a>v<u>Q<a>P"),
    "list content, no system": ("<u>Q<a>", "<u>S\n\nQ<a>", "<u>S\n\nq<a>r<u>t<a>v<u>Q<a>P"),
    "list content of the last turn": (
        "<u>Q<a>",
        "<u>S\n\nQ<a>",
        "<u>S\n\nq\n\nr\n\nt\n\nv\n\nQ<a>P",
    ),
    "either content": ("<u>Q<a>", "<s>S<u>Q<a>", "<s>S<u>q<a>r<u>t<a>v<u>Q<a>P"),
    "thinking": ("<u>Q<a>", "<s>S<u>Q<a>", "<s>S<u>q<a>r<u>t<a>v<u>Q<a>P"),
    # gpt-oss opens a reply, and only then its channel.
    "channels": ("<u>Q<a>", "<s>S<u>Q<a>", "<s>S<u>q<a><x>r<u>t<a><x>v<u>Q<a><x>P"),
}


def texts(reader, *prompts):
    return tuple(reader.tokenizer.decode(ids) for ids in reader.encode(prompts))


@pytest.mark.parametrize("name", EXPECTED)
def test_everything_comes_through(name):
    reader = PromptTokenizer(character_tokenizer(TEMPLATES[name]))
    assert texts(reader, ASKED, WITH_SYSTEM, WITH_TURNS) == EXPECTED[name]


LAST = "{% if m.role == 'assistant' and loop.last %}<x> {% endif %}"
# What a template writes before a reply, and what stands before one's first words.
BEFORE = {
    # Qwen3: the last reply alone has a thought, an empty one.
    "thought of the last": (TEMPLATES["usual"].replace("{{ m.con", LAST + "{{ m.con"), "<x> "),
    # Llama 2: spaces are the model's own affair.
    "space": (TEMPLATES["usual"].replace("{{ m.content }}", " {{ m.content }} "), ""),
    # DeepSeek-R1: a finished reply stands where the opened thought would.
    "another beginning": (TEMPLATES["usual"] + "{% if add_generation_prompt %}<x>{% endif %}", ""),
    "refused": (TEMPLATES["no assistant"], ""),
    "list": (TEMPLATES["list content"].replace("{% for part", LAST + "{% for part"), "<x> "),
    "one turn": (TEMPLATES["one turn"], ""),
}


@pytest.mark.parametrize("name", BEFORE)
def test_first_words_stand_where_the_templates_own_replies_do(name):
    template, before = BEFORE[name]
    reader = PromptTokenizer(character_tokenizer(template))
    opened, begun = texts(reader, ASKED, Prompt("Q", prefill="P"))
    assert begun == opened + before + "P"


@pytest.mark.parametrize("name", EXPECTED)
def test_prompts_that_differ_have_other_tokens(name):
    """The fault that was seen: all prompts the same nine tokens."""
    reader = PromptTokenizer(character_tokenizer(TEMPLATES[name]))
    kinds = list(itertools.product((None, "", "S"), ((), (("q", "r"),))))
    one, other = (
        reader.encode([Prompt(text, system=system, turns=turns) for system, turns in kinds])
        for text in ("1", "2")
    )
    assert all(a != b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("template", "prompt", "says"),
    [
        (
            "{% if messages[0].content is string %}{{ raise_exception('No') }}{% endif %}"
            "<u>{{ messages[0].content }}",
            ASKED,
            "No",
        ),
        (TEMPLATES["user dropped"], ASKED, "it loses the user's text, however that is sent"),
        ("<u>nothing", WITH_TURNS, "it loses the user's text"),
        ("{{ raise_exception('Never') }}", ASKED, "Never"),
        ("{% for m in messages %}", ASKED, "TemplateSyntaxError|Unexpected end of template"),
    ],
)
def test_what_does_not_come_through_is_refused_by_name(template, prompt, says):
    reader = PromptTokenizer(character_tokenizer(template))
    with pytest.raises(EngineError, match=says) as caught, explain_template_errors("m"):
        reader.encode([prompt])
    assert caught.value.message.startswith("m: the chat template refuses the prompt: ")


LETTERS = "it changes letters of the user's text"
# What templates do to the text of a user, and what is said of each; a filter, or a word to refuse with.
TEXT_CHANGES = {
    "": "",
    "| trim": "",
    "| upper": LETTERS,
    "| lower": LETTERS,
    "| title": LETTERS,
    "| capitalize": LETTERS,
    ".swapcase()": LETTERS,
    "| replace('k', 'c')": LETTERS,
    "| replace('Q', '')": LETTERS,
    "| e": "it writes otherwise, of the user's text: &, <, >, \", '",
    "| tojson": "it writes otherwise, of the user's text: \", \\, a line's end, an empty line, a tab",
    ".split() | join(' ')": (
        "it writes otherwise, of the user's text: two spaces, a line's end, an empty line, a tab"
    ),
    "| replace('ä', 'ae')": "it writes otherwise, of the user's text: letters with accents",
}


def changing(how):
    return TEMPLATES["usual"].replace("m.content }}", f"(m.content {how}) }}}}")


@pytest.mark.parametrize("how", TEXT_CHANGES)
def test_what_a_template_does_to_a_text_is_said(how):
    assert text_change(changing(how), {}) == TEXT_CHANGES[how]


@pytest.mark.parametrize("how", [how for how, said in TEXT_CHANGES.items() if said == LETTERS])
@pytest.mark.parametrize("prompt", [ASKED, Prompt("7, 8?"), WITH_TURNS])
def test_no_text_goes_through_a_template_that_changes_letters(how, prompt):
    reader = PromptTokenizer(character_tokenizer(changing(how)))
    with pytest.raises(EngineError, match=LETTERS), explain_template_errors("m"):
        reader.encode([prompt])


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", ""),
        ("{% for m in messages %}", ""),
        (TEMPLATES["user dropped"], "it loses the user's text"),
        ("{{ raise_exception('Never') }}", "it refuses a user's text: Never"),
        *((TEMPLATES[name], "") for name in EXPECTED),
    ],
)
def test_a_template_that_leaves_texts_alone_or_takes_none_is_told_apart(source, said):
    assert text_change(source, {}) == said


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ({}, ["scorer: of the chat template of own: " + TEXT_CHANGES["| tojson"]]),
        ({"chat": False}, []),
    ],
)
def test_check_says_what_a_template_does_to_a_text(tmp_path, scorer, said):
    folder = whole(tmp_path / "own")
    (folder / "chat_template.jinja").write_text(changing("| tojson"))
    tables = {"scorer": {"model": str(folder), "engine": "transformers", **scorer}}
    config = reading.build(tables)
    hosted = hosting.hostings(config, {"scorer": card_for(folder)}, {"scorer": folder})
    assert list(template_notices(config, hosted)) == said


def test_the_way_is_named_where_it_is_not_the_plain_one():
    ways = {name: PromptTokenizer(character_tokenizer(TEMPLATES[name])).way for name in TEMPLATES}
    lists = {name for name, way in ways.items() if way == "content as a list"}
    assert lists == {"list content", "list content, no system", "list content of the last turn"}
    assert {ways[name] for name in TEMPLATES if name not in lists} == {""}


def test_the_day_is_the_one_that_is_given_whatever_day_it_is():
    day = PromptTokenizer(character_tokenizer(TEMPLATES["date"]), date="2024-07-26")
    assert texts(day, ASKED) == ("<s>26 Jul 2024<u>Q<a>",)
    clock = PromptTokenizer(character_tokenizer(TEMPLATES["date"]))
    assert texts(clock, ASKED) == (f"<s>{datetime.now().strftime('%d %b %Y')}<u>Q<a>",)


class Kept(dict):
    """A store as far as the date goes."""

    def put(self, **values):
        self.update(values)


def dated(day):
    settings = EngineSettings("m", "transformers", date=day)
    return hosting.Hosting("transformers", settings)


def test_a_run_keeps_the_day_it_began_and_goes_on_with_it(monkeypatch):
    store = Kept()
    first = run_engines._with_date({"scorer": dated("2026-11-28"), "judge": dated("")}, store)
    assert store == {"template_date": "2026-11-28"}
    later = run_engines._with_date({"scorer": dated("2026-11-29"), "judge": dated("")}, store)
    assert later == first and later["scorer"].settings.date == "2026-11-28"
    assert later["judge"].settings.date == ""
    assert run_engines._with_date({"judge": dated("")}, Kept()) == {"judge": dated("")}


def test_rows_are_predicted_with_the_day_the_run_began(monkeypatch):
    asked = []

    def start(settings, choice):
        asked.append(settings.date)
        return object(), ""

    monkeypatch.setattr(prediction, "start_engine", start)
    for day, began in (("2026-11-29", "2026-11-28"), ("2026-11-29", ""), ("", "2026-11-28")):
        prediction._started(SimpleNamespace(models={"scorer": dated(day)}), {}, began)
    assert asked == ["2026-11-28", "2026-11-29", ""]


def test_a_run_is_held_to_the_template_it_was_given():
    def identity(template):
        settings = EngineSettings("", "transformers", chat_template=template)
        return hosting.model_identity({"scorer": hosting.Hosting("transformers", settings)})

    assert identity("") == {}
    assert set(identity("x")) == {"scorer chat_template"} and identity("x") != identity("y")


def test_the_cache_tells_days_and_templates_apart_and_knows_what_it_knew():
    plain = EngineSettings("m", "transformers")
    assert set(run_engines._deciding(plain)) == {
        "tensor_parallel",
        "pipeline_parallel",
        "template_args",
        "engine_args",
    }
    kinds = [plain, replace(plain, date="2026-11-28"), replace(plain, date="2026-11-29")]
    kinds += [replace(plain, chat_template="x"), replace(plain, chat_template="y")]
    assert len({json.dumps(run_engines._deciding(one)) for one in kinds}) == 5


NAMED = {"rag": "RAG {{ messages[-1].content }}", "tool_use": "TOOL {{ messages[-1].content }}"}


def folder(path, named=None, default=""):
    path.mkdir()
    listed = [{"name": name, "template": text} for name, text in (named or {}).items()]
    if default:
        listed.append({"name": "default", "template": default})
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": listed}))
    return path


def hosted(path, wanted="", chat=None):
    settings = ModelSettings(model=str(path), chat_template=wanted, chat=chat)
    config = Config(scorer=settings.model_dump())
    return hosting._hosting(config, "scorer", path, Card("m")).settings


@pytest.mark.parametrize("as_files", [False, True])
def test_a_template_is_chosen_by_name(tmp_path, as_files):
    path = folder(tmp_path / "m", NAMED, "DEFAULT")
    if as_files:
        (path / "tokenizer_config.json").write_text("{}")
        (path / "chat_template.jinja").write_text("DEFAULT")
        (path / "additional_chat_templates").mkdir()
        for name, text in NAMED.items():
            (path / "additional_chat_templates" / f"{name}.jinja").write_text(text)
    assert templates.named_templates(path) == {"default": "DEFAULT", **NAMED}
    assert hosted(path).chat_template == ""
    assert hosted(path, "rag").chat_template == NAMED["rag"]
    with pytest.raises(UsageError) as caught:
        hosted(path, "tool")
    assert "no template of that name; its names are " in caught.value.message
    assert all(name in caught.value.message for name in ("default", "rag", "tool_use"))


def test_names_without_a_default_are_listed(tmp_path):
    path = folder(tmp_path / "m", NAMED)
    with pytest.raises(ModelError) as caught:
        hosted(path)
    assert caught.value.message.endswith(
        "its chat templates are named rag, tool_use, and none is the default"
    )
    assert caught.value.hint == 'choose one: scorer.chat_template = "rag"'
    assert hosted(path, "tool_use").chat_template == NAMED["tool_use"]
    assert hosted(path, chat=False).chat_template == ""


def test_a_template_is_given_as_a_file(tmp_path):
    path = folder(tmp_path / "m")
    (tmp_path / "own.jinja").write_text("<u>{{ messages[-1].content }}{{ strftime_now('%Y') }}")
    settings = hosted(path, str(tmp_path / "own.jinja"))
    assert settings.chat_template == "<u>{{ messages[-1].content }}{{ strftime_now('%Y') }}"
    assert settings.date == date.today().isoformat()
    assert hosted(path, chat=False).date == ""
    with pytest.raises(UsageError, match=r"none\.jinja: can't be read: No such file"):
        hosted(path, str(tmp_path / "none.jinja"))
    with pytest.raises(UsageError, match="it has none"):
        hosted(path, "rag")


def test_a_template_of_ones_own_is_tried_like_the_folders(tmp_path):
    (tmp_path / "bomb.jinja").write_text(bombs.TEMPLATES["product"])
    with pytest.raises(ModelError, match="its chat template takes more than"):
        hosted(folder(tmp_path / "m"), str(tmp_path / "bomb.jinja"))
