"""The tables of docs/benchmarks/2026-11-search.md from the rows that bench_search.py,
bench_rivals_search.py and bench_nearest.py write: no model is needed.

    python scripts/bench_search_table.py FILE [FILE ...] [--winners 10]

Cells are a task and a seed. A mean over cells weighs every cell alike; a difference is taken cell by
cell, over the cells that both modes have, with its 95 % interval by Student's t.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from bench_arguments import at_least, earlier_rows
from scipy import stats

Row = dict[str, Any]
Cell = tuple[str, int]
# Differences that the page speaks of: one mode minus another.
COMPARED = (
    ("joint-6", "joint"),
    ("joint-6-probability", "joint-probability"),
    ("joint-6-probability", "random-probability"),
    ("joint-6-probability", "random-demos"),
    ("joint-6-probability", "joint-6"),
    ("joint-6-probability", "autoprompt"),
    ("joint-6-probability", "rlprompt"),
    ("joint-6-probability", "capo"),
    ("joint-6-probability", "gepa"),
    ("joint-6-probability", "evoprompt-ga"),
    ("joint-6-probability", "evoprompt-de"),
    ("joint-6-probability", "promptolution-opro"),
    ("joint-probability", "joint"),
    ("joint-probability", "random-demos"),
    ("joint-probability", "random-probability"),
    ("random-probability", "random-demos"),
    ("random-probability", "joint"),
    ("joint", "random-demos"),
    ("joint-probability, written", "joint"),
    ("random-probability, written", "random-demos"),
    ("joint-probability", "nearest-probability"),
    ("joint-probability", "linear"),
    ("joint", "nearest-examples"),
    ("joint", "capo"),
    ("joint", "gepa"),
    ("joint", "promptolution-opro"),
)
# The methods that papers compare, by what they need besides labelled rows, and the modes of ours.
LITERATURE = {
    "autoprompt": "weights, gradients",
    "autoprompt-fluent": "weights, gradients",
    "rlprompt": "weights, a trained head",
    "paraphrase": "answers",
    "evoprompt-ga": "answers",
    "evoprompt-de": "answers",
    "capo": "answers",
    "gepa": "answers",
    "promptolution-opro": "answers",
    "opro": "answers",
    "random-demos": "answers",
    "joint": "answers",
    "joint-6": "answers",
    "random-probability": "label probabilities",
    "joint-probability": "label probabilities",
    "joint-6-probability": "label probabilities",
}
# Which tasks a difference is taken over: all, and by how many labels there are.
GROUPS: dict[str, Callable[[int], bool]] = {
    "all": lambda labels: True,
    "two labels": lambda labels: labels == 2,
    "three or more": lambda labels: labels > 2,
    "no labels": lambda labels: labels == 0,
}


def interval(values: Iterable[float]) -> str:
    """Mean and half width of its 95 % interval, in points."""
    figures = 100 * np.array(list(values), dtype=float)
    if len(figures) < 2:
        return f"{figures.mean():+.1f} (1 cell)"
    half = stats.t.ppf(0.975, len(figures) - 1) * figures.std(ddof=1) / len(figures) ** 0.5
    return f"{figures.mean():+.1f} ± {half:.1f} ({len(figures)} cells)"


def by_cell(rows: list[Row], mode: str) -> dict[Cell, Row]:
    return {(row["task"], row["seed"]): row for row in rows if row["mode"] == mode}


def written(rows: list[Row]) -> list[Row]:
    """For each run that reads labels, its choice where it writes its answers, as a mode."""
    return [
        {
            **{key: row.get(key, 0) for key in ("task", "seed", "labels")},
            "mode": f"{row['mode']}, written",
            "baseline": row["written"][0],
            "test": row["written"][1],
        }
        for row in rows
        if row.get("written")
    ]


def first_prompts(rows: list[Row]) -> list[Row]:
    """The user's prompt as a mode, written and, where labels are read, with a bias."""
    names = {"joint": "seed", "joint-probability": "seed, read with a bias"}
    return [
        {
            **{key: row.get(key, 0) for key in ("task", "seed", "labels")},
            "mode": names[row["mode"]],
            "test": row["baseline"],
            "recalls": [row["recalls"][0]] * 2 if row.get("recalls") else None,
        }
        for row in rows
        if row["mode"] in names
    ]


