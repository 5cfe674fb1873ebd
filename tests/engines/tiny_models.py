"""Model folders as people have them, small enough to make in a test: a tokenizer of one token a
character, or SmolLM2's, and one random layer.
"""

from __future__ import annotations

import json
from pathlib import Path

from running import SMOL

MARKS = ("<pad>", "<bos>", "<eos>", "<s>", "<u>", "<a>", "<x>")
TURN = "{{ '<' ~ {'system': 's', 'user': 'u', 'assistant': 'a'}[m.role] ~ '>' }}"
REPLY = "{% if add_generation_prompt %}<a>{% endif %}"

# What templates do to a conversation; every one of them is some published model's way.
TEMPLATES = {
    "usual": "{% for m in messages %}" + TURN + "{{ m.content }}{% endfor %}" + REPLY,
    "no system": (
        "{% for m in messages %}{% if m.role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        + TURN
        + "{{ m.content | trim }}{% endfor %}"
        + REPLY
    ),
    "system dropped": (
        "{% for m in messages if m.role != 'system' %}"
        + TURN
        + "{{ m.content }}{% endfor %}"
        + REPLY
    ),
    "alternation": (
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant') }}{% endif %}"
        + TURN
        + "{{ m.content }}{% endfor %}"
        + REPLY
    ),
    "one turn": "{{ '<u>' ~ messages[-1].content }}" + REPLY,
    "no assistant": (
        "{% for m in messages %}{% if m.role == 'assistant' %}"
        "{{ raise_exception('Only user turns') }}{% endif %}"
        + TURN
        + "{{ m.content }}{% endfor %}"
        + REPLY
    ),
    "list content": (
        "{% for m in messages %}"
        + TURN
        + "{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}"
        "{% endfor %}{% endfor %}" + REPLY
    ),
    "list content, no system": (
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        + TURN
        + "{% for part in m.content %}{{ part['text'] }}{% endfor %}{% endfor %}"
        + REPLY
    ),
    "list content of the last turn": (
        "<u>{% for part in messages[-1].content %}{{ part.text }}{% endfor %}" + REPLY
    ),
    "either content": (
        "{% for m in messages %}" + TURN + "{% if m.content is string %}{{ m.content }}{% else %}"
        "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}" + REPLY
    ),
    "date": (
        "{% if strftime_now is defined %}<s>{{ strftime_now('%d %b %Y') }}{% endif %}"
        "{% for m in messages %}" + TURN + "{{ m.content }}{% endfor %}" + REPLY
    ),
    "thinking": (
        "{% for m in messages %}"
        + TURN
        + "{{ m.content.split('</think>')[-1] }}{% endfor %}"
        + REPLY
        + "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
        "<think></think>{% endif %}"
    ),
    "channels": (
        "{% for m in messages %}" + TURN + "{{ '<x>' if m.role == 'assistant' }}{{ m.content }}"
        "{% endfor %}" + REPLY
    ),
    "user dropped": "{% for m in messages %}" + TURN + "{% endfor %}" + REPLY,
}


def character_tokenizer(template: str | dict | None = None):
    """One token a character, no token before the text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = [*MARKS, "<unk>", *map(chr, range(32, 127)), "\n"]
    core = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        additional_special_tokens=list(MARKS[3:]),
    )
    made.chat_template = template
    return made


def save(
    folder: Path, template=None, rows: int = 0, tied: bool = False, smol: bool = False
) -> Path:
    """A Llama of one layer, with seeded random weights.

    Args:
        folder: made here.
        template: its chat template, or several by name; None for none.
        rows: of the embedding, beyond those of the tokenizer; negative for fewer.
        tied: whether the output layer is the embedding.
        smol: whether the tokenizer is SmolLM2's.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    if smol:
        tokenizer = AutoTokenizer.from_pretrained(str(SMOL))
        tokenizer.chat_template = template
    else:
        tokenizer = character_tokenizer(template)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + rows,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


def as_list_of_templates(folder: Path, **templates: str) -> None:
    """Have the templates stand in tokenizer_config.json by name, as older folders have them."""
    for file in (folder / "chat_template.jinja", *folder.glob("additional_chat_templates/*")):
        file.unlink()
    path = folder / "tokenizer_config.json"
    said = json.loads(path.read_text())
    named = [{"name": name, "template": text} for name, text in templates.items()]
    path.write_text(json.dumps({**said, "chat_template": named}))
