"""The mode mixed: several ways in one call, starting instructions, worked examples, and what never
may be shown.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running import write_reviews
from scripted_model import answer, writing

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import UsageError
from opro_local.runs.driver import drive
from opro_local.runs.events import BatchStart, Listener
from opro_local.runs.plans import make_plan
from opro_local.runs.result import operator_figures
from opro_local.search import racing
from opro_local.search.metaprompts.metaprompt import (
    FORMS,
    load,
    parse,
    reply_constraint,
)
from opro_local.search.trajectory import Trajectory
from opro_local.types import Completion, Demonstration, Example, Solution


def mixed(tables, **search):
    """The tables of a mixed search, without worked examples unless they are asked for."""
    own = {"seeds": ["What is it?"], "steps": 4, "candidates": 6, "demonstrations": 0, **search}
    return {**tables, "search": own}


def driven(tables, script=answer):
    """Drive a search; returns its plan, its trajectory, the batches asked and the outcome."""
    ready, trajectory, batches = make_plan(reading.build(tables)), Trajectory(), []
    engine = ScriptedEngine.of(script)

    def note(event):
        if isinstance(event, BatchStart):
            batches.append(event.batch)

    outcome = drive(
        ready.search(trajectory),
        {"optimizer": engine, "scorer": engine},
        trajectory,
        listener=Listener(note),
    )
    return ready, trajectory, batches, outcome


def test_a_step_asks_all_operators_in_one_call(tables):
    _, trajectory, batches, _ = driven(mixed(tables, retries=0))
    proposals = [
        batch for batch in batches if batch.role == "optimizer" and batch.label.endswith("/propose")
    ]
    assert len(proposals) == 4
    assert any(len({request.prompt.text for request in batch.requests}) > 2 for batch in proposals)
    ways = {proposal.operator for proposal in trajectory.proposals}
    assert {"given", "generic", "written"} < ways and len(ways) > 5


@pytest.mark.parametrize("mode", ["full", "halve", "race", "subset"])
def test_the_best_of_an_operator_is_a_score_on_all_rows(tables, mode):
    """What a part of the rows lets expect can lie above all that was scored."""
    tables["evaluation"] = {**tables.get("evaluation", {}), "mode": mode}
    _, trajectory, _, _ = driven(mixed(tables, steps=3))
    whole = {e.solution.key: e.score.value for e in trajectory.entries if not e.partial}
    for name, own in operator_figures(trajectory).items():
        keys = {proposal.key for proposal in trajectory.proposals if proposal.operator == name}
        scores = [whole[key] for key in keys & whole.keys()]
        if whole:
            assert own.best == max(scores, default=None)
        else:
            assert mode == "subset" and (own.best is None) == (not own.scored)
    assert max(own.best or 0 for own in operator_figures(trajectory).values()) <= (
        trajectory.reference.score.value if trajectory.reference else 1
    )


def test_the_first_call_scores_the_users_prompt_first_then_generic_and_written_ones(tables):
    _, trajectory, batches, outcome = driven(
        mixed(tables, steps=1, generic_seeds=3, written_seeds=2)
    )
    first = [entry.solution.text for entry in trajectory.entries if entry.step == 0]
    assert first[0] == "What is it?" == outcome.baseline.text
    assert (
        "Which is it: positive or negative?" in first
        or "Which is it: negative or positive?" in first
    )
    assert len(first) == 1 + 3 + 2
    assert [batch.label for batch in batches][:2] == ["0/write", "0/train"]


def test_worked_examples_are_drawn_from_the_first_call_on(tables):
    _, trajectory, _, _ = driven(
        mixed(tables, steps=1, demonstrations=3, generic_seeds=2, written_seeds=1)
    )
    first = [entry.solution for entry in trajectory.entries if entry.step == 0]
    assert first[0].demonstrations == ()
    # What names all labels is also scored bare, in the place of a draw.
    bare = [solution.text for solution in first[1:] if not solution.demonstrations]
    assert len(bare) == 2 and all("positive" in text and "negative" in text for text in bare)
    assert len(first) == 1 + 3 * 6
    assert sum(solution.text == "What is it?" for solution in first) == 1 + 18 - 3 - len(bare)


def test_the_same_seed_gives_the_same_search_and_another_seed_another(tables):
    search = mixed(tables, demonstrations=3)
    first, again = driven(search)[1].digest(), driven(search)[1].digest()
    other = driven({**search, "run": {"seed": 4}})[1].digest()
    assert first == again != other


def test_solutions_show_train_rows_and_each_train_row_is_asked_without_itself(tables):
    ready, trajectory, _batches, _ = driven(mixed(tables, demonstrations=4, steps=6))
    shown = [entry for entry in trajectory.entries if entry.solution.demonstrations]
    assert shown and {key for entry in shown for key in entry.solution.demonstrations} <= {
        row.id for row in ready.problem.rows["train"]
    }
    solution = shown[0].solution
    rows = ready.problem.rows["train"]
    for row, request in zip(rows, ready.problem.requests(solution, "train", rows), strict=True):
        said = [part for turn in request.prompt.turns for part in turn] + [request.prompt.text]
        assert sum(row.input in part for part in said) == 1
        assert (
            len(request.prompt.turns) + request.prompt.text.count("Q: ")
            == len(solution.demonstrations) + 1
        )


REVIEWS = {"train_rows": 12, "validation_rows": 8, "test_rows": 8}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 1000),
    demonstrations=st.integers(0, 4),
    exemplars=st.integers(0, 12),
    choice=st.sampled_from(["random", "constant", "most_wrong", "shown_wrong"]),
    mode=st.sampled_from(["opro", "mixed"]),
    operators=st.lists(
        st.sampled_from(sorted(f.stem for f in FORMS.glob("*_line.toml"))), unique=True, max_size=3
    ),
    position=st.sampled_from(["Q_begin", "Q_end", "before_Q", "system", "A_begin"]),
    history=st.integers(0, 20),
    evaluation=st.sampled_from(["full", "halve", "race", "subset"]),
)
def test_no_row_of_validation_or_test_is_ever_in_a_metaprompt(
    tmp_path,
    seed,
    demonstrations,
    exemplars,
    choice,
    mode,
    operators,
    position,
    history,
    evaluation,
):
    from running import SCRIPT

    data = write_reviews(tmp_path / "reviews.csv")
    tables = {
        "task": {
            "data": str(data),
            "input": "text",
            "target": "label",
            "position": position,
            "split_seed": seed,
        },
        "scorer": {"engine": "scripted", "script": SCRIPT, "max_tokens": 8},
        "evaluation": {"mode": evaluation, "subset_rows": 5, "block": 8},
        "search": {
            "steps": 3,
            "candidates": 4,
            "mode": mode,
            "operators": [*operators, "rewording"],
            "demonstrations": demonstrations,
            "exemplars": exemplars,
            "exemplar_choice": choice,
            "history": history,
        },
        "run": {"seed": seed},
    }
    ready, _, batches, _ = driven(tables)
    held_out = [row.input for split in ("validation", "test") for row in ready.problem.rows[split]]
    train = {row.input for row in ready.problem.rows["train"]}
    asked = [
        request.prompt
        for batch in batches
        if batch.role == "optimizer"
        for request in batch.requests
    ]
    scored = [
        r.prompt for b in batches if b.role == "scorer" and "/train" in b.label for r in b.requests
    ]
    assert asked and held_out and not train & set(held_out)
    for prompt in [*asked, *scored]:
        whole = "\n".join(
            [prompt.text, prompt.system or "", *(part for turn in prompt.turns for part in turn)]
        )
        assert not [row for row in held_out if row in whole]


def test_a_reply_that_quotes_a_row_or_comes_again_is_rejected(tables):
    rows = make_plan(reading.build(mixed(tables))).problem.rows["train"]
    plain = {"operators": ["continuation"], "written_seeds": 0, "steps": 1}
    many = mixed(tables, exemplars=len(rows), retries=0, **plain)
    _, trajectory, _, _ = driven(many, writing(lambda: f"Like {rows[0].input}"))
    assert {r.reason.partition(":")[0] for r in trajectory.rejections} == {"copied"}

    _, trajectory, _, _ = driven(
        mixed(tables, retries=1, near_duplicate=0.8, **plain), writing(lambda: "What is it??")
    )
    reasons = [r.reason.partition(":")[0] for r in trajectory.rejections]
    assert reasons and set(reasons) == {"near-duplicate"}
    # Each slot that came to nothing was asked once more.
    assert len(reasons) == 2 * 3 * 6


def test_replies_are_begun_with_openers_of_which_no_two_are_alike(tables):
    """The opener is the first part of the text; steps and repeats take new ones until all were
    there.
    """
    search = mixed(tables, operators=["paraphrase_line", "rewording"], drafts=1, steps=2, retries=1)
    _, trajectory, batches, _ = driven(search, writing(lambda: ""))
    openers = load("paraphrase_line").openers
    begun = [r.prompt.prefill.strip() for b in batches if b.role == "optimizer" for r in b.requests]
    assert len(begun) > 12 and len(set(begun)) == len(begun) and set(begun) <= set(openers)
    assert {entry.solution.text for entry in trajectory.entries if entry.step} <= set(begun)

    search["search"] |= {"max_words": 1, "steps": 8, "drafts": 3}
    _, _, batches, _ = driven(search, writing(lambda: "\n"))
    begun = [r.prompt.prefill.strip() for b in batches if b.role == "optimizer" for r in b.requests]
    known = len(set(begun))
    assert len(begun) > known and len(set(begun[:known])) == known  # all, before one comes again


def test_a_text_that_comes_to_nothing_leaves_its_place_to_worked_examples(tables):
    """All replies are empty, so all that a step scores are draws and moves; the last also has the
    user's text with the winner's examples.
    """
    search = mixed(tables, operators=["continuation"], demonstrations=4, steps=6, written_seeds=0)
    _, trajectory, _, _ = driven(search, writing(lambda: ""))
    assert any(proposal.operator == "continuation" for proposal in trajectory.proposals)
    scored = [sum(entry.step == step for entry in trajectory.entries) for step in range(1, 7)]
    assert scored == [6, 6, 6, 6, 6, 7]


def test_no_reply_is_begun_as_a_starting_text_is(tables):
    """It would repeat that text. Where nothing else is left, it is."""
    search = mixed(tables, operators=["paraphrase_line"], written_seeds=0, steps=6)
    search["search"]["seeds"] = ["Judge this.", "Statement or not?"]
    _, _, batches, _ = driven(search, answer)
    begun = {r.prompt.prefill for b in batches if b.role == "optimizer" for r in b.requests}
    generic = {"Is", "Which", "Answer with", "Read"}
    assert not begun & {"Judge", *generic} and "State" in begun


def test_a_form_that_the_user_names_is_the_only_way(tables):
    _, trajectory, batches, _ = driven(tables)
    assert not trajectory.proposals and [batch.label for batch in batches][:2] == [
        "0/train",
        "1/propose",
    ]


def test_the_budget_of_pairs_ends_the_search(tables):
    _, trajectory, _, outcome = driven(mixed(tables, steps=50, max_pairs=300))
    assert trajectory.pairs <= 300 < trajectory.pairs + 24 and "300 scored pairs" in outcome.reason
    assert trajectory.entries[-1].step > 1


def test_halving_scores_a_quarter_of_a_step_on_all_rows(tables):
    tables = mixed(tables, steps=1, candidates=8, generic_seeds=0, written_seeds=0)
    _, trajectory, _, _ = driven({**tables, "evaluation": {"mode": "halve"}})
    parts = sorted(entry.score.n for entry in trajectory.entries if entry.step == 1)
    assert parts == [6, 6, 6, 6, 12, 12, 24, 24] and sum(parts) == racing.cost(8, 24) == 8 * 24 // 2
    assert all(entry.dropped == (entry.score.n < 24) for entry in trajectory.entries)


def test_halves_are_dropped_on_rows_with_the_labels_in_their_shares(tables):
    """So a prompt that gives one label to everything never looks better than it is."""
    tables = mixed(tables, steps=3, candidates=8)
    ready, trajectory, _, _ = driven({**tables, "evaluation": {"mode": "halve"}})
    labels = [row.target for row in ready.problem.rows["train"]]
    parts = [
        [labels[row] for row in entry.score.rows] for entry in trajectory.entries if entry.partial
    ]
    assert parts
    for part in parts:
        for label in set(labels):
            assert abs(part.count(label) - len(part) * labels.count(label) / len(labels)) <= 1


def test_a_winner_that_validation_does_not_confirm_leaves_the_baseline(tables):
    """The scorer is right on train rows only once the instruction is another: a search that fits
    train.
    """
    ready = make_plan(reading.build(mixed(tables)))
    train = {row.input for row in ready.problem.rows["train"]}

    def fits(request):
        if request.sampling.seed is not None:
            return answer(request)
        text = request.prompt.text
        known = any(row in text for row in train)
        truth = "positive" if "good" in text else "negative"
        return truth if known and "What is it?" not in text else "positive"

    _, trajectory, _, outcome = driven(mixed(tables), fits)
    assert trajectory.top(1)[0].score.value == 1 and outcome.best == outcome.baseline


def test_the_models_own_right_answers_are_shown_where_targets_show_no_work(tables):
    search = mixed(
        tables,
        demonstrations=2,
        steps=3,
        demonstration_answers="own",
        generic_seeds=0,
        written_seeds=0,
    )

    def talk(request):
        return answer(request) if request.sampling.seed else f"It reads {answer(request)}."

    ready, _trajectory, _, _ = driven(search, talk)
    known = ready.problem.demonstrations.available()
    assert 0 < len(known) <= 24
    for example, shown in ready.problem.demonstrations.worked([row.id for row in known]):
        assert shown == f"It reads {example.target}."


def test_a_best_solution_with_examples_can_be_used_elsewhere(tables):
    ready, _, _, _ = driven(mixed(tables, demonstrations=3))
    ids = tuple(row.id for row in ready.problem.rows["train"][:2])
    plain = ready.problem.layout
    ready.problem.layout = replace(plain, chat=True, qa=False)
    found = ready.problem.readable(Solution("Say it.", ids))
    assert [m["role"] for m in found["messages"]] == ["user", "assistant"] * 2 + ["user"]
    assert found["messages"][-1]["content"] == "Say it.\n{input}"
    ready.problem.layout = plain
    text = ready.problem.readable(Solution("Say it.", ids))
    assert text["prompt"].startswith("Say it.\n\nQ: ") and text["prompt"].endswith("Q: {input}\nA:")
    assert text["stop"] == ("\nQ:",)


def test_tokens_of_examples_are_those_of_the_rows_as_they_were_asked(tables):
    ready, _, _, _ = driven(mixed(tables, demonstrations=3, steps=1))
    known = ready.problem.demonstrations.available()
    assert all(isinstance(row, Demonstration) and row.tokens > 2 for row in known)


THOUGHT = "<think>\nLet me see [no]\n</think>\n\n[Do it.]"


def test_reasoning_is_no_part_of_a_reply():
    assert parse(load("brackets"), THOUGHT, {}) == "Do it."
    assert parse(load("brackets"), "<think> and never done [x]", {}) is None
    assert parse(load("brackets"), "Let me [no] see.</think> [yes]", {}) == "yes"


@pytest.mark.parametrize("name", sorted(file.stem for file in FORMS.glob("*.toml")))
def test_forms_with_marks_are_held_to_them(name):
    import re

    words = {"tag": "INS", "noun": "instruction"}
    form = load(name)
    limit = reply_constraint(form, words)
    if form.schema:
        assert (
            limit.kind == "json"
            and parse(form, '{"cause": "x", "instruction": " Do it. "}', words) == "Do it."
        )
        assert parse(form, "{", words) is None
    elif limit:
        start, end = (mark.replace("{{ tag }}", "INS") for mark in (form.open, form.close))
        assert re.fullmatch(limit.value, f"{start}Do it.{end}") and not re.fullmatch(
            limit.value, "Do it."
        )
        assert parse(form, f"{start}Do it.{end}", words) == "Do it."
    else:
        assert not form.open or form.prefill


def test_an_example_row_is_not_needed_for_the_layout():
    from opro_local.problems.prompt.layout import Layout

    row, other = (Example(str(i), {"q": f"q{i}"}, f"q{i}", f"a{i}", "") for i in range(2))
    chat = Layout("A_begin", True, False).prompts("Think.", [(other, "a1")], [row])[0]
    assert chat.turns == (("q1", "Think. a1"),) and chat.text == "q0" and chat.prefill == "Think."
    plain = Layout("Q_end", False, True).prompts("Think.", [(other, "a1")], [row])[0]
    assert plain.text == "Q: q1\nThink.\nA: a1\n\nQ: q0\nThink.\nA:" and not plain.chat
    template = Layout("template", False, False, "{instruction} {q} =")
    own = template.prompts(
        "Add:", [(other, "a1")], [row, other], lambda one: [] if one is other else None
    )
    assert [p.text for p in own] == ["Add: q1 = a1\n\nAdd: q0 =", "Add: q1 ="]


def test_a_train_row_is_asked_with_another_of_its_target_in_its_own_place():
    from opro_local.problems.prompt.demonstrations import Demonstrations

    targets = ("yes", "no", "yes", "no", "yes")
    rows = [Example(f"r{i}", {}, f"q{i}", target, "") for i, target in enumerate(targets)]
    known = Demonstrations(rows, own=False)
    without = [example.id for example, _ in known.without(rows[0], ("r1", "r0", "r2"))]
    assert without == ["r1", "r4", "r2"]
    assert [example.id for example, _ in known.without(rows[1], ("r1", "r3", "r0"))] == ["r3", "r0"]


def test_completions_that_were_cut_are_no_traces(tables):
    from opro_local.problems.prompt.demonstrations import Demonstrations

    rows = [Example("a", {}, "q", "t", "")]
    known = Demonstrations(rows, own=True)
    known.note([Solution("x")], rows, [Completion("t and", "length", 5, 0, 2)], [1.0])
    assert known.available() == []
    known.note([Solution("y")], rows, [Completion("t", "stop", 5, 0, 2)], [1.0])
    assert known.available() == [Demonstration("a", "t", 7)]


def test_one_paragraph_of_a_long_parent_is_written_anew(tables):
    """The reply of a constrained chat form replaces the paragraph that was shown, and no other."""
    long = "Read the text.\n\nAnswer in one word.\n\nBe careful."

    def edits(request):
        if request.sampling.seed is None:
            return answer(request)
        asked = request.prompt.text.rpartition("the others stay as they are:\n\n")[2].partition(
            "\n\n"
        )[0]
        return f"<INS>Changed {len(asked)}: {request.sampling.seed}.</INS>"

    search = mixed(
        tables,
        seeds=[long],
        operators=["rewording", "paragraph"],
        generic_seeds=0,
        written_seeds=0,
        steps=3,
    )
    search["task"] = {**search["task"], "description": "reviews"}
    _, trajectory, batches, _ = driven(search, edits)
    made = {p.key for p in trajectory.proposals if p.operator == "paragraph" and p.key}
    texts = [entry.solution.text for entry in trajectory.entries if entry.solution.key in made]
    assert texts
    held = [
        r.sampling.constraint
        for b in batches
        for r in b.requests
        if "Write only this paragraph" in r.prompt.text
    ]
    assert held and all(limit.kind == "regex" for limit in held)
    for text in texts:
        parts = text.split("\n\n")
        assert len(parts) == 3 and any(part.startswith("Changed") for part in parts)


def test_the_task_is_described_once_where_a_form_needs_it(tables):
    def says(request):
        if request.prompt.text.endswith("In short, the task is to"):
            return " tell good from poor numbers."
        return "<INS>Do it.</INS>" if request.sampling.seed is not None else answer(request)

    search = mixed(tables, operators=["paraphrase", "crossover"], steps=1, generic_seeds=1)
    _, trajectory, batches, _ = driven(search, says)
    assert (
        batches[0].label == "0/describe" and trajectory.description == "tell good from poor numbers"
    )
    asked = [
        r.prompt.text for b in batches for r in b.requests if "strengths of both" in r.prompt.text
    ]
    assert all("tell good from poor numbers" in text for text in asked)
    given = {**search, "task": {**search["task"], "description": "reviews"}}
    _, trajectory, batches, _ = driven(given, says)
    assert batches[0].label != "0/describe" and trajectory.description == ""
    plain = mixed(tables, operators=["rewording"], steps=1, generic_seeds=1)
    assert driven(plain, says)[2][0].label != "0/describe"


@pytest.mark.parametrize(
    ("template", "args"),
    [("{{ messages }}", {}), ("{% if enable_thinking %}", {"enable_thinking": False})],
)
def test_thinking_is_switched_off_where_the_template_can(tmp_path, template, args):
    from opro_local.models.cards import card_for

    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    assert card_for(tmp_path).template_args == args
    (tmp_path / "tokenizer_config.json").unlink()
    assert card_for(tmp_path).chat is False
    (tmp_path / "chat_template.jinja").write_text(template)
    assert card_for(tmp_path).chat is True


def test_a_runs_best_json_is_evaluated_as_the_run_asked(tables, tmp_path):
    """Also where the examples show the model's own answers, which an evaluation alone does not
    know.
    """
    from opro_local.runs.plans.evaluation import evaluation_plan
    from opro_local.runs.prompt_file import read_prompts
    from opro_local.runs.run import run

    search = mixed(
        tables,
        demonstrations=2,
        steps=3,
        demonstration_answers="own",
        generic_seeds=0,
        written_seeds=0,
    )
    folder = tmp_path / "run"
    found = run(reading.build(search), folder)
    best = found["best"]
    if "demonstrations" not in best:
        best = {
            "text": "Say it.",
            "demonstrations": [{"id": "data:1", "input": "?", "answer": "the very word"}],
        }
        (folder / "best.json").write_text(json.dumps(best))
    config = reading.build(tables).starting_from(read_prompts(folder / "best.json"))
    ready = evaluation_plan(config)
    solution = ready.problem.seeds()[0]
    shown = ready.problem.demonstrations.worked(solution.demonstrations)
    assert [answer for _, answer in shown] == [row["answer"] for row in best["demonstrations"]]


def test_a_seed_with_an_unknown_example_is_refused(tables):
    seeds = [{"text": "Say it.", "demonstrations": ["data:999"]}]
    with pytest.raises(UsageError, match="no train row 'data:999'"):
        make_plan(reading.build(mixed(tables, seeds=seeds)))
    with pytest.raises(UsageError, match="as many answers as demonstrations"):
        reading.build(
            {"search": {"seeds": [{"text": "x", "demonstrations": ["a", "b"], "answers": ["c"]}]}}
        )
