"""One answer to every row: every result knows what it would earn, and no gain over the first prompt
hides that a winner does no more than that.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from running import SCRIPT
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.config import reading
from opro_local.config.task import TaskSettings
from opro_local.engines.scripted import ScriptedEngine
from opro_local.exports.formats import export
from opro_local.problems.prompt.constant import constant_answer
from opro_local.problems.prompt.row_classes import row_classes
from opro_local.report.page import write_report
from opro_local.runs.class_words import class_words
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.runs.reading import describe
from opro_local.runs.run import run
from opro_local.runs.run_result import RunResult
from opro_local.runs.store import open_store
from opro_local.runs.verification import verify
from opro_local.scoring.choosing import make_rule
from opro_local.scoring.classes import class_figures
from opro_local.types import Example

FIRST, BETTER = "What is it?", "Name the kind."
VERDICT = "no reliable gain over a constant answer"


def is_urgent(number: int) -> bool:
    """One row in seven."""
    return number % 7 == 3


def truth(number: int) -> str:
    return "urgent" if is_urgent(number) else "routine"


def never_read(number: int) -> str:
    return "well ..."


def always_routine(number: int) -> str:
    return "routine"


def hardly_ever_urgent(number: int) -> str:
    """Right for one rare row in nine, and wrong for none of the others."""
    return "urgent" if number % 63 == 3 else "routine"


def alerts_tables(folder):
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = [(f"Number {number}", truth(number)) for number in range(280)]
        csv.writer(stream).writerows([("text", "label"), *rows])
    model = {"engine": "scripted", "script": SCRIPT}
    return {
        "task": {
            "data": str(folder / "rows.csv"),
            "input": "text",
            "target": "label",
            "split": [0.3, 0.2, 0.5],
        },
        "scorer": {**model, "max_tokens": 8},
        "optimizer": model,
        "search": {
            "mode": "opro",
            "steps": 1,
            "candidates": 1,
            "seeds": [FIRST, BETTER],
            "metaprompt": "continuation",
        },
    }


@pytest.fixture
def alerts(tmp_path):
    return alerts_tables(tmp_path)


def scripted(plan, answers) -> ScriptedEngine:
    """A model that answers each prompt with a function of its own; read labels are sure."""

    def answer(request) -> str:
        text = f"{request.prompt.system or ''}{request.prompt.text}"
        if "Number" not in text:
            return "x"
        own = answers[1] if BETTER in text else answers[0]
        said = own(int(text.rpartition("Number ")[2].split()[0]))
        if not request.sampling.labels:
            return said
        return json.dumps({one: -0.1 if one == said else -3.0 for one in request.sampling.labels})

    return ScriptedEngine.of(answer)


def finished(plan, folder, *answers) -> RunResult:
    engine = scripted(plan, answers)
    others = {role: engine for role in plan.models}
    return run(replace(plan, models={}, others=others), folder)


def shown(*arguments) -> str:
    said = CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "400"})
    assert said.exit_code == 0, said.output
    return said.output


@pytest.mark.parametrize(
    ("better", "verdict"),
    [
        (always_routine, VERDICT),
        (hardly_ever_urgent, VERDICT),
        (truth, "reliable gain"),
    ],
)
def test_a_gain_that_one_answer_would_have_made_is_not_called_reliable(
    alerts, better, verdict, tmp_path
):
    folder = tmp_path / "run"
    result = finished(make_plan(reading.build(alerts)), folder, never_read, better)
    test = result.test
    share = test.best.classes.majority_share
    assert result.best.text == BETTER and test.difference.value > 0.8
    assert result.verdict == verdict
    for sides in (result.train, result.validation, test):
        assert sides.constant.answer == "routine"
        assert sides.constant.value == sides.constant.accuracy
        assert 0.8 < sides.constant.accuracy < 0.9
    assert test.constant.accuracy == pytest.approx(share)
    assert test.constant.difference.value == pytest.approx(test.best.accuracy - share)
    record = json.loads((folder / "result.json").read_text())
    assert record["test"]["constant"]["answer"] == "routine"
    assert RunResult.from_json(record).to_json() == record
    best = json.loads((folder / "best.json").read_text())
    assert best["scores"]["test"]["constant"]["value"] == test.constant.value


def test_what_a_winner_like_that_does_is_said_wherever_the_verdict_is(alerts, tmp_path):
    folder = tmp_path / "run"
    result = finished(make_plan(reading.build(alerts)), folder, never_read, always_routine)
    n = result.test.best.n
    said = f"The best prompt answers 'routine' to {n} of {n} test rows, as a constant answer would"
    gap = "It gains on the first prompt, and not reliably on always answering 'routine': "
    page = write_report(folder).read_text()
    for text in (shown("show", folder), "\n".join(result.summary), result._repr_html_(), page):
        text = text.replace("&#39;", "'").replace("&#x27;", "'")
        assert f"Verdict: {VERDICT}. {gap}difference +0.0 points" in text
        assert said in text and 'balanced_accuracy"' in text.replace("&#34;", '"').replace(
            "&quot;", '"'
        )
    assert "One answer to all" in page
    assert VERDICT in shown("list", tmp_path)
    card = export(result.prompt, "markdown")
    share = result.test.constant.value
    assert f"Always answering routine would have {share:.3f}." in card
    assert "not shown to be better than one answer to every row" in card
    assert "keep that one" not in card


@pytest.mark.parametrize(
    ("usual", "others", "right", "given", "said"),
    [
        # Rare, and found: nearly all rows get the answer that nearly all have.
        (97, 3, 3, 97, None),
        (97, 3, 2, 98, None),
        (97, 3, 1, 99, "'routine' to 99 of 100 test rows, as a constant answer would, and is right "
            "on 1 of the 3 rows with another label"),
        (80, 20, 0, 100, "to 100 of 100 test rows, as a constant answer would, and is right on 0 "
            "of the 20 rows"),
        (80, 20, 5, 95, "to 95 of 100 test rows, as a constant answer would, and is right on 5 of"),
        # It gives the other answer to more than one row in twenty.
        (80, 20, 6, 94, None),
        (50, 50, 0, 100, "to 100 of 100 test rows"),
    ],
)  # fmt: skip
def test_a_winner_that_hardly_ever_gives_another_answer(
    alerts_run, usual, others, right, given, said
):
    targets = ["routine"] * usual + ["urgent"] * others
    answers = ["routine"] * usual + ["urgent"] * right
    answers += ["routine"] * (others - right)
    classes = class_figures(targets, answers)
    assert classes.usual == ("routine", given)
    search = alerts_run.search
    best = replace(search.test.best, classes=classes)
    outcome = replace(search, test=replace(search.test, best=best), verdict="reliable gain")
    lines = class_words(outcome)
    told = [line for line in lines if "as a constant answer would" in line]
    assert len(told) == (said is not None)
    if said:
        assert said in told[0]
    # Where both labels are common, accuracy sees them.
    assert any("counts every label alike" in line for line in lines) == bool(said and usual > 75)


@pytest.fixture(scope="module")
def alerts_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alerts")
    made = alerts_tables(folder)
    return finished(make_plan(reading.build(made)), folder / "run", never_read, truth)


def test_labels_that_are_read_are_held_to_the_same(alerts, tmp_path):
    alerts["task"] |= {"answer": "label_probability", "rule": "labels"}
    for name, better, verdict in (
        ("alike", always_routine, "no reliable gain"),
        ("apart", truth, "reliable gain"),
    ):
        config = reading.build(alerts)
        result = finished(make_plan(config), tmp_path / name, always_routine, better)
        assert result.verdict == verdict
        share = result.test.best.classes.majority_share
        assert result.test.constant.value == pytest.approx(share)
        told = any("as a constant answer would" in line for line in result.summary)
        assert told == (better is always_routine)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "mcc"])
def test_by_a_metric_of_classes_one_answer_is_measured_so(alerts, metric, tmp_path):
    alerts["task"]["metric"] = metric
    made = finished(
        make_plan(reading.build(alerts)), tmp_path / "run", never_read, hardly_ever_urgent
    )
    constant, share = made.test.constant, made.test.best.classes.majority_share
    wanted = {"balanced_accuracy": 0.5, "mcc": 0.0}
    assert constant.value == pytest.approx(wanted[metric])
    assert constant.accuracy == pytest.approx(share)
    assert made.verdict == VERDICT
    assert constant.difference.value == pytest.approx(made.test.best.value - constant.value)
    told = f"always answering 'routine' would score {100 * constant.value:.1f} in {metric}"
    assert any(told in line for line in made.summary)


def test_a_result_of_a_build_that_knew_no_constant_answer_is_still_what_its_completions_say(
    alerts, tmp_path
):
    config, folder = reading.build(alerts), tmp_path / "run"
    finished(make_plan(config), folder, never_read, always_routine)
    store = open_store(folder)
    kept, prompt = store.get("result"), store.get("prompt")
    for split in ("train", "validation", "test"):
        del kept[split]["constant"], prompt["scores"][split]["constant"]
    kept |= {"verdict": "reliable gain", "summary": ["Verdict: reliable gain."]}
    prompt["run"]["verdict"] = "reliable gain"
    store.put(result=kept, prompt=prompt)
    store.close()
    for name, record in (("result.json", kept), ("best.json", prompt)):
        (folder / name).write_text(json.dumps(record))
    assert describe(folder).verdict == "reliable gain"
    assert verify(folder, deep=True, trust_code=True).damaged == ()
    # A build that knows it says so.
    told = finished(make_plan(config), tmp_path / "again", never_read, always_routine)
    assert told.verdict == VERDICT
    store = open_store(tmp_path / "again")
    forged = {**store.get("result"), "verdict": "reliable gain"}
    store.put(result=forged)
    store.close()
    (tmp_path / "again" / "result.json").write_text(json.dumps(forged))
    damaged = verify(tmp_path / "again", deep=True, trust_code=True).damaged
    assert any("verdict is 'reliable gain', not" in one.what for one in damaged)


@pytest.mark.parametrize("make", [make_plan, evaluation_plan])
def test_sentences_of_a_build_that_knew_none_are_not_held_against_it(alerts, make, tmp_path):
    """Also without test rows, and of an evaluation."""
    alerts["task"]["split"] = [0.6, 0.4, 0.0]
    alerts["evaluation"] = {"split": "validation"}
    finished(make(reading.build(alerts)), tmp_path / "run", never_read, always_routine)
    store = open_store(tmp_path / "run")
    kept = store.get("result")
    assert "constant" in {**kept, **kept.get("validation", {})}
    for record in (kept, kept.get("train", {}), kept.get("validation", {})):
        record.pop("constant", None)
    kept["summary"] = ["Other words."]
    store.put(result=kept)
    store.close()
    (tmp_path / "run" / "result.json").write_text(json.dumps(kept))
    assert verify(tmp_path / "run", deep=True, trust_code=True).damaged == ()


def rows(*targets: str) -> list[Example]:
    return [Example(str(n), {}, f"row {n}", one, "") for n, one in enumerate(targets)]


@pytest.mark.parametrize(
    ("rule", "metric", "targets", "answer", "value"),
    [
        ("labels", "accuracy", ["a", "b", "a", "a"], "a", 0.75),
        ("labels", "accuracy", ["b", "a", "a", "b"], "b", 0.5),
        ("labels", "balanced_accuracy", ["a", "b", "c", "a", "b", "a"], "a", 1 / 3),
        # Always the label: any other answer has no F1 of it.
        ("labels", "f1:b", ["a", "b", "a", "a", "b", "a"], "b", 0.5),
        ("labels", "f1:a", ["a", "b", "a", "a", "b", "a"], "a", 0.8),
        ("boolean", "accuracy", ["Yes", "no", "yes", "no", "No"], "no", 0.6),
        ("number", "accuracy", ["5", "5.0", "7", "8"], "5", 0.5),
        ("exact", "accuracy", ["Paris", "paris", "Rome"], "Paris", 2 / 3),
        ("exact", "macro_f1", ["in", "in", "in", "out"], "in", 3 / 7),
        ("labels_set", "macro_f1", ["a; b", "a", "a", "b"], "a", 3 / 7),
        ("labels_set", "f1:b", ["a; b", "a", "a", "b", "b"], "b", 0.75),
        # Nothing is there twice: answers are texts.
        ("exact", "accuracy", ["one", "two", "three"], None, None),
        # Programs and texts.
        ("bleu", "accuracy", ["same text", "same text"], None, None),
    ],
)
def test_the_one_answer_by_rule_and_metric(rule, metric, targets, answer, value):
    examples = rows(*targets)
    made = make_rule(rule, examples=examples)
    settings = TaskSettings(name="table", metric=metric)
    classes = row_classes(settings, made, {"test": examples})
    found = constant_answer(made, examples, "test", classes)
    if answer is None:
        assert found is None
        return
    assert found.answer == answer
    assert found.score.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("task", "is_said"),
    [
        ({}, True),
        ({"metric": "mean"}, True),
        ({"answer": "label_probability", "rule": "labels"}, True),
        # Whoever counts by class knows.
        ({"metric": "macro_f1"}, False),
        ({"metric": "f1:urgent"}, False),
    ],
)
def test_a_search_on_a_table_with_a_rare_label_begins_with_a_line(alerts, task, is_said):
    alerts["task"] |= task
    config = reading.build(alerts)
    said = [line for line in make_plan(config).notices if "is rare" in line]
    assert len(said) == is_said
    if is_said:
        assert said[0].startswith("the label 'urgent' is rare (40 of 280 rows): accuracy has 86 %")
        (setting,) = [word for word in said[0].split() if word.startswith("task.metric=")]
        # What it says can be set.
        changed = reading.build(alerts, [setting])
        assert make_plan(changed).problem.constant("test").score.value == pytest.approx(0.5)
    # An evaluation measures prompts as they are, and names the largest class at its end.
    assert not [line for line in evaluation_plan(config).notices if "is rare" in line]


def test_a_judge_has_no_constant_answer(alerts):
    alerts["task"]["rule"] = "judge"
    alerts["judge"] = dict(alerts["scorer"])
    assert make_plan(reading.build(alerts)).problem.constant("test") is None


def test_an_evaluation_names_the_prompts_that_one_answer_is_as_good_as(alerts, tmp_path):
    alerts["evaluation"] = {"split": "test"}
    plan = evaluation_plan(reading.build(alerts))
    result = finished(plan, tmp_path / "run", always_routine, truth)
    outcome = result.evaluation
    share = outcome.prompts[0].figures.accuracy
    assert outcome.constant.value == pytest.approx(share) and outcome.constant.difference is None
    said = f"would score {100 * share:.1f}; prompts that do no better: 1."
    assert any(said in line for line in outcome.summary)
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["constant"]["answer"] == "routine"
    assert RunResult.from_json(record).to_json() == record
