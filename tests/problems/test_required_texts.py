"""`search.required` in every kind of problem: no way to make a solution loses a text that it must
hold, and one that it can't hold is refused before a run.
"""

from __future__ import annotations

import csv
import re
from collections import Counter

import pytest
from running import write_reviews
from scripted_model import answer
from test_agent_file import AGENTS, answered, desk
from test_mixing import driven, mixed
from test_wording import table

from opro_local import OPRO
from opro_local.config import reading
from opro_local.errors import UsageError
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import varied_instructions
from opro_local.types import Prompt, Sampling, Solution

ROWS = [(f"Row {n} of it", "yes" if n % 2 else "no") for n in range(40)]


def required(tmp_path, *texts, **search):
    return table(tmp_path, ROWS, seeds=[" ".join(["Is it", *texts])], required=texts, **search)


@pytest.mark.parametrize(
    ("text", "reply", "solution"),
    [
        ("ticket", "ticket first, then yes or no.", "ticket first, then yes or no."),
        ("ticket", "read the ticket.", "Read the ticket."),
        ("**Note**", "Read **the** **Note**.", "Read **the** **Note**."),
        ('"Note"', '"Note"', '"Note"'),
        ("a_b 7", "read a_b\n7.", "Read a_b 7."),
        ("1. yes", "1. yes", "1. yes"),
        ("x:", "Instruction: is x: a row?", "Is x: a row?"),
        ("{text}", "is {text} good?", "Is {text} good?"),
        ("<INS>", "Read <INS> whole.", "Read <INS> whole."),
        ("{{ticket}}", "read {{Ticket}}.", "missing: {{ticket}} is not in it"),
        ("{{ticket}}", "read {{ticket}.", "missing: {{ticket}} is not in it"),
    ],
)
def test_tidying_takes_nothing_that_must_stay(tmp_path, text, reply, solution):
    problem = required(tmp_path, text, metaprompt="tags", digits="reject").problem
    said = problem.parse(reply)
    assert (said if isinstance(said, str) else said.text) == solution


