"""Whether a run can start does not hang on whether the draw puts a rare label into train."""

from __future__ import annotations

import csv

import pytest
from running import SCRIPT

from opro_local.config import reading
from opro_local.errors import DataError, UsageError
from opro_local.runs.plans.prompt import prompt_plan


@pytest.fixture(scope="module")
def mails(tmp_path_factory):
    """A hundred mails, of which two are "legal"."""
    path = tmp_path_factory.mktemp("mails") / "mails.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        labels = ["work", "private"] * 49 + ["legal"] * 2
        csv.writer(stream).writerows(
            [("input", "target"), *((f"mail {n}", label) for n, label in enumerate(labels))]
        )
    return path


def plan(data, **task):
    scorer = {"engine": "scripted", "model": "scripted", "script": SCRIPT}
    data = {"data": str(data)} if data else {}
    return prompt_plan(reading.build({"task": {**data, **task}, "scorer": scorer}))


@pytest.mark.parametrize("seed", range(8))
def test_every_draw_of_rows_with_a_rare_label_is_a_run(mails, seed):
    problem = plan(mails, split_seed=seed).problem
    assert problem.rule.name == "labels" and problem.rule.extract("a legal mail") == "legal"


def test_a_run_with_a_rule_that_is_none_is_told_of_the_judge(mails):
    with pytest.raises(UsageError, match="sql, judge or"):
        plan(mails, rule="fuzzy")


def test_labels_that_no_train_row_has_are_told(mails):
    told = [plan(mails, split_seed=seed, revision=1).notices for seed in range(8)]
    assert {notice for notices in told for notice in notices if "labels that" in notice} == {
        "labels that no train row has: 'legal'"
    }


def test_targets_that_are_no_labels_are_still_refused(tmp_path):
    """A label set as large as a split of free texts would accept every target of it."""
    for split, targets in (
        ("train", ["spam", "work"] * 4),
        ("test", ["spam", *(f"text {n}" for n in range(30))]),
    ):
        with (tmp_path / f"{split}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(
                [("input", "target"), *((f"{split} {n}", t) for n, t in enumerate(targets))]
            )
    files = {split: str(tmp_path / f"{split}.csv") for split in ("train", "test")}
    with pytest.raises(DataError, match="'text 0' fails its own rule labels"):
        plan(None, **files, rule="labels")
    notices = plan(None, **files).notices
    assert any(notice.startswith("rule exact, chosen by auto: ") for notice in notices)
