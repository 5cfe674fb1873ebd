"""What every engine promises, asked of each of them, in this process and through a worker."""

import json

import pytest

from opro_local.types import Completion, Engine, Prompt, Request, Sampling

GREEDY = Sampling(max_tokens=6)
PROMPTS = [Prompt(f"Say the number {n} in words.") for n in (3, 14, 159)]
LONG = Prompt("word " * 600)


def ask(engine: Engine, *prompts: Prompt, sampling: Sampling = GREEDY) -> list[Completion]:
    return engine.generate([Request(prompt, sampling) for prompt in prompts])


def drawn(seed: int, text: str = "Invent a name for a cat.") -> Request:
    return Request(Prompt(text), Sampling(max_tokens=12, temperature=1.0, top_p=0.95, seed=seed))


def test_fingerprint_names_the_engine_and_is_json(engine):
    known = json.loads(json.dumps(engine.fingerprint))
    assert set(known) == {"engine", "engine_version", "torch", "device", "dtype", "model"}
    assert engine.max_model_len == 512


def test_one_completion_each_in_order(engine):
    # Lengths are mixed so that an engine that sorts has something to undo.
    prompts = [PROMPTS[0], Prompt("Repeat this. " * 20), PROMPTS[1], Prompt("Hi."), PROMPTS[2]]
    together = ask(engine, *prompts)
    assert [c.text for c in together] == [ask(engine, prompt)[0].text for prompt in prompts]
    assert [c.prompt_tokens for c in together] == engine.count_tokens(prompts)
    assert len({c.text for c in together}) > 2


def test_empty_batch(engine):
    assert engine.generate([]) == []
    assert engine.count_tokens([]) == []


def test_greedy_repeats(engine):
    assert [c.text for c in ask(engine, *PROMPTS)] == [c.text for c in ask(engine, *PROMPTS)]


def test_seeds_repeat_and_differ(engine):
    batch = [drawn(seed) for seed in range(6)]
    first = [c.text for c in engine.generate(batch)]
    assert first == [c.text for c in engine.generate(batch)]
    assert len(set(first)) > 2


def test_a_seeded_reply_does_not_depend_on_the_batch(engine):
    alone = engine.generate([drawn(7)])[0].text
    crowd = [drawn(8), Request(PROMPTS[0], GREEDY), drawn(7), drawn(9, "Name a city. " * 12)]
    assert engine.generate(crowd)[2].text == alone


def test_greedy_rows_are_untouched_by_sampled_neighbours(engine):
    alone = ask(engine, PROMPTS[0], sampling=Sampling(12))[0].text
    assert engine.generate([drawn(1), Request(PROMPTS[0], Sampling(12))])[1].text == alone


def test_stop_string_ends_the_reply_and_is_no_part_of_it(engine):
    whole = ask(engine, PROMPTS[0], sampling=Sampling(20))[0]
    stop = whole.text.split()[2]
    cut = ask(engine, PROMPTS[0], sampling=Sampling(20, stop=(stop,)))[0]
    assert cut.text == whole.text.partition(stop)[0]
    assert cut.finish_reason == "stop"
    assert cut.completion_tokens < whole.completion_tokens


def test_stop_string_that_stands_in_the_prompt_only(engine):
    sampling = Sampling(6, stop=("zebra",))
    assert ask(engine, Prompt("Do not write the word zebra"), sampling=sampling)[0].finish_reason == "length"


def test_max_tokens_cuts(engine):
    for completion in ask(engine, *PROMPTS, sampling=Sampling(3)):
        assert completion.finish_reason == "length"
        assert completion.completion_tokens == 3


def test_different_max_tokens_in_one_batch(engine):
    batch = [Request(PROMPTS[0], Sampling(n)) for n in (5, 1, 3, 5)]
    assert [c.completion_tokens for c in engine.generate(batch)] == [5, 1, 3, 5]


def test_too_long_fails_alone(engine):
    first, long, last = ask(engine, PROMPTS[0], LONG, PROMPTS[1])
    assert (long.finish_reason, long.text, long.completion_tokens) == ("too_long", "", 0)
    assert long.prompt_tokens == engine.count_tokens([LONG])[0] > 512
    assert [first.text, last.text] == [c.text for c in ask(engine, *PROMPTS[:2])]


def test_prompt_and_reply_share_the_context(engine):
    room = 512 - engine.count_tokens(PROMPTS[:1])[0]
    assert ask(engine, PROMPTS[0], sampling=Sampling(room + 1))[0].finish_reason == "too_long"
    assert ask(engine, PROMPTS[0], sampling=Sampling(room, stop=(" ",)))[0].finish_reason == "stop"


def test_only_too_long_prompts(engine):
    assert [c.finish_reason for c in ask(engine, LONG, LONG)] == ["too_long"] * 2


def test_system_and_prefill_take_tokens(engine):
    bare, with_prefill = engine.count_tokens([Prompt("Hello", "Be brief."), Prompt("Hello", "Be brief.", "Sure thing")])
    assert with_prefill > bare


def test_prefill_is_no_part_of_the_reply(engine):
    completion = ask(engine, Prompt("Count to five.", prefill="One, two, three,"), sampling=Sampling(12))[0]
    assert completion.text and not completion.text.startswith("One, two")


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("text", ["", " ", "\n\n", "日本語 🙂 e\u0301", "lone \ud800 surrogate \udfff", "nul \0 nul"])
def test_odd_text_does_not_crash(engine, text, chat):
    prompts = [Prompt(text, chat=chat), Prompt("Hi", text, text, chat), PROMPTS[0]]
    completions = ask(engine, *prompts)
    assert [c.prompt_tokens for c in completions] == engine.count_tokens(prompts)
    assert min(c.prompt_tokens for c in completions) >= 1


def test_progress_ends_at_the_size_of_the_batch(engine):
    seen = []
    completions = engine.generate(
        [Request(prompt, GREEDY) for prompt in (*PROMPTS, LONG)], lambda *counts: seen.append(counts)
    )
    assert seen[-1] == (4, sum(c.completion_tokens for c in completions))
    assert [finished for finished, _ in seen] == sorted(finished for finished, _ in seen)


def test_second_time_is_cached(engine):
    if engine.fingerprint["engine"] != "vllm":
        assert ask(engine, *PROMPTS)[0].cached_tokens == 0
        return
    prompt = Prompt("The same long question again and again. " * 10)
    first, second = ask(engine, prompt)[0], ask(engine, prompt)[0]
    assert 0 < second.cached_tokens < second.prompt_tokens
    assert second.text == first.text