@pytest.mark.parametrize("town", ["Town 3", "Town 4"])
def test_a_required_answer_gives_no_row_away(tables, tmp_path, town):
    """Proposals hold an answer of a shown row, which only the required one may be."""
    rows = [(f"Where does number {n} live?", f"Town {n}") for n in range(40)]
    with (tmp_path / "towns.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    tables["task"] |= {"data": str(tmp_path / "towns.csv"), "rule": "exact", "split": [1, 0, 0]}

    def says(request):
        if request.sampling.seed is None:
            return answer(request)
        return f"Not Town 3 but {town}, {'x' * (request.sampling.seed % 9)}"

    own = {"operators": ["rewording"], "required": ["Town 3"], "seeds": ["Not Town 3."]}
    own |= {"written_seeds": 0, "exemplars": 40, "digits": "allow", "retries": 0}
    _, trajectory, _, _ = driven(mixed(tables, steps=1, **own), says)
    leaked = [one for one in trajectory.rejections if one.reason.startswith("leaked")]
    assert bool(leaked) is (town == "Town 4")


@pytest.mark.parametrize(
    ("forms", "made"),
    [
        (["paraphrase", "crossover"], ["crossover"]),
        (["induction", "paragraph"], ["paragraph"]),
        (["paraphrase"], ["draw", "alter", "cross"]),
    ],
)
def test_every_solution_of_a_mixed_search_holds_it(tables, forms, made):
    seeds = [
        "Read {{ticket}} first.\n\nThen say which of the two labels it has.",
        "What is {{ticket}}?",
    ]

    def says(request):
        if request.sampling.seed is None:
            return answer(request)
        body = f"Text {request.sampling.seed}"
        kept = " with {{ticket}}" if request.sampling.seed % 2 else " with {{tick"
        return f"<INS>{body}{kept}</INS>"

    search = mixed(
        tables,
        seeds=seeds,
        operators=forms,
        required=["{{ticket}}"],
        demonstrations=3 if "draw" in made else 0,
        written_seeds=2,
        digits="allow",
    )
    search["task"] = {**search["task"], "description": "reviews"}
    _, trajectory, batches, _ = driven(search, says)
    assert all("{{ticket}}" in entry.solution.text for entry in trajectory.entries)
    counted = Counter(p.operator for p in trajectory.proposals if p.key)
    assert all(counted[operator] for operator in made), counted
    reasons = Counter(one.reason for one in trajectory.rejections)
    assert reasons["missing: {{ticket}} is not in it"] > 2
    asked = [r.prompt.text for b in batches if b.role == "optimizer" for r in b.requests]
    line = 'The text must contain "{{ticket}}", letter for letter'
    untold = [text for text in asked if line not in text]
    # Only a paragraph that has nothing to keep, or not alone, is asked for without.
    for text in untold:
        whole, _, paragraph = text.partition("Write only this paragraph")
        assert "{{ticket}}" not in paragraph or whole.count("{{ticket}}") > 1


def test_a_search_begun_before_asks_as_it_did(tables):
    own = {"seeds": ["Read {{ticket}}."], "required": ["{{ticket}}"], "operators": ["rewording"]}
    _, _, batches, _ = driven(mixed(tables, steps=1, revision=4, **own))
    asked = [r.prompt.text for b in batches if b.role == "optimizer" for r in b.requests]
    assert asked and not [text for text in asked if "must contain" in text]


@pytest.mark.parametrize(
    ("texts", "search", "says"),
    [
        (["{{a}}"], {"seeds": ["Is it?"]}, r"starting solution 'Is it\?' lacks '{{a}}'"),
        (["{{a}}"], {"seeds": ["Is it {{a}}?", "Is it {{ab}}?"]}, r"'Is it {{ab}}\?' lacks"),
        (["ticket"], {"seeds": ["Are they tickets?"]}, "lacks 'ticket'"),
        (["a" * 60], {"max_characters": 50}, "too long: 60 characters, at most 50"),
        (["one two three"], {"max_words": 2}, "over 2 words"),
        (["one two three"], {"constraint": "At most 2 words."}, "over 2 words"),
        (["two\nlines"], {"metaprompt": "continuation"}, "can't hold"),
        (['a "b"'], {"operators": ["rewording", "induction_line"]}, "can't hold"),
    ],
)
def test_what_can_not_be_held_is_refused_before_a_run(tmp_path, texts, search, says):
    search = {"seeds": [f"Is it {' '.join(texts)}?"], **search}
    with pytest.raises(UsageError, match=says):
        table(tmp_path, ROWS, required=texts, **search)


def test_a_hundred_texts_are_held_by_a_proposal(tmp_path):
    texts = [f"{{{{f{number}}}}}" for number in range(100)]
    problem = required(tmp_path, *texts, metaprompt="tags", max_characters=2000).problem
    assert problem.parse("X " + " ".join(texts)) == Solution("X " + " ".join(texts))
    assert problem.parse("X " + " ".join(texts[1:])) == "missing: {{f0}} is not in it"


def test_a_look_at_the_headroom_starts_from_prompts_that_hold_it(tmp_path):
    plan = required(tmp_path, "{{a}}", "{{b}}", metaprompt="tags")
    texts = varied_instructions(plan)
    assert len(texts) > 6 and all("{{a}}" in text and "{{b}}" in text for text in texts)
    plan = required(tmp_path, metaprompt="tags")
    assert "" in varied_instructions(plan)


def test_a_table_without_a_seed_starts_from_one_that_holds_it(tmp_path):
    plan = required(tmp_path, "{{a}}", "{{b}}", metaprompt="tags")
    bare = plan.config.model_dump(exclude_unset=True)
    del bare["search"]["seeds"]
    (seed,) = make_plan(reading.build(bare)).config.search.texts
    assert seed.endswith(" {{a}} {{b}}")


def agent_problem(tmp_path, **settings):
    tables = desk(tmp_path, **settings)
    tables["search"] |= {"required": ["Run make.", "Be brief."]}
    return make_plan(reading.build(tables)).problem


def test_an_agents_file_keeps_it_whole(tmp_path):
    problem = agent_problem(tmp_path, max_growth=2.0)
    assert problem.parse("# New\nRun make.") == "missing: Be brief. is not in it"
    assert problem.parse("# New\nRun\nmake. Be brief.").text.endswith("Run make. Be brief.")


def test_an_agents_section_keeps_what_no_other_has(tmp_path):
    problem = agent_problem(tmp_path, edit="section", sections=["Style", "Last"])
    answered(
        problem.evaluate(problem.seeds(), "train", "0/train"), *["no"] * len(problem.suite["train"])
    )
    ask = problem.ask_optimizer("1/propose", Prompt("unused"), [Sampling(9)])
    batch, _ = answered(ask, "x")
    line = 'The text must contain "Be brief.", letter for letter'
    assert line in batch.requests[0].prompt.text
    assert problem.parse("Be kind.") == "missing: Be brief. is not in it"
    assert problem.parse("Be brief. Be kind.").text == AGENTS.replace(
        "Be brief.", "Be brief. Be kind."
    )
    batch, _ = answered(problem.ask_optimizer("2/propose", Prompt("x"), [Sampling(9)]), "x")
    assert "must contain" not in batch.requests[0].prompt.text
    assert isinstance(problem.parse("The end."), Solution)


def test_an_agents_file_that_lacks_it_is_refused(tmp_path):
    tables = desk(tmp_path)
    tables["search"] |= {"required": ["{{project}}"]}
    with pytest.raises(UsageError, match=r"the file .* lacks '{{project}}'"):
        make_plan(reading.build(tables))


def test_a_text_of_the_users_own_function_keeps_it():
    asked = []

    def model(prompt):
        asked.append(prompt)
        kept = "{{name}}" if len(asked) % 2 else "you"
        return f"<TEXT>Dear {kept}, letter {len(asked)}</TEXT>"

    settings = {"search.required": ["{{name}}"]}
    best = OPRO(len, model, n_iterations=2, batch_size=4, set=settings).optimize("Hello {{name}}")
    assert len(best.history) == 5 and all("{{name}}" in text for text, _ in best.history)
    reasons = {reason for _, reason in best.rejections}
    assert reasons == {"missing: {{name}} is not in it"} and len(best.rejections) == 4
    assert all('must contain "{{name}}", letter for letter' in str(prompt) for prompt in asked)
    with pytest.raises(UsageError, match=r"'Hello you' lacks '{{name}}'"):
        OPRO(len, model, set=settings).optimize("Hello you")


def test_numbers_hold_no_texts(tmp_path):
    tables = {
        "problem": {"kind": "linear_regression"},
        "optimizer": {"engine": "scripted", "script": f"{write_reviews(tmp_path / 'x.py')}:a"},
        "search": {"required": ["w"]},
    }
    with pytest.raises(UsageError, match=re.escape("hold no texts")):
        make_plan(reading.build(tables))
