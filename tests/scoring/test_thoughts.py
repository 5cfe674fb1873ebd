"""What a reply says once its thoughts are taken off, for every rule and every form of mark."""

import json

import numpy as np
import pytest

from opro_local.scoring.answers import score_file
from opro_local.scoring.choosing import make_rule
from opro_local.scoring.reading.thoughts import UNFINISHED, spoken, without_thoughts
from opro_local.types import Completion, Example, Thinking

OPENED = Thinking(opened=True)
OWN = Thinking(marks=(("<<", ">>"),))

SAID = [
    # Tags, with and without the opening one.
    ("<think>maybe negative</think>\n\npositive", "positive"),
    ("maybe negative, or\n\n</think>\n\npositive", "positive"),
    ("<THINK>negative</THINK> positive", "positive"),
    ("<think></think>positive", "positive"),
    ("<thinking>negative</thinking>positive", "positive"),
    ("<thought>negative</thought>positive", "positive"),
    ("<reasoning>\nnegative\n</reasoning>\n<answer>\npositive\n</answer>", "positive"),
    ("<scratchpad>negative</scratchpad>positive", "positive"),
    ("<seed:think>negative</seed:think>positive", "positive"),
    ("[THINK]negative[/THINK]positive", "positive"),
    ("negative[/THINK]positive", "positive"),
    ("◁think▷negative◁/think▷positive", "positive"),
    (
        "<|begin_of_thought|>no<|end_of_thought|>\n<|begin_of_solution|>yes<|end_of_solution|>",
        "yes",
    ),
    ("<|START_THINKING|>no<|END_THINKING|><|START_RESPONSE|>yes<|END_RESPONSE|>", "yes"),
    ("<unused94>thought\nno<unused95>yes", "yes"),
    ("Thinking...\nno\n...done thinking.\n\nyes", "yes"),
    ("<think>a</think>first<think>b</think>second", "second"),
    ("<think>I write </think> at the end.</think>second", "second"),
    ("Sure.<think>no</think>yes", "yes"),
    ("<think>no</think><answer>yes</answer>", "yes"),
    ("<think>no</think>\n<response>yes", "yes"),
    # Names and forms that prompts ask for, and models make up.
    ("<analysis>negative</analysis>positive", "positive"),
    ("<reason>negative</reason>\npositive", "positive"),
    ("<cot>negative</cot>positive", "positive"),
    ("<chain_of_thought>negative</chain_of_thought>positive", "positive"),
    ("<reflection>negative</reflection>positive", "positive"),
    ("<reasoning_process>negative</reasoning_process>positive", "positive"),
    ("<internal_monologue>negative</internal_monologue>positive", "positive"),
    ("<rationale>negative</rationale>positive", "positive"),
    ("<|thinking|>negative<|/thinking|>positive", "positive"),
    ("<|begin_of_reasoning|>negative<|end_of_reasoning|>positive", "positive"),
    ("<think >negative</think >positive", "positive"),
    ('<think type="deep" n=2>negative</think>positive', "positive"),
    ("< think >negative</ think >positive", "positive"),
    ("<Think>negative</THINK>positive", "positive"),
    ("[think]negative[/think]positive", "positive"),
    ("[REASONING]negative[/REASONING]positive", "positive"),
    ("<|im_start|>think\nnegative<|im_end|>\n<|im_start|>answer\npositive", "positive"),
    ("negative</analysis>positive", "positive"),
    # A thought within a thought, an opening that the template wrote too, and other closings.
    ("<think>a<think>negative</think>neutral</think>positive", "positive"),
    ("<think>\n<think>negative</think>positive", "positive"),
    ("<think>negative</thinking>positive", "positive"),
    ("<analysis><plan>neutral</plan>negative</analysis>positive", "positive"),
    # A reason after the answer.
    ("positive <reason>it says nothing negative</reason>", "positive"),
    # Harmony, whole and without its special tokens.
    (
        "<|channel|>analysis<|message|>no<|end|><|start|>assistant<|channel|>final<|message|>yes",
        "yes",
    ),
    ("no<|end|><|start|>assistant<|channel|>final<|message|>yes<|return|>", "yes"),
    ('<|channel|>final <|constrain|>json<|message|>{"a": 1}<|return|>', '{"a": 1}'),
    ("analysisThe user wants no.assistantfinalyes", "yes"),
    ("analysisWe call.assistantcommentaryfunctions.assistantfinal**yes**", "**yes**"),
    ("so it is no.assistantfinalyes", "yes"),
    ("finalParis", "Paris"),
    # Nothing of the kind.
    ("positive", "positive"),
    ("analysis", "analysis"),
    ("analysis of variance", "analysis of variance"),
    ("final", "final"),
    ("finally", "finally"),
    ("finals", "finals"),
    ("I think <b>so</b>", "I think <b>so</b>"),
    ("<thinker>", "<thinker>"),
    ("a < b", "a < b"),
    ("[1] positive", "[1] positive"),
    ("[Analysis] short\n[Answer] positive", "[Analysis] short\n[Answer] positive"),
    ("<analyst>positive</analyst>", "<analyst>positive</analyst>"),
    ("<label>positive</label> overall", "<label>positive</label> overall"),
    ("<reasonable>", "<reasonable>"),
    ("<answer>yes</answer>", "<answer>yes</answer>"),
    ("", ""),
]
CUT = [
    "<think>",
    "<analysis>positive",
    "<scratchpad>\npositive",
    "<|thinking|>positive",
    '<think type="deep">positive',
    "[think] positive",
    "<THINK>positive",
    "<|im_start|>think\npositive",
    "<think>negative <think> neutral</think>positive",
    "<think>a</think>neutral <reflection>positive",
    "<think>it is positive",
    "positive <think>or is it",
    "<think>a</think>positive<think>b",
    "<reasoning>positive",
    "[THINK]positive",
    "◁think▷positive",
    "<|channel|>analysis<|message|>positive",
    "<|channel|>analysis<|message|>positive<|end|><|start|>assistant",
    "<|channel|>commentary to=functions.f<|message|>positive",
    "analysisThe user wants positive",
    'analysis"positive" it is',
    "Thinking...\npositive",
]


