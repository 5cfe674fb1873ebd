"""What a winner's own instruction is worth: the chosen prompts of searches by bench_search.py, each
beside the user's prompt with the same worked examples.

    python scripts/bench_exchange.py --runs DIR [--seeds 2] [--first-seed 0] [--tasks topics,...]
        [--modes joint,joint-probability] [--out FILE]

DIR is what bench_search.py was given as --runs. For every search that chose an instruction of its
own and worked examples, both are scored on train, validation and test, and the table says which of
them a rule of choice takes: the winner's own text where validation shows it to be better at a
p-value of at most `doubt` (one-sided, `search/exchange.py`), else the user's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Generator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import bench_search
import numpy as np
from bench_arguments import add_runs, finished_runs, runs_of

from opro_local.engines.pool import EnginePool
from opro_local.runs.lockstep import run_many
from opro_local.runs.plans import Plan
from opro_local.scoring import comparison
from opro_local.search.loop import SearchResult
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Score, Solution

DOUBTS = (0.5, 0.3, 0.2, 0.1, 0.05, 0.0)


def both_scored(
    ready: Plan, best: Solution, trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """The baseline, the winner and the baseline's text with the winner's examples, on all splits."""
    baseline = Solution(ready.problem.seeds()[0].text)
    plain = replace(best, text=baseline.text)
    state = SearchState(ready.problem, ready.config, trajectory)
    for split in ("train", "validation", "test"):
        yield from state.score(Candidates([baseline, best, plain], 0), split)
    return SearchResult("scored", baseline, best)


def figures(ready: Plan, trajectory: Trajectory, ended: SearchResult, alpha: float) -> Any:
    """The usual summary, and what the choice and the test are: kept by `summarize`'s further."""
    plain = replace(ended.best, text=ended.baseline.text)
    scores: dict[tuple[str, Solution], Score] = {
        (entry.split, entry.solution): entry.score
        for entry in (*trajectory.entries, *trajectory.held_out)
    }
    gain = comparison.difference(scores["validation", ended.best], scores["validation", plain])
    tested = [float(scores["test", one].accuracy) for one in (ended.best, plain)]
    own = bench_search.summary(trajectory, ended, alpha)
    further = {"gain": gain.value, "p_value": gain.p_value / 2, "tested": tested}
    return replace(own, further=further)


def chosen(folder: Path) -> Solution:
    best = json.loads((folder / "result.json").read_text("utf-8"))["best"]
    return Solution(best["text"], tuple(best.get("demonstrations", ())))


def measure(given: argparse.Namespace, scratch: Path) -> list[dict[str, Any]]:
    """A row for each search that chose an instruction of its own and worked examples."""
    budget, pool, rows = bench_search.Budget(), EnginePool(), []
    plans, names = [], []
    for name, mode, seed, run in runs_of(given):
        best, task = chosen(run), bench_search.load(name)
        if best.text == task.prompt or not best.demonstrations:
            continue
        folder = scratch / name / mode / str(seed)
        ready = bench_search.planned(task, seed, mode, bench_search.MODEL, folder, budget)
        ready = replace(
            ready, search=partial(both_scored, ready, best), summarize=partial(figures, ready)
        )
        plans.append((ready, folder / "run"))
        names.append({"task": name, "mode": mode, "seed": seed, "text": best.text})
    try:
        results = run_many(plans, pool=pool)
    finally:
        pool.close()
    for own, result in zip(names, results, strict=True):
        kept = {key: result[key] for key in ("gain", "p_value", "tested")}
        rows.append(own | kept)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """What each rule of choice has on test, beside always the one or always the other."""
    lines = ["| the winner's own text is kept | kept | test accuracy |", "|---|---|---|"]
    for doubt in DOUBTS:
        kept = [row["gain"] > 0 and row["p_value"] <= doubt for row in rows]
        taken = [row["tested"][0 if own else 1] for row, own in zip(rows, kept, strict=True)]
        rule = f"where p is at most {doubt}" if doubt else "never"
        lines.append(f"| {rule} | {sum(kept)} of {len(rows)} | {100 * np.mean(taken):.1f} |")
    always = 100 * np.mean([row["tested"][0] for row in rows])
    lines.append(f"| always | {len(rows)} of {len(rows)} | {always:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=finished_runs, required=True)
    defaults = ("topics,intents,letters,tenses,tickets,reviews,alerts", "joint,joint-probability")
    add_runs(parser, bench_search.PROMPTS, bench_search.MODES, defaults)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        rows = measure(given, Path(scratch))
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1), "utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
