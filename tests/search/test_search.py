"""The search as a generator, fed by hand: order of asks, stop rules, what is shown, what is
rejected.
"""

from __future__ import annotations

import numpy as np
import pytest
from scripted_model import answer

from opro_local.config import reading
from opro_local.config.settings import RunSettings
from opro_local.engines.scripted import ScriptedEngine
from opro_local.problems.ask import ask_once
from opro_local.runs.driver import drive
from opro_local.runs.evaluation import best_of
from opro_local.runs.events import BatchStart, Listener
from opro_local.search.loop import _choose, _finalists, search_train
from opro_local.search.metaprompts import metaprompt
from opro_local.search.proposing import Opro, aim, exemplar_rows, shown_entries, temperature_at
from opro_local.search.state import SearchState
from opro_local.search.stopping import stop_reason
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, BatchResult, Completion, Request, Sampling, Score, Solution


class Numbers:
    """A problem without a model: a solution's score is the number it spells; "bad" is refused."""

    splits = ("train",)

    def seeds(self):
        return [Solution("0.1")]

    def parse(self, text):
        return "bad" if text == "bad" else Solution(text)

    def evaluate(self, solutions, split, label):
        return [Score(float(s.text), np.array([float(s.text), 1.0])) for s in solutions]
        yield

    ask_optimizer = staticmethod(ask_once)

    def format_score(self, value):
        return metaprompt.show_score(value, 100)

    def prompt_variables(self):
        return {"place": "p", "noun": "number", "tag": "INS", "subject": "s"}

    def exemplars(self, indices):
        return [{"input": str(i), "question": str(i), "target": "t"} for i in indices]


FORM = metaprompt.load("brackets")


def settings(**search):
    return reading.build({"search": {"metaprompt": "continuation", **search}, "run": {"seed": 5}})


def walk(config, replies, form="continuation", problem=None):
    """Drive a search with lists of reply texts, one list a step; returns batches, trajectory and
    why it stopped.
    """
    trajectory, batches = Trajectory(), []
    problem = problem or Numbers()
    state = SearchState(problem, config, trajectory)
    asks = search_train(state, Opro(state, metaprompt.load(form)))
    try:
        batch = next(asks)
        while True:
            batches.append(batch)
            texts = replies[len(batches) - 1]
            done = [Completion(text, "stop", 5, 0, 2) for text in texts]
            batch = asks.send(BatchResult(done, 1.0))
    except StopIteration as end:
        return batches, trajectory, end.value


def entry(value, step=0, position=0, values=None):
    values = np.array([value]) if values is None else np.array(values, dtype=float)
    return Entry(
        "train", step, position, Solution(f"{value} {step} {position}"), Score(value, values)
    )


def test_a_step_asks_once_with_distinct_seeds_and_the_settings_of_the_paper():
    batches, trajectory, reason = walk(settings(steps=1), [[f"0.{i}" for i in range(2, 10)]])
    assert [batch.label for batch in batches] == ["1/propose"]
    samplings = [request.sampling for request in batches[0].requests]
    assert len({s.seed for s in samplings}) == 8 and {s.temperature for s in samplings} == {1.0}
    assert len({request.prompt for request in batches[0].requests}) == 1
    assert [e.solution.text for e in trajectory.entries] == [
        "0.1",
        *(f"0.{i}" for i in range(2, 10)),
    ]
    assert reason == "all 1 steps done"


def test_the_same_seed_asks_the_same_and_another_seed_asks_otherwise():
    first = walk(settings(steps=1), [["0.2"] * 8])[0][0]
    again = walk(settings(steps=1), [["0.2"] * 8])[0][0]
    other = walk(settings(steps=1).model_copy(update={"run": RunSettings(seed=6)}), [["0.2"] * 8])[
        0
    ][0]
    assert first == again and first != other


