"""What a tracker is told of a run: settings without secrets, metrics by step, figures, texts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from opro_local.config.reading import FREE
from opro_local.config.settings import Config
from opro_local.errors import DamageError, StoreError
from opro_local.runs.events import Interrupted, Listener
from opro_local.runs.reading import describe, scored
from opro_local.runs.run import run
from opro_local.tracking.parameters import HIDDEN, parameters, shortened
from opro_local.tracking.record import tracked_run


def by_name(folder: Path) -> dict[str, dict[int, float]]:
    points: dict[str, dict[int, float]] = {}
    for point in tracked_run(folder).points:
        own = points.setdefault(point.name, {})
        assert point.step not in own, "two values of one step"
        own[point.step] = point.value
    return points


def test_figures_by_step_are_those_of_the_store(finished_once):
    points, rows = (
        by_name(finished_once),
        [row for row in scored(finished_once) if row["split"] == "train"],
    )
    result = describe(finished_once)
    assert sorted(points["train/best"]) == [0, 1, 2]
    for step, best in points["train/best"].items():
        own = [row for row in rows if row["step"] <= step]
        assert best == max(row["score"] for row in own if not row["partial"])
        assert points["train/pairs"][step] == sum(row["n"] for row in own)
    assert points["tokens/prompt"][2] == result.costs.tokens["prompt"]
    assert points["tokens/completion"][2] == result.costs.tokens["completion"]


def test_figures_of_the_end_have_their_intervals(finished_once):
    points, test = by_name(finished_once), describe(finished_once).test
    low, high = test.best.interval
    last = {name: own[2] for name, own in points.items()}
    assert (last["test/best"], last["test/best_low"], last["test/best_high"]) == (
        *(test.best.accuracy, low, high),
    )
    assert last["test/baseline"] == test.baseline.accuracy
    assert (last["test/difference_low"], last["test/difference_high"]) == test.difference.interval
    assert last["test/difference_p_value"] == test.difference.p_value
    assert last["validation/best"] == describe(finished_once).validation.best.accuracy


def test_texts_and_files_are_the_runs(finished_once):
    came, result = tracked_run(finished_once), describe(finished_once)
    assert came.tags["opro_local.verdict"] == result.verdict
    assert came.tags["opro_local.best"] == result.best.text
    assert came.tags["opro_local.digest"] == result.digest
    assert [file.name for file in came.files] == ["result.json", "best.json", "best.txt"]
    assert came.prompt["tags"]["opro_local.run_digest"] == result.digest
    assert came.state == "finished" and came.began <= came.ended and came.notices == ()


def stopped(config, folder, batches):
    seen = iter(range(batches))
    with pytest.raises(Interrupted):
        run(config, folder, Listener(should_stop=lambda: next(seen, None) is None))


def test_what_was_told_of_a_run_that_goes_on_stays_true(build, tmp_path, finished_once):
    whole = set(tracked_run(finished_once).points)
    whole = {(point.name, point.step, point.value) for point in whole}
    for batches in (1, 4, 5):
        folder = tmp_path / f"runs/stopped{batches}"
        stopped(build(), folder, batches)
        came = tracked_run(folder)
        told = {(point.name, point.step, point.value) for point in came.points}
        assert told <= whole and came.state == "interrupted"
        assert "opro_local.verdict" not in came.tags and came.prompt is None
        assert not any(name.startswith(("test", "validation")) for name, _, _ in told)
    assert {step for _, step, _ in told} == {0, 1}


def test_a_key_is_of_the_folder_and_of_what_cant_change_in_it(build, tmp_path):
    folder = tmp_path / "runs" / "a"
    stopped(build(), folder, 1)
    key = tracked_run(folder).key
    stopped(build("search.steps=5", 'run.name="other"'), folder, 1)
    assert tracked_run(folder).key == key
    shutil.rmtree(folder)
    stopped(build("run.seed=4"), folder, 1)
    assert tracked_run(folder).key != key


@pytest.mark.parametrize("what", ["store", "result.json"])
def test_nothing_is_taken_from_a_damaged_run(mails, what):
    if what == "store":
        file = mails / "run.sqlite"
        content = file.read_bytes()
        (mails / "run.sqlite").write_bytes(content.replace(b'"verdict"', b'"verdikt"'))
    else:
        text = (mails / what).read_text()
        (mails / what).write_text(text.replace('"accuracy"', '"accurasy"', 1))
    with pytest.raises(DamageError):
        tracked_run(mails)


def test_a_folder_without_a_run_is_said(tmp_path):
    with pytest.raises(StoreError, match="there is no run here"):
        tracked_run(tmp_path)


SECRETS = {
    "problem.environment": {"KEY": "hunter2"},
    "scorer.engine_args": {"hf_token": "hunter2", "deep": {"api_key": "hunter2", "a": 1}},
    "scorer.base_url": "http://me:hunter2@127.0.0.1:8000/v1",
    "scorer.template_args": {"password": "hunter2", "list": [{"Secret": "hunter2"}]},
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_a_parameter(name):
    section, key = name.split(".")
    made = parameters({section: {key: SECRETS[name]}})
    assert list(made) == [name] and "hunter2" not in made[name]


def test_names_and_plain_settings_stay():
    made = parameters(
        {
            "problem": {"environment": {"B": "x", "A": "y"}},
            "scorer": {"engine_args": {"max_num_batched_tokens": 8, "api_key": "x"}},
            "search": {"steps": 20, "candidates": 8, "history": Config().search.history},
            "task": {"labels": ["a", "b"]},
        }
    )
    assert made["problem.environment"] == '["A", "B"]'
    assert made["scorer.engine_args"] == f'{{"max_num_batched_tokens": 8, "api_key": "{HIDDEN}"}}'
    assert made["task.labels"] == '["a", "b"]' and made["search.steps"] == "20"
    assert "search.history" not in made


def test_settings_that_may_change_are_told_but_in_no_key(finished_once):
    named = ("task.data", "run.name", "search.steps", "scorer.model", "optimizer.model")
    scripts = ("scorer.script", "optimizer.script")
    assert set(tracked_run(finished_once).params) & FREE == {*named, *scripts}


@pytest.mark.parametrize(("text", "most", "expected"), [("abc", 3, "abc"), ("\ud800", 9, "?")])
def test_short_texts_stay(text, most, expected):
    assert shortened(text, most) == expected


def test_a_long_text_says_how_long_it_is():
    assert len(shortened("x" * 100, 40)) == 40
    assert shortened("x" * 100, 40).endswith(" ... (100 characters)")
