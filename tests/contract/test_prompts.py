"""How prompts become token ids, with a tokenizer small enough to read."""

import pytest

from opro_local.types import Prompt

transformers = pytest.importorskip("transformers")
from opro_local.engines import tokenizer as prompts  # noqa: E402
from opro_local.engines import vocabulary  # noqa: E402

MARKS = ["<bos>", "<eos>", "<u>", "<a>", "<s>", "</t>"]
GEMMA = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '<u>' + m.content | trim + '</t>' }}{% endfor %}{% if add_generation_prompt %}<a>{% "
    "endif %}"
)
PLAIN = (
    "{{ bos_token }}{% for m in messages %}{{ ('<s>' if m.role == 'system' else '<u>') + "
    "m.content + '</t>' }}"
    "{% endfor %}{% if add_generation_prompt %}<a>{% endif %}{% if thinking is false %}<a>{% "
    "endif %}"
)
TWICE = "<u>{{ messages[-1].content }}</t>{{ messages[-1].content | length }}<a>"
DEAF = "<u>{{ messages[-1].content }}</t><a>"


def tokenizer(template=None, adds_bos=True):
    """One token per character, with a few special ones."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

    letters = {mark: i for i, mark in enumerate([*MARKS, "<unk>", *map(chr, range(32, 127)), "\n"])}
    core = Tokenizer(models.WordLevel(letters, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    if adds_bos:
        core.post_processor = processors.TemplateProcessing(
            single="<bos> $A", special_tokens=[("<bos>", 0)]
        )
    made = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<bos>",
        eos_token="<eos>",
        additional_special_tokens=MARKS[2:],
    )
    made.chat_template = template
    return made


def text(reader, prompt):
    return reader.tokenizer.decode(reader.encode([prompt])[0])


class Config:
    bos_token_id = 0


@pytest.mark.parametrize("template", [PLAIN, GEMMA, None])
@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize(
    "prompt", [Prompt("ab"), Prompt("ab", chat=False), Prompt("<bos>ab", chat=False), Prompt("")]
)
def test_exactly_one_bos(template, adds_bos, prompt):
    made = tokenizer(template, adds_bos)
    ids = prompts.PromptTokenizer(made, bos=vocabulary.beginning_token(made, Config)).encode(
        [prompt]
    )[0]
    assert ids[0] == 0
    assert ids.count(0) == 1


def test_bos_that_marks_turns_or_is_unnamed_is_not_added():
    marker = tokenizer("{% for m in messages %}<bos>{{ m.content }}{% endfor %}", adds_bos=False)
    assert vocabulary.beginning_token(marker, Config) is None
    assert vocabulary.beginning_token(tokenizer(adds_bos=False), object()) is None


def test_prefill_follows_the_generation_prompt():
    reader = prompts.PromptTokenizer(tokenizer(PLAIN))
    assert (
        text(reader, Prompt("hi", "be brief", "Sure, ")) == "<bos><s>be brief</t><u>hi</t><a>Sure, "
    )


def test_template_args_reach_the_template():
    reader = prompts.PromptTokenizer(tokenizer(PLAIN), {"thinking": False})
    assert text(reader, Prompt("hi")) == "<bos><u>hi</t><a><a>"


@pytest.mark.parametrize("template", [GEMMA, DEAF])
def test_system_without_a_place_opens_the_users_turn(template):
    assert "<u>be brief\n\nhi</t><a>" in text(
        prompts.PromptTokenizer(tokenizer(template)), Prompt("hi", "be brief")
    )


def test_no_template_joins_the_parts():
    reader = prompts.PromptTokenizer(tokenizer(None))
    assert text(reader, Prompt("hi", "be brief", "Sure")) == "<bos>be brief\n\nhi\n\nSure"


@pytest.mark.parametrize("template", [PLAIN, GEMMA, TWICE, DEAF])
@pytest.mark.parametrize("first", ["plain", "  spaced\n", ""])
@pytest.mark.parametrize("system", [None, "sys", ""])
@pytest.mark.parametrize("turns", [(), (("2+2", "4"), (" 3+3\n", "six"))])
def test_the_split_equals_the_template(template, first, system, turns):
    made = tokenizer(template)
    reader = prompts.PromptTokenizer(made)
    texts = [first, "b", " c", "d\n\n", "", "  ", "{{ x }}", "e" * 50, "x", prompts.SENTINEL]
    for given in texts:
        prompt = Prompt(given, system, "pre", turns=turns)
        whole = prompts.PromptTokenizer(made)._render(prompt, given) + "pre"
        shape = reader._shape_of(prompt)
        assert (
            reader._render(prompt, given) + "pre" if shape is None else shape.around(given)
        ) == whole
        assert reader.encode([prompt])[0] == made(whole, add_special_tokens=False)["input_ids"]


def test_turns_stand_between_the_system_message_and_the_text():
    turns = (("2+2", "4"), ("3+3", "6"))
    reader = prompts.PromptTokenizer(tokenizer(PLAIN))
    said = text(reader, Prompt("5+5", "add", turns=turns))
    assert said == "<bos><s>add</t><u>2+2</t><u>4</t><u>3+3</t><u>6</t><u>5+5</t><a>"
    plain = prompts.PromptTokenizer(tokenizer(None))
    assert text(plain, Prompt("5+5", turns=turns)) == "<bos>2+2\n\n4\n\n3+3\n\n6\n\n5+5"
    merged = text(prompts.PromptTokenizer(tokenizer(GEMMA)), Prompt("5+5", "add", turns=turns))
    assert merged.count("add") == 1 and "<u>add\n\n2+2</t>" in merged


def test_the_template_is_rendered_once_per_shape():
    reader = prompts.PromptTokenizer(tokenizer(PLAIN))
    count = []
    true = reader._render
    reader._render = lambda *args: count.append(args) or true(*args)
    reader.encode([Prompt(f"q{i}", "s") for i in range(100)])
    assert len(count) <= 4


def test_what_stands_before_the_text_is_tokenized_once():
    reader = prompts.PromptTokenizer(tokenizer(PLAIN))
    turns = tuple((f"question {i}", f"answer {i}") for i in range(8))
    reader.encode([Prompt("first", turns=turns)])
    seen = []
    ids = reader._ids
    reader._ids = lambda texts, special: seen.extend(texts) or ids(texts, special)
    reader.encode([Prompt(f"q{i}", turns=turns) for i in range(3)])
    assert seen == [f"q{i}</t><a>" for i in range(3)]


def test_mixed_batch_keeps_its_order():
    reader = prompts.PromptTokenizer(tokenizer(PLAIN))
    batch = [Prompt("a", chat=False), Prompt("b"), Prompt("c", chat=False), Prompt("d")]
    assert [reader.tokenizer.decode(ids) for ids in reader.encode(batch)] == [
        text(reader, p) for p in batch
    ]