def test_rejections_keep_text_and_reason_and_cost_no_evaluation():
    _, trajectory, _ = walk(settings(steps=1, candidates=4), [["0.5", "0.5", "bad", "0.1"]])
    assert [(r.text, r.reason) for r in trajectory.rejections] == [
        ("0.5", "duplicate: 0.5"),
        ("bad", "bad"),
        ("0.1", "duplicate: 0.1"),
    ]
    assert [e.solution.text for e in trajectory.entries] == ["0.1", "0.5"]


class Unscorable(Numbers):
    """The same, but 0.4 can't be scored; `tried` has what it was asked to score."""

    def __init__(self):
        self.tried = []

    def evaluate(self, solutions, split, label):
        self.tried += [s.text for s in solutions]
        scores = yield from super().evaluate(solutions, split, label)
        return [
            "failed" if s.text == "0.4" else score
            for s, score in zip(solutions, scores, strict=True)
        ]


def test_a_solution_that_can_not_be_scored_is_not_tried_again():
    problem = Unscorable()
    replies = [["0.4", "0.5"], ["0.4", "0.6"], ["0.7", "0.4"]]
    _, trajectory, _ = walk(settings(steps=3, candidates=2), replies, problem=problem)
    assert problem.tried == ["0.1", "0.4", "0.5", "0.6", "0.7"]
    assert [e.solution.text for e in trajectory.entries] == ["0.1", "0.5", "0.6", "0.7"]
    assert [(r.step, r.text, r.reason) for r in trajectory.rejections] == [
        (1, "0.4", "failed"),
        (2, "0.4", "duplicate: 0.4"),
        (3, "0.4", "duplicate: 0.4"),
    ]


def test_what_is_expected_counts_as_seen_before_it_is_scored():
    trajectory = Trajectory()
    trajectory.expect([Solution("a")])
    assert (
        trajectory.seen(Solution("a"))
        and not trajectory.seen(Solution("b"))
        and not trajectory.entries
    )


def test_unparsed_replies_are_rejected_in_the_bracket_form():
    _, trajectory, _ = walk(
        settings(steps=1, candidates=3), [["so: [0.4] ok", "0.7", "[0.6"]], "brackets"
    )
    assert [e.solution.text for e in trajectory.entries] == ["0.1", "0.4"]
    assert [r.reason.partition(":")[0] for r in trajectory.rejections] == ["unparsed", "unparsed"]


@pytest.mark.parametrize(
    ("order", "expected"),
    [("ascending", [0.2, 0.5, 0.9]), ("descending", [0.9, 0.5, 0.2])],
)
def test_history_shows_the_best_in_the_set_order(order, expected):
    trajectory = Trajectory()
    for position, value in enumerate((0.5, 0.1, 0.9, 0.2)):
        trajectory.add(entry(value, 0, position))
    shown = shown_entries(trajectory, settings(history=3, order=order), 1, 99)
    assert [e.score.value for e in shown] == expected


def test_random_order_is_a_permutation_that_depends_on_the_step():
    trajectory = Trajectory()
    for position in range(12):
        trajectory.add(entry(position / 12, 0, position))
    config = settings(order="random")
    orders = [
        [e.position for e in shown_entries(trajectory, config, step, 99)] for step in (1, 1, 2)
    ]
    assert orders[0] == orders[1] != orders[2] and sorted(orders[0]) == list(range(12))


def test_recent_solutions_are_shown_beside_the_top_and_the_threshold_hides_poor_ones():
    trajectory = Trajectory()
    for position, value in enumerate((0.9, 0.8, 0.7, 0.3, 0.1)):
        trajectory.add(entry(value, position, 0))
    shown = shown_entries(trajectory, settings(history=2, recent=2), 6, 99)
    assert [e.score.value for e in shown] == [0.1, 0.3, 0.8, 0.9]
    assert [e.score.value for e in shown_entries(trajectory, settings(threshold=0.75), 6, 99)] == [
        0.8,
        0.9,
    ]


@pytest.mark.parametrize(
    ("buckets", "value", "text"),
    [
        (100, 0.784, "78"),
        (20, 0.784, "80"),
        (20, 0.82, "80"),
        (0, 0.5, None),
        (100, 1.0, "100"),
        (100, -12.5, "-12.5"),
    ],
)
def test_scores_are_shown_in_buckets(buckets, value, text):
    assert metaprompt.show_score(value, buckets) == text