def tasks_table(rows: list[Row]) -> str:
    """A line a mode, a column a task: the mean over its seeds, and how many there are."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines = ["| mode | " + " | ".join(tasks) + " |", "|---" * (len(tasks) + 1) + "|"]
    for mode in dict.fromkeys(row["mode"] for row in rows):
        cells = []
        for task in tasks:
            own = [row["test"] for row in rows if row["mode"] == mode and row["task"] == task]
            cells.append(f"{100 * np.mean(own):.1f} ({len(own)})" if own else "")
        lines.append(f"| {mode} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def costs_table(rows: list[Row]) -> str:
    """A line a mode: the worst run against its first prompt, pairs, tokens and seconds a run."""
    lines = ["| mode | runs | worst | more than 2 points below | pairs | prompt tokens | seconds |"]
    lines.append("|---" * 7 + "|")
    for mode in dict.fromkeys(row["mode"] for row in rows if row.get("scored")):
        own = [row for row in rows if row["mode"] == mode and "scored" in row]
        gains = [100 * (row["test"] - row["baseline"]) for row in own if "baseline" in row]
        worst = f"{min(gains):+.1f}" if gains else ""
        below = f"{sum(gain < -2 for gain in gains)}/{len(gains)}" if gains else ""
        columns = [[row["scored"] for row in own]]
        columns.append([row["tokens"]["prompt"] for row in own if row.get("tokens")])
        columns.append([row["seconds"] for row in own if row.get("seconds")])
        shown = " | ".join(f"{np.mean(column):,.0f}" if column else "" for column in columns)
        lines.append(f"| {mode} | {len(own)} | {worst} | {below} | {shown} |")
    return "\n".join(lines)


def differences_table(rows: list[Row]) -> str:
    lines = ["| difference | " + " | ".join(GROUPS) + " |", "|---" * (len(GROUPS) + 1) + "|"]
    for first, second in COMPARED:
        one, other = by_cell(rows, first), by_cell(rows, second)
        shared = sorted(one.keys() & other.keys())
        if not shared:
            continue
        columns = []
        for belongs in GROUPS.values():
            cells = [cell for cell in shared if belongs(one[cell].get("labels", 0))]
            gaps = [one[cell]["test"] - other[cell]["test"] for cell in cells]
            columns.append(interval(gaps) if gaps else "")
        lines.append(f"| {first} - {second} | " + " | ".join(columns) + " |")
    return "\n".join(lines)


def literature_table(rows: list[Row]) -> str:
    """A line a method of the literature: its test accuracy, where answers are read and, of methods
    that read labels, where they are written, by task; what it needs; pairs and seconds a run.
    """
    own = [row for row in rows if row["mode"] in LITERATURE]
    tasks = list(dict.fromkeys(row["task"] for row in own))
    lines = ["| method | needs | " + " | ".join(tasks) + " | pairs | seconds |"]
    lines.append("|---" * (len(tasks) + 4) + "|")
    for mode, needs in LITERATURE.items():
        runs = [row for row in own if row["mode"] == mode]
        if not runs:
            continue
        cells = [_test_and_written([row for row in runs if row["task"] == task]) for task in tasks]
        pairs = f"{np.mean([row['scored'] for row in runs]):.0f}"
        seconds = [row["seconds"] for row in runs if row.get("seconds")]
        shown = f"{np.mean(seconds):.0f}" if seconds else ""
        lines.append(f"| {mode} | {needs} | " + " | ".join([*cells, pairs, shown]) + " |")
    return "\n".join(lines)


def _test_and_written(runs: list[Row]) -> str:
    if not runs:
        return ""
    accuracy = f"{100 * np.mean([row['test'] for row in runs]):.1f}"
    spelled = [row["written"][1] for row in runs if row.get("written")]
    beside = f", written {100 * np.mean(spelled):.1f}" if spelled else ""
    return f"{accuracy}{beside} ({len(runs)})"


def recalls_table(rows: list[Row], tasks: tuple[str, ...]) -> str:
    """Balanced accuracy of the choice, where a label is rare."""
    lines = ["| mode | " + " | ".join(tasks) + " |", "|---" * (len(tasks) + 1) + "|"]
    for mode in dict.fromkeys(row["mode"] for row in rows if row.get("recalls")):
        cells = []
        for task in tasks:
            own = [
                row["recalls"][1]
                for row in rows
                if row["mode"] == mode and row["task"] == task and row.get("recalls")
            ]
            cells.append(f"{100 * np.mean(own):.1f} ({len(own)})" if own else "")
        lines.append(f"| {mode} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rarest_table(rows: list[Row], tasks: tuple[str, ...]) -> str:
    """Of the choice, the share of the rarest label's test rows that is right, and on how many of
    all test rows it is given.
    """
    lines = ["| mode | " + " | ".join(tasks) + " |", "|---" * (len(tasks) + 1) + "|"]
    with_label = [row for row in rows if row.get("rarest")]
    for mode in dict.fromkeys(row["mode"] for row in with_label):
        cells = []
        for task in tasks:
            own = [
                row["rarest"] for row in with_label if row["mode"] == mode and row["task"] == task
            ]
            recall = np.mean([one["recall"][1] for one in own]) if own else 0
            given = np.mean([one["given"][1] for one in own]) if own else 0
            shown = f"{100 * recall:.1f}, {given:.1f} rows ({len(own)})"
            cells.append(shown if own else "")
        lines.append(f"| {mode} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def winners(rows: list[Row], count: int) -> str:
    """The instructions of the default searches, cells taking turns between tasks."""
    own = [row for row in rows if row["mode"] in ("joint", "joint-probability")]
    own.sort(key=lambda row: (row["seed"], row["mode"], row["task"]))
    lines = []
    for row in own[:count]:
        shown = f"{row['demonstrations']} worked examples"
        score = f"{100 * row['baseline']:.0f} to {100 * row['test']:.0f} %"
        lines.append(f'- {row["task"]}, {row["mode"]}, {score}, {shown}: "{row["text"]}"')
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=earlier_rows, nargs="+")
    parser.add_argument("--winners", type=at_least(0), default=10)
    given = parser.parse_args()
    rows = [row for rows in given.files for row in rows]
    whole = first_prompts(rows) + rows + written(rows)
    parts = [
        tasks_table(whole),
        literature_table(rows),
        differences_table(whole),
        costs_table(whole),
    ]
    rare = ("alerts", "hazards")
    parts += [recalls_table(whole, rare), rarest_table(whole, rare), winners(rows, given.winners)]
    print("\n\n".join(parts))


if __name__ == "__main__":
    main()
