"""What `task.answer = "auto"` comes to, by labels, settings and engines; and what runs do that were
begun before it.
"""

from __future__ import annotations

import csv
import itertools
import json

import model_folders
import pytest

from opro_local.config import reading
from opro_local.engines.scripted import ScriptedEngine
from opro_local.errors import DataError, UsageError
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan
from opro_local.scoring.function import Function

TOPICS = ("sports", "money", "health", "travel")
NOTICE = "no answers are written"


@pytest.fixture
def rows(tmp_path):
    model_folders.whole(tmp_path / "model")
    (tmp_path / "a.py").write_text("def answer(request):\n    return 'money'\n")

    def written(targets, count=48):
        with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as stream:
            given = itertools.islice(itertools.cycle(targets), count)
            texts = [(f"row {n}", target) for n, target in enumerate(given)]
            csv.writer(stream).writerows([("text", "label"), *texts])
        return tmp_path

    return written


def config(folder, task=(), scorer=(), **more):
    model = str(folder / "model")
    return reading.build(
        {
            "task": {
                "data": str(folder / "rows.csv"),
                "input": "text",
                "target": "label",
                **dict(task),
            },
            "scorer": {"model": model, **dict(scorer)},
            "optimizer": {"model": model},
            "search": {"seeds": ["Say which."]},
            **more,
        }
    )


def way(plan):
    assert (plan.problem.labelling is not None) == (plan.config.task.answer == "label_probability")
    assert any(NOTICE in line for line in plan.notices) == (plan.problem.labelling is not None)
    return plan.config.task.answer


@pytest.mark.parametrize(
    ("targets", "count", "expected"),
    [
        (TOPICS, 48, "label_probability"),
        (TOPICS[:3], 12, "label_probability"),
        ([f"label {n}" for n in "abcdefghijkl"], 48, "label_probability"),
        (TOPICS[:2], 48, "text"),  # docs/benchmarks/2026-11-search.md
        ([f"label {n}" for n in "abcdefghijkl"], 47, "text"),  # fewer than four rows a label
        (["yes", "no"], 48, "text"),
        (["Money", "money", "health", "travel"], 48, "text"),  # one label in two spellings
        (["not_spam", "not spam", "spam", "news"], 48, "text"),
        (["1", "2", "3", "4"], 48, "text"),  # may be counted
        (["17", "305", "12.5", "8", "9"], 48, "text"),
        (["A", "B", "C", "D"], 48, "text"),  # the letters of options
        (['{"kind": "a"}', '{"kind": "b"}', '{"kind": "c"}'], 48, "text"),
    ],
)
def test_labels_and_rows(rows, targets, count, expected):
    assert way(make_plan(config(rows(targets, count)))) == expected


@pytest.mark.parametrize(
    ("task", "scorer", "expected"),
    [
        ({"rule": "labels"}, {}, "label_probability"),
        ({"labels": list(TOPICS)}, {}, "label_probability"),
        ({"metric": "balanced_accuracy"}, {}, "label_probability"),
        ({}, {"engine": "vllm"}, "label_probability"),
        ({}, {"engine": "transformers"}, "label_probability"),
        ({}, {"max_tokens": 32}, "label_probability"),
        ({}, {"max_tokens": 33}, "text"),  # room for reasons
        ({}, {"constrain": "labels"}, "text"),
        ({}, {"thinking_tokens": 100}, "text"),
        ({}, {"thinking_tokens": 0}, "label_probability"),
        ({"second_round": True}, {}, "text"),
        ({"rule": "exact"}, {}, "text"),
        ({"rule": "contains"}, {}, "text"),
        ({"rule": "opro"}, {}, "text"),
        ({"rule": "labels_set"}, {}, "text"),
        ({"rule": "regex", "pattern": "(money|health)"}, {}, "text"),
        ({"answer": "text"}, {}, "text"),
    ],
)
def test_settings(rows, task, scorer, expected):
    assert way(make_plan(config(rows(TOPICS), task, scorer))) == expected


@pytest.mark.parametrize(
    ("targets", "task", "labels"),
    [
        (["yes", "Yes", "no"], {}, ("no", "yes")),
        (["Yes", "yes", "no", "Yes"], {}, ("Yes", "no")),  # the commonest spelling
        (["not_spam", "not spam", "spam"], {}, ("not_spam", "spam")),
        (["R&D", "R and D", "sales"], {}, ("R&D", "sales")),
        (["gro\u0308ße", "größe", "farbe"], {}, ("farbe", "gro\u0308ße")),
        (["true", "yes", "no", "No"], {"rule": "boolean"}, ("no", "true")),
        (["A", "(A)", "B"], {"rule": "choice"}, ("A", "B")),
        (["yes", "no"], {"labels": ["Yes", "yes", "no"]}, ("Yes", "no")),
        (["yes", "no"], {"labels": [" yes", "no "]}, ("no", "yes")),
        (["1", "1.0", "01"], {}, ("01", "1", "1.0")),  # three names to the rule, as they stand
    ],
)
def test_a_label_is_read_in_one_spelling(rows, targets, task, labels):
    given = {"rule": "labels", "answer": "label_probability", **task}
    plan = make_plan(config(rows(targets), given))
    assert plan.problem.labelling.labels == labels