def test_the_aim_is_three_quarters_of_the_way_to_100():
    assert [aim(best) for best in (0.0, 0.78, 1.0, -250.0, 3.0)] == pytest.approx(
        [0.75, 0.945, 1.0, -250.0, 3.0]
    )


def test_linear_schedule_runs_from_start_to_end():
    config = settings(steps=3, schedule="linear", temperature_end=0.0)
    assert [temperature_at(config, step, FORM) for step in (1, 2, 3)] == [1.0, 0.5, 0.0]
    assert temperature_at(settings(), 7, FORM) == 1.0


def exemplars_shown(choice, trajectory, step=1, k=2):
    config = settings(exemplar_choice=choice, exemplars=k)
    return exemplar_rows(config, trajectory, trajectory.top(1), step)


def test_exemplars_are_drawn_as_chosen():
    trajectory = Trajectory()
    trajectory.add(entry(0.9, 0, 0, [1, 1, 1, 0, 1, 1]))  # the one shown is wrong on row 3
    trajectory.add(entry(0.1, 0, 1, [0, 1, 0, 1, 0, 1]))
    trajectory.add(entry(0.1, 0, 2, [0, 1, 0, 1, 1, 1]))
    assert set(exemplars_shown("most_wrong", trajectory)) == {0, 2}
    assert exemplars_shown("shown_wrong", trajectory)[0] == 3
    constant = [exemplars_shown("constant", trajectory, step) for step in (1, 2, 3)]
    assert constant[0] == constant[1] == constant[2]
    drawn = {tuple(exemplars_shown("random", trajectory, step)) for step in range(1, 9)}
    assert len(drawn) > 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"target_score": 0.5}, "target score 0.5 reached"),
        ({"patience": 2}, "no gain above 0 in 2 steps"),
        ({"patience": 2, "min_gain": 0.2, "target_score": None}, "no gain above 0.2 in 2 steps"),
        ({"max_tokens": 10}, "token budget of 10 used"),
        ({"max_seconds": 3}, "time budget of 3 s used"),
        ({}, None),
    ],
)
def test_stop_rules(change, reason):
    trajectory = Trajectory()
    for step, value in enumerate((0.4, 0.5, 0.5, 0.5)):
        trajectory.add(entry(value, step))
    trajectory.tokens, trajectory.seconds = 10, 3.0
    assert stop_reason(trajectory, settings(**change).search, 3) == reason


def test_patience_counts_steps_that_scored_nothing():
    _, trajectory, reason = walk(
        settings(steps=9, candidates=1, patience=2), [["0.5"], ["0.5"], ["0.5"], ["0.5"]]
    )
    assert reason == "no gain above 0 in 2 steps" and len(trajectory.entries) == 2


def test_a_meta_prompt_over_the_context_is_asked_again_with_half_the_history():
    config = settings(steps=1, candidates=1, history=4)
    trajectory = Trajectory()
    state = SearchState(Numbers(), config, trajectory)
    asks = search_train(state, Opro(state, metaprompt.load("continuation")))
    first = next(asks)
    second = asks.send(BatchResult([Completion("", "too_long", 9000, 0, 0)], 0.1))
    assert (first.label, second.label) == ("1/propose", "1/propose/1")


def test_engine_calls_are_two_a_step_and_three_more(tables):
    from opro_local.runs.plans import make_plan

    config = reading.build(tables)
    ready = make_plan(config)
    calls, engine, trajectory = [], ScriptedEngine.of(answer), Trajectory()

    def count(event):
        if isinstance(event, BatchStart):
            calls.append(len(event.batch.requests))

    asks = ready.search(trajectory)
    drive(asks, {"optimizer": engine, "scorer": engine}, trajectory, listener=Listener(count))
    steps = config.search.steps
    assert len(calls) <= 2 * steps + 2 + 1
    train = len(ready.problem.rows["train"])
    assert calls[0] == train and calls[1] == 4 and calls[2] % train == 0


