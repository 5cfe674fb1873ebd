"""Splits and caps of one's own table keep every target's share."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from opro_local.config.settings import TaskSettings
from opro_local.tasks import loading
from opro_local.tasks.division import divide
from opro_local.types import Example


def table(rng: np.random.Generator) -> list[Example]:
    """Rows of two to eight classes in very different shares."""
    classes = int(rng.integers(2, 9))
    shares = rng.dirichlet(np.full(classes, 0.6))
    targets = rng.choice(classes, size=int(rng.integers(60, 2000)), p=shares)
    return [Example(str(n), {}, f"row {n}", f"c{t}", "f") for n, t in enumerate(targets)]


def share_difference(splits) -> float:
    """The largest difference between two splits in one class' share of the rows."""
    counts = [Counter(row.target for row in rows) for rows in splits.values()]
    shares = [{name: c / count.total() for name, c in count.items()} for count in counts]
    names = set().union(*shares)
    return max(
        max(share.get(name, 0) for share in shares) - min(share.get(name, 0) for share in shares)
        for name in names
    )


def test_every_split_has_each_targets_share_to_within_a_row():
    rng = np.random.default_rng(1)
    for seed in range(60):
        rows = table(rng)
        whole = Counter(row.target for row in rows)
        splits = divide(rows, (0.4, 0.2, 0.4), seed, stratified=True)
        at_random = divide(rows, (0.4, 0.2, 0.4), seed)
        assert {s: len(own) for s, own in splits.items()} == {
            s: len(own) for s, own in at_random.items()
        }
        for own in splits.values():
            counts, share = Counter(row.target for row in own), len(own) / len(rows)
            assert max(abs(counts[name] - share * n) for name, n in whole.items()) <= 1


def test_shares_hardly_differ_between_splits():
    """The figures of docs/tasks.md."""
    rng = np.random.default_rng(1)
    by_target, at_random = [], []
    for seed in range(200):
        rows = table(rng)
        by_target.append(share_difference(divide(rows, (0.4, 0.2, 0.4), seed, stratified=True)))
        at_random.append(share_difference(divide(rows, (0.4, 0.2, 0.4), seed)))
    assert (round(max(by_target), 3), round(float(np.median(by_target)), 3)) == (0.077, 0.004)
    assert (round(max(at_random), 3), round(float(np.median(at_random)), 3)) == (0.321, 0.054)


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.1), (0.8, 0, 0.2), (1, 0, 0), (0.3, 0.3, 0.3)])
def test_fractions_of_any_kind(fractions):
    rows = table(np.random.default_rng(3))
    splits = divide(rows, fractions, 0, stratified=True)
    whole = Counter(row.target for row in rows)
    for (split, own), share in zip(splits.items(), (f for f in fractions if f), strict=True):
        counts = Counter(row.target for row in own)
        assert all(abs(counts[c] - share * n) <= 1.05 for c, n in whole.items()), split


def test_seeds_divide_differently_and_the_same_seed_alike():
    rows = table(np.random.default_rng(4))
    drawn = [divide(rows, (0.4, 0.2, 0.4), seed, stratified=True) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_with_the_same_input_stay_together_and_the_parts_keep_their_sizes():
    rows = [Example(str(n), {}, f"row {n // 3}", f"c{n // 3 % 4}", "f") for n in range(300)]
    splits = divide(rows, (0.4, 0.2, 0.4), 0, stratified=True)
    assert {split: len(own) for split, own in splits.items()} == {
        "train": 120,
        "validation": 60,
        "test": 120,
    }
    inputs = [{row.input for row in own} for own in splits.values()]
    assert sum(map(len, inputs)) == len(set.union(*inputs)) == 100
    assert share_difference(splits) == 0


def test_a_cap_keeps_shares_and_older_runs_their_rows(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        targets = ["rare" if n % 10 == 0 else "usual" for n in range(500)]
        csv.writer(stream).writerows([("input", "target"), *enumerate(targets)])
    for seed in range(5):
        task = loading.load(TaskSettings(data=str(path), split_seed=seed, train_rows=20))
        assert Counter(row.target for row in task.splits["train"]) == {"rare": 2, "usual": 18}
        assert [row.target for row in task.labelled] == targets
    before = loading.load(TaskSettings(data=str(path), revision=1, train_rows=5))
    # As drawn by the version before.
    drawn = ["data:103", "data:348", "data:378", "data:381", "data:402"]
    assert [row.id for row in before.splits["train"]] == drawn