@pytest.mark.parametrize(
    ("targets", "task", "words"),
    [
        (["yes", "Yes"], {"rule": "boolean"}, "there is 1"),
        (["yes", "no"], {"labels": ["yes", " ", "no"]}, "one of task.labels is empty"),
    ],
)
def test_what_are_not_two_labels_is_refused_before_a_model_is_loaded(rows, targets, task, words):
    given = {"rule": "labels", "answer": "label_probability", **task}
    with pytest.raises(UsageError, match=words):
        make_plan(config(rows(targets), given))


def test_a_search_says_which_labels_it_has_no_rows_for(rows):
    folder = rows(("a", "b"))
    table = (folder / "rows.csv").read_text()
    (folder / "only.csv").write_text("text,label\n" + "".join(f"more {n},a\n" for n in range(9)))
    more = {"labels": ["a", "b", "c"], "rule": "labels", "answer": "label_probability"}
    unfitted = "no train or validation row has 'c': the bias"
    (line,) = (n for n in make_plan(config(folder, more)).notices if "no train" in n)
    assert line.startswith(unfitted)
    written = make_plan(config(folder, {**more, "answer": "text"})).notices
    assert not any("no train" in line for line in written)
    files = {"train": "rows.csv", "validation": "rows2.csv", "test": "only.csv"}
    (folder / "rows2.csv").write_text(table.replace("row ", "other "))
    parts = {split: str(folder / name) for split, name in files.items()}
    task = {"rule": "labels", "metric": "f1:b", "data": None, **parts}
    (line,) = (n for n in make_plan(config(folder, task)).notices if "says nothing" in n)
    assert line == "test has no row with 'b': f1:b says nothing of it there"


@pytest.mark.parametrize(
    ("labels", "answer", "context", "words"),
    [
        # Labels of two words need no room for the 32 tokens of a written answer.
        (("on time", "too late"), "label_probability", 90, None),
        (("on time", "too late"), "text", 90, "and 32 for the answer, the scorer's context has"),
        (("on time", "too late"), "label_probability", 20, "and 3 for the longest label, the"),
        # A label that is longer than a written answer may be has to fit as well.
        (("long " * 90, "short"), "label_probability", 150, "and 91 for the longest label, the"),
        (("long " * 90, "short"), "label_probability", 300, None),
    ],
)
def test_what_has_to_fit_after_a_row_is_the_longest_label(rows, labels, answer, context, words):
    task = {"rule": "labels", "answer": answer}
    more = {"search": {"seeds": ["Say which."], "max_characters": 500}}
    plan = make_plan(config(rows(labels), task, {"max_tokens": 32}, **more))
    engine = ScriptedEngine.of(lambda request: "", max_model_len=context)
    if words is None:
        plan.check({"scorer": engine})
    else:
        with pytest.raises(DataError, match=words):
            plan.check({"scorer": engine})


def test_engines_that_host_no_folder_write(rows):
    folder = rows(TOPICS)
    scripted = {"engine": "scripted", "script": f"{folder / 'a.py'}:answer", "model": ""}
    assert way(make_plan(config(folder, scorer=scripted))) == "text"
    served = {"engine": "openai", "base_url": "http://127.0.0.1:1/v1", "model": "m"}
    assert way(make_plan(config(folder, scorer=served))) == "text"


def test_what_is_asked_for_is_said_by_nobody_again(rows):
    plan = make_plan(config(rows(TOPICS), {"answer": "label_probability"}))
    assert plan.config.task.answer == "label_probability"
    assert not any(NOTICE in line for line in plan.notices)


def test_prompts_that_somebody_has_are_measured_by_what_they_write(rows):
    given = config(rows(TOPICS), evaluation={"split": "validation"})
    assert way(evaluation_plan(given)) == "text"
    asked = config(rows(TOPICS), {"answer": "label_probability"})
    assert evaluation_plan(asked).config.task.answer == "label_probability"


def test_a_function_that_scores_reads_what_is_written(rows):
    from opro_local.runs.plans.prompt import prompt_plan

    metric: Function = lambda answer, target, columns: answer == target  # noqa: E731
    assert way(prompt_plan(config(rows(TOPICS)), metric=metric)) == "text"


@pytest.mark.parametrize("stored", [{}, {"answer": "text"}])
def test_a_run_begun_before_goes_on_with_written_answers(rows, stored):
    now = config(rows(TOPICS))
    dump = json.loads(make_plan(now).config.canonical())
    del dump["task"]["answer"]
    before = {**dump, "task": {**dump["task"], **stored}}
    plan = make_plan(reading.as_begun(now, before))
    assert way(plan) == "text"
    assert reading.changes(before, json.loads(plan.config.canonical())) == []


def test_a_run_goes_on_as_it_was_settled(rows):
    plan = make_plan(config(rows(TOPICS)))
    kept = json.loads(plan.config.canonical())
    fewer = config(rows(TOPICS), scorer={"engine": "openai", "base_url": "http://127.0.0.1:1"})
    assert reading.as_begun(fewer, kept).task.answer == "label_probability"