def test_a_batch_label_never_repeats(tables):
    from opro_local.runs.plans import make_plan

    config = reading.build(tables)
    ready = make_plan(config)
    labels = []
    asks = ready.search(Trajectory())
    batch: Batch = next(asks)
    try:
        while True:
            labels.append(batch.label)
            batch = asks.send(BatchResult(ScriptedEngine.of(answer).generate(batch.requests), 0.0))
    except StopIteration:
        pass
    assert len(labels) == len(set(labels)) and labels[-1].endswith("/test")


def test_no_held_out_row_is_ever_in_a_meta_prompt(tables):
    from opro_local.runs.plans import make_plan

    config = reading.build(tables, ["search.exemplars=24", 'search.metaprompt="brackets"'])
    ready = make_plan(config)
    held_out = [row.input for split in ("validation", "test") for row in ready.problem.rows[split]]
    asks = ready.search(Trajectory())
    batch = next(asks)
    seen = 0
    try:
        while True:
            if batch.role == "optimizer":
                seen += 1
                assert not [row for row in held_out if f"{row}\n" in batch.requests[0].prompt.text]
            batch = asks.send(BatchResult(ScriptedEngine.of(answer).generate(batch.requests), 0.0))
    except StopIteration:
        pass
    assert seen == 4


def test_samplings_are_hashable_requests():
    assert Request.__hash__ and hash(Sampling(3, stop=("a",))) == hash(Sampling(3, stop=("a",)))


def scored(train, validation, tokens=None) -> Trajectory:
    """A trajectory of solutions by their values on train and validation, and tokens."""
    known, tokens = Trajectory(), tokens or {}
    for split, table in (("train", train), ("validation", validation)):
        for place, (text, row) in enumerate(table.items()):
            values = np.array(row, float)
            score = Score(float(values.mean()), values, tokens=tokens.get(text, 0))
            known.add(Entry(split, 0, place, Solution(text), score))
    return known


@pytest.mark.parametrize("is_thrifty", [True, False])
def test_of_equal_finalists_the_one_that_is_better_on_validation_wins(is_thrifty):
    train = {"base": [0, 0, 0, 0], "lucky": [1, 1, 1, 1], "sound": [1, 1, 1, 0]}
    validation = {"base": [0, 0, 0, 0], "lucky": [1, 1, 1, 0], "sound": [1, 1, 1, 1]}
    known = scored(train, validation, {"lucky": 1, "sound": 9})
    base, lucky, sound = map(Solution, train)
    assert _choose(known, base, [lucky, sound], 0.25, is_thrifty) == sound


@pytest.mark.parametrize(
    ("tokens", "chosen"),
    [
        ({"first": 90, "second": 40}, "second"),
        ({"first": 40, "second": 90}, "first"),
        ({"first": 40, "second": 40}, "first"),
    ],
)
def test_of_equals_the_cheaper_one_wins(tokens, chosen):
    right, wrong = [0.7, 0.2, 0.1, 1.0], [1.0, 0.1, 0.2, 0.7]  # one sum in two orders
    train = {"base": [0, 0, 0, 0], "first": right, "second": wrong}
    known = scored(train, {"base": [0, 0, 0, 0], "first": wrong, "second": right}, tokens)
    base, first, second = map(Solution, train)
    assert _choose(known, base, [first, second], 0.25, True) == Solution(chosen)
    assert _choose(known, base, [first, second], 0.25, False) == first
    assert _finalists(known, 1, True) == [Solution(chosen)]
    assert _finalists(known, 1, False) == [first]
    entries = [entry for entry in known.entries if entry.solution != base]
    assert best_of(entries, True).solution == Solution(chosen)
    assert best_of(entries, False).solution == first


def test_a_cheaper_prompt_that_is_no_better_leaves_the_first_where_validation_decides():
    same = {"base": [1, 0, 1, 0], "cheap": [1, 0, 1, 0]}
    known = scored(same, same, {"base": 90, "cheap": 10})
    base, cheap = map(Solution, same)
    assert _choose(known, base, [cheap, base], 0.25, True) == base
