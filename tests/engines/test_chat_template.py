"""A model's chat template is tried within limits before the model is loaded."""

from __future__ import annotations

import json

import bombs
import pytest

from opro_local.engines.chat_template import try_chat_templates
from opro_local.engines.tokenizer import PromptTokenizer, explain_template_errors
from opro_local.errors import EngineError, ModelError
from opro_local.models.templates import chat_templates
from opro_local.types import Prompt

USUAL = (
    "{% for m in messages %}{% if loop.index > 9 %}{% break %}{% endif %}"
    "{% generation %}{{ m.role | tojson }}{% endgeneration %}{{ strftime_now('%d') }}{% endfor %}"
)


def places(folder, source):
    """Everywhere that a template may stand."""
    folder.mkdir()
    for name, text in (
        ("chat_template.jinja", source),
        ("chat_template.json", json.dumps({"chat_template": source})),
        ("tokenizer_config.json", json.dumps({"chat_template": source})),
        (
            "tokenizer_config.json",
            json.dumps(
                {
                    "chat_template": [
                        {"name": "a", "template": "x"},
                        {"name": "b", "template": source},
                    ]
                }
            ),
        ),
        ("additional_chat_templates/tools.jinja", source),
    ):
        own = folder / str(len(list(folder.iterdir())))
        (own / name).parent.mkdir(parents=True)
        (own / name).write_text(text)
        yield own


@pytest.mark.parametrize("name", ["product", "center"])
def test_a_bomb_is_found_wherever_it_stands(tmp_path, name):
    for folder in places(tmp_path / "m", bombs.TEMPLATES[name]):
        assert bombs.TEMPLATES[name] in chat_templates(folder)
        with pytest.raises(ModelError, match="its chat template takes more than 256 MiB"):
            try_chat_templates(folder, {})


@pytest.mark.parametrize(
    "hidden",
    [
        "{% generation %}" + bombs.TEMPLATES["product"] + "{% endgeneration %}",
        "{% if messages | length == 3 %}" + bombs.TEMPLATES["product"] + "{% endif %}",
        "{% if messages[0].role == 'system' %}" + bombs.TEMPLATES["product"] + "{% endif %}",
        "{% if not enable_thinking %}" + bombs.TEMPLATES["product"] + "{% endif %}",
        "{% if add_generation_prompt %}" + bombs.TEMPLATES["product"] + "{% endif %}",
    ],
)
def test_a_bomb_behind_a_condition_is_found(tmp_path, hidden):
    (tmp_path / "chat_template.jinja").write_text(hidden)
    with pytest.raises(ModelError, match="takes more than"):
        try_chat_templates(tmp_path, {"enable_thinking": False})


@pytest.mark.parametrize(
    "source",
    [
        USUAL,
        "{{ raise_exception('no system') }}",
        "{{ messages.x.y }}",
        "{% nonsense %}",
        "{{",
        "",
        "{{ 1 / 0 }}",
    ],
)
def test_what_takes_little_passes_whatever_it_says(tmp_path, source):
    for folder in places(tmp_path / "m", source):
        try_chat_templates(folder, {"enable_thinking": False})


@pytest.mark.long
@pytest.mark.parametrize("name", bombs.TEMPLATES)
def test_every_bomb_is_found(tmp_path, name):
    (tmp_path / "chat_template.jinja").write_text(bombs.TEMPLATES[name])
    if name == "range":
        return  # an error of the sandbox
    with pytest.raises(ModelError, match="its chat template takes more than"):
        try_chat_templates(tmp_path, {})


class Raising:
    """A tokenizer whose chat template raises for a row's text."""

    bos_token_id, eos_token_id, chat_template = None, 0, "x"

    def __init__(self, error):
        self.error = error

    def apply_chat_template(self, messages, **options):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [OverflowError("big"), ZeroDivisionError("/ 0"), RecursionError(), MemoryError(), KeyError(1)],
    ids=repr,
)
def test_what_a_template_raises_for_a_row_is_one_line(error):
    tokenizer = PromptTokenizer(Raising(error))
    expected = f"m: the chat template refuses the prompt: {type(error).__name__}"
    with pytest.raises(EngineError, match=expected), explain_template_errors("m"):
        tokenizer.encode([Prompt("a row", chat=True)])
