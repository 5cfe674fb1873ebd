"""What a vote of a search's best prompts is worth, and what validation rows add to their biases: the
first three and five of finished runs by bench_search.py asked together, beside the first alone.

    python scripts/bench_vote.py --runs DIR [--seeds 2] [--first-seed 0] [--tasks topics,...]
        [--modes joint-6-probability,random-probability] [--out FILE]

DIR is what bench_search.py was given as --runs. The first prompt of a run is the one it chose, the
others follow in the order of their scores on all train rows. Where labels are read, each has its own
bias, fitted on train and validation, and a row's label is that with the largest mean
log-probability; where answers are written, the label that most of them say, and of as many the one
that the better prompt says. A vote of three costs three times the answers of one. Before validation
is read, the first prompt, and each of them alone, are measured with the bias of train.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_search
import numpy as np
from bench_arguments import add_runs, finished_runs, runs_of
from bench_exchange import chosen
from bench_search_table import interval

from opro_local.engines.pool import EnginePool
from opro_local.runs.lockstep import run_many
from opro_local.runs.plans import Plan
from opro_local.runs.store import read_store
from opro_local.search.loop import SearchResult
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Completion, Solution

SIZES = (1, 3, 5)
SHOWN = {1: "1 prompt", 3: "3 prompts", 5: "5 prompts"}
FIRST, EACH, EACH_NOW = "1 prompt, bias of train", "each alone, bias of train", "each alone"
GAINS = (
    (SHOWN[1], FIRST),
    (EACH_NOW, EACH),
    (SHOWN[3], SHOWN[1]),
    (SHOWN[5], SHOWN[1]),
)


def leaders(run: Path, count: int) -> list[Solution]:
    """The prompt that a run chose, and the best of the others by their scores on all train rows."""
    store = read_store(run)
    try:
        rows = store.solutions("train")
    finally:
        store.close()
    whole = [row for row in rows if row["n"] == max(own["n"] for own in rows)]
    ranked = sorted(whole, key=lambda row: -row["score"])
    others = [Solution(row["text"], tuple(row["demonstrations"])) for row in ranked]
    return list(dict.fromkeys([chosen(run), *others]))[:count]


def voting(
    ready: Plan, prompts: Sequence[Solution], trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """All prompts on train, test and validation, and what each number of them comes to on test."""
    problem = ready.problem
    state = SearchState(problem, ready.config, trajectory)
    yield from state.score(Candidates(list(prompts), 0), "train")
    answers = yield from problem.answers(prompts, "test", "0/test/vote")
    first, each = alone(problem, prompts, answers)
    yield from state.score(Candidates(list(prompts), 0), "validation")
    _, each_now = alone(problem, prompts, answers)
    votes = {SHOWN[size]: right_share(problem, prompts[:size], answers) for size in SIZES}
    problem.votes = {FIRST: first, **votes, EACH: each, EACH_NOW: each_now}
    yield from state.score(Candidates([prompts[0]], 0), "test")
    return SearchResult("voted", prompts[0], prompts[0])


def alone(
    problem: Any, prompts: Sequence[Solution], answers: Sequence[Completion]
) -> tuple[float, float]:
    """The share of test rows that the first prompt has right, and the mean of all prompts, with the
    biases as they are known now.
    """
    rows = len(problem.rows["test"])
    shares = [
        right_share(problem, [one], answers[place * rows :]) for place, one in enumerate(prompts)
    ]
    return shares[0], float(np.mean(shares))


def right_share(problem: Any, prompts: Sequence[Solution], answers: Sequence[Completion]) -> float:
    """The share of rows whose label most of these prompts say; `answers` begins with theirs."""
    wanted = [row.target for row in problem.rows["test"]]
    own = answers[: len(prompts) * len(wanted)]
    if problem.labelling is not None:
        said = [answer.text for answer in problem.labelling.voted(prompts, own)]
    else:
        read = [
            problem.rule.parsed(answer.text, row) or ""
            for answer, row in zip(own, list(problem.rows["test"]) * len(prompts), strict=True)
        ]
        said = [majority(read[row :: len(wanted)]) for row in range(len(wanted))]
        wanted = [problem.rule.parsed(row.target, row) for row in problem.rows["test"]]
    return float(np.mean([one == other for one, other in zip(said, wanted, strict=True)]))


def majority(said: Sequence[str]) -> str:
    """What most say, of as many what the first of them says; what could not be read has no vote."""
    read = [one for one in said if one]
    return max(read, key=read.count) if read else ""


def figures(ready: Plan, trajectory: Trajectory, ended: SearchResult, alpha: float) -> Any:
    """The usual summary, and what each vote came to."""
    own = bench_search.summary(trajectory, ended, alpha)
    return replace(own, further={"votes": dict(ready.problem.votes)})


def measure(given: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    """A row for each run that has so many prompts."""
    budget, pool, plans, names = bench_search.Budget(), EnginePool(), [], []
    for name, mode, seed, run in runs_of(given):
        folder = scratch / name / mode / str(seed)
        task = bench_search.load(name)
        ready = bench_search.planned(task, seed, mode, bench_search.MODEL, folder, budget)
        asks = partial(voting, ready, leaders(run, max(SIZES)))
        plans.append(
            (replace(ready, search=asks, summarize=partial(figures, ready)), folder / "run")
        )
        labels = len({row["label"] for row in task.rows})
        names.append({"task": name, "mode": mode, "seed": seed, "labels": labels})
    try:
        results = run_many(plans, pool=pool)
    finally:
        pool.close()
    return [own | {"votes": result["votes"]} for own, result in zip(names, results, strict=True)]


def table(rows: list[dict[str, Any]]) -> str:
    """A line a mode with the mean over cells of each figure, and a line a gain with its 95 %
    interval.
    """
    names = list(rows[0]["votes"])
    lines = [f"| mode | cells | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for mode in dict.fromkeys(row["mode"] for row in rows):
        own = [row["votes"] for row in rows if row["mode"] == mode]
        means = [f"{100 * np.mean([votes[name] for votes in own]):.1f}" for name in names]
        lines.append(f"| {mode} | {len(own)} | {' | '.join(means)} |")
    lines += ["", "| difference | all modes |", "|---|---|"]
    for better, base in GAINS:
        gain = interval(row["votes"][better] - row["votes"][base] for row in rows)
        lines.append(f"| {better} - {base} | {gain} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=finished_runs, required=True)
    defaults = (
        "topics,intents,letters,tenses,tickets,reviews,animals",
        "joint-6-probability,random-probability",
    )
    add_runs(parser, bench_search.PROMPTS, bench_search.MODES, defaults)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(given, Path(scratch))
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1), "utf-8")
    parts = {"all": rows, "two labels": [], "three or more": []}
    for row in rows:
        parts["two labels" if row["labels"] == 2 else "three or more"].append(row)
    for part, own in parts.items():
        if own:
            print(f"\n{part}\n\n{table(own)}")


if __name__ == "__main__":
    main()