@pytest.mark.parametrize(("reply", "said"), SAID)
def test_only_what_follows_the_thought_is_said(reply, said):
    assert (spoken(reply) or "").strip() == said


@pytest.mark.parametrize("reply", CUT)
def test_a_thought_that_did_not_end_says_nothing(reply):
    assert spoken(reply) is None
    done = without_thoughts(Completion(reply, "stop", 5, 0, 9))
    assert done == Completion(UNFINISHED, "length", 5, 0, 9)
    assert without_thoughts(done) == done


def test_a_reply_to_an_open_thought_is_a_thought_until_it_closes():
    assert spoken("it is positive", OPENED) is None
    assert spoken("", OPENED) is None
    assert spoken("it is</think>positive", OPENED) == "positive"


def test_a_models_own_marks_are_known_beside_all_others():
    assert spoken("<<no>>yes", OWN) == "yes"
    assert spoken("<<no", OWN) is None
    assert spoken("<think>no</think>yes", OWN) == "yes"
    assert spoken("<<no>>yes") == "<<no>>yes"


def test_a_completion_without_thoughts_stays_as_it_is():
    same = Completion("yes", "stop", 5, 0, 9)
    assert without_thoughts(same) is same
    too_long = Completion("", "too_long", 5, 0, 0)
    assert without_thoughts(too_long, OPENED) is too_long


RIGHT = {
    "exact": ("Paris", None, "Rome"),
    "labels": ("positive", None, "negative"),
    "number": ("12", None, "13"),
    "choice": ("B", None, "A"),
    "boolean": ("yes", None, "no"),
    "contains": ("Paris", None, "Rome"),
    "regex": ("Paris", r"(\w+)", "Rome"),
    "json": ("Paris", "city", '{"city": "Rome"}'),
}


def rule_of(name, pattern):
    return make_rule(name, ("positive", "negative"), pattern)


@pytest.mark.parametrize("name", RIGHT)
def test_no_rule_reads_a_thought(name):
    target, pattern, other = RIGHT[name]
    rule = rule_of(name, pattern)
    row = Example("1", {}, "Which one?", target, "")
    answer = f'{{"{pattern}": "{target}"}}' if name == "json" else target
    replies = [
        f"<think>{other}</think>{answer}",
        f"{other}\n</think>\n\n{answer}",
        f"analysisIs it {other}?assistantfinal{answer}",
        f"<think>{answer}</think>{other}",
        f"<think>{answer}",
        f"<think>{answer}</think>",
    ]
    values, failed = rule.prepare([row]).score(replies)
    assert np.array_equal(values, [1, 1, 1, 0, 0, 0])
    assert failed.tolist() == [False, False, False, False, True, True]
    both = rule.prepare([row]).both(replies)
    assert np.array_equal(both.values, values) and np.array_equal(both.failed, failed)
    assert rule.parsed(replies[4], row) is None


def test_a_users_function_is_given_what_was_said(tmp_path):
    file = tmp_path / "own.py"
    file.write_text("def score(answer, target, columns):\n    return answer.strip() == target\n")
    rule = make_rule("python", pattern=f"{file}:score")
    row = Example("1", {}, "", "yes", "row 1")
    values, failed = rule.score(["<think>no</think> yes", "<think>yes"], [row, row])
    assert values.tolist() == [1, 0] and failed.tolist() == [False, True]


def test_unfinished_thoughts_are_counted_among_answers_that_exist(tmp_path):
    file = tmp_path / "a.jsonl"
    answers = ["<think>12</think>12", "<think>12", "12", "I can't say."]
    rows = [json.dumps({"target": "12", "answer": answer}) + "\n" for answer in answers]
    file.write_text("".join(rows))
    figures = score_file(file, "number")
    assert (figures["accuracy"], figures["extraction_failures"], figures["truncated"]) == (
        0.5,
        2,
        1,
    )
    file.write_text("".join(rows[2:]))
    assert "truncated" not in score_file(file, "number")
