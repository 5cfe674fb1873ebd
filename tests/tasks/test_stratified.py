"""Splits and caps of one's own table keep every target's share."""

from __future__ import annotations

import csv
from collections import Counter

import numpy as np
import pytest

from opro_local.config.task import TaskSettings
from opro_local.tasks import loading
from opro_local.tasks.division import by_kind_of_target, by_target, divide
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
        splits = divide(rows, (0.4, 0.2, 0.4), seed, by_target(rows))
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
    even, at_random = [], []
    for seed in range(200):
        rows = table(rng)
        even.append(share_difference(divide(rows, (0.4, 0.2, 0.4), seed, by_target(rows))))
        at_random.append(share_difference(divide(rows, (0.4, 0.2, 0.4), seed)))
    assert (round(max(even), 3), round(float(np.median(even)), 3)) == (0.077, 0.004)
    assert (round(max(at_random), 3), round(float(np.median(at_random)), 3)) == (0.321, 0.054)


def amounts(rng: np.random.Generator) -> list[Example]:
    """Rows whose targets are amounts, few of them twice: prices, sizes, durations, years."""
    drawn = {
        "price": lambda n: np.round(rng.lognormal(3, 1.5, n), 2),
        "size": lambda n: rng.pareto(1.2, n).round(3),
        "duration": lambda n: rng.exponential(400, n).round(1),
        "change": lambda n: rng.normal(0, 30, n).round(3),
    }
    kind = list(drawn)[int(rng.integers(len(drawn)))]
    numbers = drawn[kind](int(rng.integers(60, 1000)))
    return [Example(str(n), {}, f"row {n}", f"{x:,}", "f") for n, x in enumerate(numbers)]


def gap(splits) -> float:
    """The largest difference between two splits in the share of rows up to any number."""
    numbers = {
        s: np.sort([float(r.target.replace(",", "")) for r in own]) for s, own in splits.items()
    }
    every = np.sort(np.concatenate(list(numbers.values())))
    below = [np.searchsorted(own, every, side="right") / len(own) for own in numbers.values()]
    return float(np.max(np.max(below, axis=0) - np.min(below, axis=0)))


def gaps(tables: int) -> tuple[list[float], list[float]]:
    """The gaps of so many tables, divided in bands and by value."""
    rng = np.random.default_rng(1)
    in_bands, by_value = [], []
    for seed in range(tables):
        rows = amounts(rng)
        in_bands.append(gap(divide(rows, (0.4, 0.2, 0.4), seed, by_kind_of_target(rows))))
        by_value.append(gap(divide(rows, (0.4, 0.2, 0.4), seed, by_target(rows))))
    return in_bands, by_value


def test_bands_keep_amounts_together():
    in_bands, by_value = gaps(20)
    assert np.median(in_bands) < np.median(by_value) / 2
    assert max(in_bands) < max(by_value)


@pytest.mark.long
def test_amounts_hardly_differ_between_splits():
    """The figures of docs/tasks.md."""
    in_bands, by_value = gaps(200)
    assert (round(max(in_bands), 3), round(float(np.median(in_bands)), 3)) == (0.25, 0.033)
    assert (round(max(by_value), 3), round(float(np.median(by_value)), 3)) == (0.351, 0.135)


@pytest.mark.parametrize(
    ("targets", "bands"),
    [
        ([str(n) for n in range(40)], 4),
        ([f"${n:,}.50" for n in range(0, 40_000, 1000)], 4),
        # Ratings and codes, of which there are many rows each, keep their own shares.
        ([str(n % 5) for n in range(40)], 5),
        ([f"text {n}" for n in range(40)], 40),
        # A few that are no numbers are a stratum of their own; many of them make labels of all.
        ([str(n) for n in range(40)] + ["unknown", "n/a"], 4),
        ([str(n) for n in range(30)] + [f"text {n}" for n in range(10)], 40),
        ([str(n) for n in range(5)], 5),
        ([str(n // 5) for n in range(300)], 30),
        ([], 0),
    ],
)
def test_amounts_are_in_bands(targets, bands):
    rows = [Example(str(n), {}, f"row {n}", target, "f") for n, target in enumerate(targets)]
    strata = by_kind_of_target(rows)
    numbers = [stratum for stratum in strata if stratum]
    assert len(set(numbers)) == bands and len(strata) == len(rows)


def test_bands_are_neighbours():
    rows = [Example(str(n), {}, f"row {n}", str(n * 7919 % 40), "f") for n in range(40)]
    bands = {
        int(row.target) // 10: {band}
        for row, band in zip(rows, by_kind_of_target(rows), strict=True)
    }
    assert len(set(map(frozenset, bands.values()))) == 4


def test_a_run_begun_before_bands_keeps_its_rows(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("input", "target"), *((f"row {n}", n) for n in range(60))])
    ids = {
        revision: [
            row.id
            for row in loading.load(TaskSettings(data=str(path), revision=revision)).splits["test"]
        ]
        for revision in (2, 3)
    }
    assert ids[2] != ids[3]
    # As drawn by the version before.
    assert ids[2][:6] == ["data:2", "data:3", "data:4", "data:8", "data:9", "data:12"]


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.1), (0.8, 0, 0.2), (1, 0, 0), (0.3, 0.3, 0.3)])
def test_fractions_of_any_kind(fractions):
    rows = table(np.random.default_rng(3))
    splits = divide(rows, fractions, 0, by_target(rows))
    whole = Counter(row.target for row in rows)
    for (split, own), share in zip(splits.items(), (f for f in fractions if f), strict=True):
        counts = Counter(row.target for row in own)
        assert all(abs(counts[c] - share * n) <= 1.05 for c, n in whole.items()), split


def test_seeds_divide_differently_and_the_same_seed_alike():
    rows = table(np.random.default_rng(4))
    drawn = [divide(rows, (0.4, 0.2, 0.4), seed, by_target(rows)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_with_the_same_input_stay_together_and_the_parts_keep_their_sizes():
    rows = [Example(str(n), {}, f"row {n // 3}", f"c{n // 3 % 4}", "f") for n in range(300)]
    splits = divide(rows, (0.4, 0.2, 0.4), 0, by_target(rows))
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
