"""Searches compared at equal numbers of scored pairs: held-out accuracy over several seeds, on
short tasks.

    python scripts/bench_search.py [--seeds 5] [--first-seed 0] [--tasks reviews,...] [--modes ...]
    [--pairs 600] [--rows 24] [--metric accuracy] [--out FILE]
    python scripts/bench_search_table.py FILE [FILE ...]

Optimizer and scorer are the same model. For each task and seed 24 train and 24 validation rows are
drawn from all of the task's, and from the rest the test rows, 200 reviews or at most 100 of the
others; all modes get the same. Every mode may score 600 pairs of a prompt and a row in all, most of
them on train and the rest to confirm its leaders on validation:

    seed             the user's prompt, unchanged: in every table, and no name for --modes
    joint            the search of revision 5: instruction and worked examples together
    random-demos     24 random draws of 2 to 8 worked examples with the user's prompt, the best on
                     validation; worked examples laid out as the model's card says
    mixed            the default search without worked examples
    no-history       best of N proposals of all operators, from the user's prompt only
    paraphrase       best of N paraphrases of the user's prompt (APE)
    opro-chat        the paper's loop with its chat meta-prompt, 48 replies of at most 64 tokens
    mixed-shuffled   mixed with the scores in the meta-prompts shuffled
    opro             the paper's loop with the model card's meta-prompt

These are not run by default:

    random-turns     random-demos as turns of a chat
    no-screening     mixed where every new reply is scored
    joint-6, mixed-6 joint and mixed as the search is since revision 6
    ...-no-bandit    the same, operators drawn evenly, whatever each gained
    ...-no-row-winners
                     the same, parents from the four best alone, none because it wins on some rows
    joint-probability, joint-6-probability, random-probability
                     joint, joint-6 and random-demos with answers read as probabilities of
                     labels; two draws fewer are scored on train, and the best there is chosen,
                     whose bias is fitted on train and validation as that of a search; what the
                     chosen prompt does where its answers are written is asked beside

All runs of a task advance in lockstep. Resumable: the same command with the same --runs goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from bench_arguments import at_least, check_room, model_folder, names_of, new_folder, output

from opro_local.config import reading
from opro_local.engines.pool import EnginePool
from opro_local.problems.prompt.mixed import Mixed
from opro_local.problems.prompt.moves import MOVES
from opro_local.problems.prompt.selection import RowWinners
from opro_local.runs.lockstep import run_many
from opro_local.runs.plans import Plan, make_plan
from opro_local.runs.plans.plan import Search, cards_of
from opro_local.runs.plans.prompt import mixed_proposer
from opro_local.runs.result import summarize as summary
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.scoring.metrics import METRICS
from opro_local.search.loop import SearchResult, search
from opro_local.search.metaprompts.metaprompt import View
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Solution

ROOT = Path(__file__).resolve().parent.parent
MODEL = str(ROOT / "models" / "weights" / "smollm2-135m-instruct")
REVIEWS = ROOT / "opro_local" / "data"
OWN = Path(__file__).with_name("search_tasks")
TEST = 100


@dataclass(frozen=True)
class Budget:
    """What every mode has: labelled rows in each of train and validation, and pairs to score."""

    rows: int = 24
    pairs: int = 600

    @property
    def draws(self) -> int:
        """Solutions that can be scored on all rows of a split, the user's prompt aside."""
        return max(1, self.pairs // self.rows - 1)

    @property
    def finalists(self) -> int:
        return min(5, max(1, self.draws // 4))

    @property
    def candidates(self) -> int:
        """Train scores that leave room for the finalists and the first prompt on validation."""
        return max(1, self.draws - self.finalists - 1)

    @property
    def checkpoints(self) -> tuple[int, int]:
        """The first ends with the default search's first call, at 600 pairs."""
        return self.rows * (self.candidates * 13 // 18), self.rows * self.candidates


@dataclass(frozen=True)
class Task:
    """A task: the user's prompt, all rows, how many of them are for the test, the rule, and the
    metric that is optimized.
    """

    prompt: str
    rows: list[dict[str, str]]
    test: int
    rule: str = "labels"
    metric: str = "accuracy"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


PROMPTS = {
    "reviews": "What is the sentiment?",
    "tickets": "Which team is this for?",
    "logbook": "What is the state of this?",
    "alerts": "Is the message urgent or routine?",
    "hazards": "Is this a hazard or an ordinary message?",
    "animals": "Is there an animal in it, yes or no?",
    "tenses": "Is this about the past, the present or the future?",
    "letters": "What is this: a question, an order, a complaint or thanks?",
    "amounts": "How much was paid?",
    "places": "Where does it go?",
    "topics": "Name the topic: weather, sports, cooking, money, health, travel or computers.",
    "intents": (
        "What is the request about: card lost, card delivery, card declined, pin change, refund, "
        "double charge, transfer pending, exchange rate, top up, close account, identity check or "
        "fees?"
    ),
}


# Rules of the tasks whose answers are no labels.
OPEN = {"amounts": "number", "places": "exact"}
RUN_TASKS_BY_DEFAULT = ("reviews", "tickets", "logbook")


def load(name: str) -> Task:
    """A task: the embedded reviews, or one of those written for this script."""
    if name == "reviews":
        files = [REVIEWS / f"reviews_{split}.csv" for split in ("train", "validation", "test")]
        return Task(PROMPTS[name], [row for file in files for row in read(file)], 2 * TEST)
    return Task(PROMPTS[name], read(OWN / f"{name}.csv"), TEST, OPEN.get(name, "labels"))


def sizes(names: Sequence[str]) -> dict[str, int]:
    """Rows of each task."""
    return {name: len(load(name).rows) for name in names}


STEPS = {"steps": 40, "candidates": 8}
ALONE = {"mode": "mixed", "demonstrations": 0, **STEPS}
MODES: dict[str, dict[str, Any]] = {
    "joint": {"mode": "mixed", **STEPS, "revision": 5},
    "random-demos": {"mode": "mixed"},
    "mixed": ALONE,
    "no-history": {
        **ALONE,
        "drafts": 1,
        "steps": 1,
        "candidates": 36,
        "generic_seeds": 0,
        "written_seeds": 0,
    },
    "paraphrase": {
        "mode": "opro",
        "metaprompt": "paraphrase_line",
        **STEPS,
        "steps": 1,
        "candidates": 40,
    },
    "opro-chat": {"mode": "opro", "metaprompt": "brackets", **STEPS, "steps": 6},
    "mixed-shuffled": ALONE,
    "opro": {"mode": "opro", **STEPS},
    "random-turns": {"mode": "mixed"},
    "no-screening": {**ALONE, "drafts": 1},
    "joint-probability": {"mode": "mixed", **STEPS, "revision": 5},
    "random-probability": {"mode": "mixed"},
    "joint-6": {"mode": "mixed", **STEPS, "revision": 6},
    "joint-6-probability": {"mode": "mixed", **STEPS, "revision": 6},
    "mixed-6": {**ALONE, "revision": 6},
}
# The same with a part of the search taken out.
WITHOUT = ("-no-bandit", "-no-row-winners")
MODES |= {
    f"{mode}{part}{reading}": MODES[mode]
    for mode in ("joint-6", "mixed-6")
    for part in WITHOUT
    for reading in ("", "-probability")
}
RUN_BY_DEFAULT = (
    "joint",
    "random-demos",
    "mixed",
    "no-history",
    "paraphrase",
    "opro-chat",
    "opro",
    "mixed-shuffled",
)


def divided(task: Task, seed: int, budget: Budget) -> dict[str, list[dict[str, str]]]:
    """A seed's rows by split: the same for every mode and rival."""
    order = np.random.default_rng((seed, 7)).permutation(len(task.rows))
    drawn, rows = [task.rows[int(index)] for index in order], budget.rows
    return {
        "train": drawn[:rows],
        "validation": drawn[rows : 2 * rows],
        "test": drawn[2 * rows :][: task.test],
    }


def planned(task: Task, seed: int, mode: str, model: str, folder: Path, budget: Budget) -> Plan:
    """One run: its rows are drawn, its settings are the mode's."""
    files = divided(task, seed, budget)
    own = dict(MODES[mode])
    if "steps" in own:
        own["max_pairs"] = budget.rows * budget.candidates
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in files.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, ["text", "label"])
            writer.writeheader()
            writer.writerows(rows)
    paths = {split: str(folder / f"{split}.csv") for split in files}
    config = reading.build(
        {
            "task": {
                **paths,
                "input": "text",
                "target": "label",
                "rule": task.rule,
                "metric": task.metric,
                "answer": "label_probability" if mode.endswith("-probability") else "text",
            },
            "scorer": {"model": model, "max_tokens": 10},
            "optimizer": {"max_tokens": 64 if mode == "opro-chat" else 40},
            "search": {"seeds": [task.prompt], "max_words": 30, **own},
            "evaluation": {"finalists": budget.finalists},
            "run": {"name": mode, "seed": seed},
        }
    )
    ready = make_plan(config)
    if mode == "random-turns":
        ready.problem.layout = replace(ready.problem.layout, turns=True)
    asks = ready.search
    if mode.startswith("random-"):
        asks = partial(random_draws, ready, seed, budget.draws)
    for part, proposer in PROPOSERS.items():
        if part in mode:
            asks = partial(proposed_by, ready, proposer)
    search_of_mode = partial(with_curve, ready, asks, budget)
    if mode.endswith("-probability"):
        search_of_mode = partial(with_written, ready, search_of_mode)
    return replace(ready, search=search_of_mode, summarize=partial(summarize, ready))


def random_draws(
    ready: Plan, seed: int, draws: int, trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """The plain rival: draws without regard to anything, the best on validation."""
    problem, rng = ready.problem, np.random.default_rng((seed, 11))
    baseline = Solution(problem.seeds()[0].text)
    known = problem.demonstrations.available()
    solutions = []
    for _ in range(draws):
        rows = rng.choice(len(known), int(rng.integers(2, 9)), replace=False)
        solutions.append(
            replace(baseline, demonstrations=tuple(known[int(row)].id for row in rows))
        )
    state = SearchState(problem, ready.config, trajectory)
    if ready.config.task.answer == "label_probability":
        # Two draws fewer: the bias of the two that are compared is fitted on validation, too.
        yield from state.score(Candidates([baseline, *solutions[:-2]], 0), "train")
        best = max(trajectory.entries, key=lambda entry: entry.score.value).solution
        yield from state.score(Candidates(list(dict.fromkeys([baseline, best])), 0), "validation")
    else:
        yield from state.score(Candidates([baseline], 0), "train")
        yield from state.score(Candidates(solutions, 0), "validation")
        best = max(trajectory.held_out, key=lambda entry: entry.score.value).solution
    yield from state.score(Candidates([baseline, best], 0), "test")
    return SearchResult("drawn", baseline, best)


def proposed_by(
    ready: Plan, proposer_class: type[Mixed], trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """The search of a mode with another proposer."""
    card = cards_of(ready.config, ("optimizer",))["optimizer"]
    proposer = mixed_proposer(ready.config, ready.problem, card, proposer_class)(trajectory)
    return search(SearchState(ready.problem, ready.config, trajectory), proposer)


class ShuffledScores(Mixed):
    """A proposer whose history is noise."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.drafting.view = partial(self._shuffled, self.drafting.view)

    def _shuffled(self, view_of: Callable[[int, int], View], step: int, history: int) -> View:
        view = view_of(step, history)
        scores = [shown for _, shown in view.shown]
        np.random.default_rng((self._config.run.seed, step, 13)).shuffle(scores)
        return replace(
            view, shown=[(text, shown) for (text, _), shown in zip(view.shown, scores, strict=True)]
        )


class EvenOperators(Mixed):
    """A proposer that draws operators without regard to what each gained."""

    def _operators(self, step: int, count: int) -> list[str]:
        names = [*self._forms.drafting, *(MOVES if self._config.search.demonstrations else ())]
        rng = np.random.default_rng((self._config.run.seed, step, 17))
        return [str(name) for name in rng.choice(names, count)]


class BestParents(Mixed):
    """A proposer whose parents are all drawn from the four best."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._winners = FourBest(self._trajectory)


class FourBest(RowWinners):
    """Weights of the four best, by rank, in the place of the rows that each solution wins."""

    def weights(self) -> np.ndarray:
        places = list(self._trajectory.order("whole"))[:4]
        weights = np.zeros(len(self._trajectory.distinct))
        weights[places] = 0.5 ** np.arange(len(places))
        return weights


# Whose place another proposer takes, by what is in the mode's name.
PROPOSERS = {
    "-shuffled": ShuffledScores,
    "-no-bandit": EvenOperators,
    "-no-row-winners": BestParents,
}
CURVE_ROWS = 50


def with_written(
    ready: Plan, asks: Search, trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """A search that reads labels, and after its end how many test rows its choice and the first
    prompt get right where they write their answers.
    """
    outcome = yield from asks(trajectory)
    task = ready.config.task.model_copy(update={"answer": "text"})
    written = make_plan(ready.config.model_copy(update={"task": task})).problem
    both = [outcome.baseline, outcome.best]
    scores = yield from written.evaluate(both, "test", "written/test")
    ready.problem.written = [float(score.accuracy) for score in scores]
    return outcome


def with_curve(
    ready: Plan, asks: Search, budget: Budget, trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """A search, and after its end the accuracy on the first test rows of what stood first at some
    points.
    """
    outcome = yield from asks(trajectory)
    incumbents = [incumbent(trajectory, pairs) for pairs in budget.checkpoints]
    rows = range(CURVE_ROWS)
    known = {
        entry.solution: entry.score.values for entry in trajectory.held_out if entry.split == "test"
    }
    missing = [solution for solution in dict.fromkeys(incumbents) if solution not in known]
    if missing:
        found = yield from ready.problem.evaluate(missing, "test", "curve/steps", rows)
        known |= {solution: score.values for solution, score in zip(missing, found, strict=True)}
    curve = [known[solution][:CURVE_ROWS].mean() for solution in (*incumbents, outcome.best)]
    ready.problem.curve = [float(value) for value in curve]
    return outcome


def incumbent(trajectory: Trajectory, pairs: int) -> Solution:
    """What stood first when so many pairs had been scored, by the split on which the mode compares.

    A search's step counts when it is through: which of its solutions are dropped is known at its
    end.
    """
    drawn = (
        any(entry.solution.demonstrations for entry in trajectory.held_out)
        and len(trajectory.entries) == 1
    )
    entries = (
        [e for e in trajectory.held_out if e.split == "validation"] if drawn else trajectory.entries
    )
    spent = np.cumsum([entry.score.n for entry in entries])
    ends = (
        spent
        if drawn
        else [spent[max(i for i, e in enumerate(entries) if e.step == own.step)] for own in entries]
    )
    seen = [entry for entry, cost in zip(entries, ends, strict=True) if cost <= pairs] or entries[
        :1
    ]
    return max(seen, key=lambda entry: (not entry.partial, trajectory.estimate(entry))).solution


def summarize(
    ready: Plan, trajectory: Trajectory, ended: SearchResult, alpha: float
) -> SearchOutcome:
    """What the search came to, with what the table needs beside it."""
    held_out = sum(entry.score.n for entry in trajectory.held_out if entry.split == "validation")
    replies = [p for p in trajectory.proposals if p.operator not in (*MOVES, "given", "generic")]
    further = {
        "scored": trajectory.pairs + held_out,
        "replies": len(replies),
        "usable": sum(proposal.key is not None for proposal in replies),
        "curve": ready.problem.curve,
        "written": getattr(ready.problem, "written", None),
        "recalls": recalls(ready, trajectory, ended),
        "rarest": rarest(ready, trajectory, ended),
    }
    return replace(summary(trajectory, ended, alpha), further=further)


def recalls(ready: Plan, trajectory: Trajectory, ended: SearchResult) -> list[float]:
    """Balanced accuracy on test of the first prompt and the choice: the mean over the targets of
    the share of their rows that are right.
    """
    targets = np.array([row.target for row in ready.problem.rows["test"]])
    earned = {
        entry.solution: entry.score.values for entry in trajectory.held_out if entry.split == "test"
    }
    parts = [targets == target for target in np.unique(targets)]
    return [
        float(np.mean([earned[solution][part].mean() for part in parts]))
        for solution in (ended.baseline, ended.best)
    ]


def rarest(ready: Plan, trajectory: Trajectory, ended: SearchResult) -> dict[str, Any]:
    """The label with the fewest test rows: how many it has, and of the first prompt and the choice
    the share of them that is right and how many rows of any label were answered with it.
    """
    scores = {entry.solution: entry.score for entry in trajectory.held_out if entry.split == "test"}
    sides = [ready.problem.classes("test", scores[one]) for one in (ended.baseline, ended.best)]
    if None in sides:
        return {}
    label = list(sides[1].classes)[-1]
    counts = [side.classes[label] for side in sides]
    return {
        "label": label,
        "rows": counts[1].rows,
        "recall": [own.recall for own in counts],
        "given": [own.claimed for own in counts],
    }


def run(
    name: str,
    task: Task,
    seeds: range,
    modes: list[str],
    model: str,
    folder: Path,
    budget: Budget,
    pool: EnginePool,
) -> list[dict[str, Any]]:
    """All runs of a task in lockstep."""
    if task.metric != "accuracy":
        folder = folder / task.metric
    if task.rule != "labels":
        modes = [mode for mode in modes if not mode.endswith("-probability")]
    places = [(mode, seed, folder / name / mode / str(seed)) for mode in modes for seed in seeds]
    results = run_many(
        [
            (planned(task, seed, mode, model, place / "data", budget), place / "run")
            for mode, seed, place in places
        ],
        pool=pool,
    )
    failed = [result for result in results if not isinstance(result, Mapping)]
    if failed:
        raise SystemExit(f"{name}: {failed[0]}")
    labels = len({one["label"] for one in task.rows}) if task.rule == "labels" else 0
    return [
        row(name, named(mode, task.metric), seed, labels, result)
        for (mode, seed, _), result in zip(places, results, strict=True)
    ]


def named(mode: str, metric: str) -> str:
    """What a mode is called in the table."""
    return mode if metric == "accuracy" else f"{mode}, {metric}"


def row(task: str, mode: str, seed: int, labels: int, result: Mapping[str, Any]) -> dict[str, Any]:
    test = result["test"]
    replies = result["replies"] or sum(result["rejections"].values()) + result["solutions"] - 1
    usable = result["usable"] if result["replies"] else result["solutions"] - 1
    return {
        "task": task,
        "mode": mode,
        "seed": seed,
        "baseline": test["baseline"]["accuracy"],
        "test": test["best"]["accuracy"],
        "curve": result["curve"],
        "written": result["written"],
        "recalls": result["recalls"],
        "rarest": result["rarest"],
        "verdict": result["verdict"],
        "without_bias": [test[which].get("without_bias") for which in ("baseline", "best")],
        "labels": labels,
        "tokens": result["tokens"],
        "seconds": result["seconds"],
        "scored": result["scored"],
        "replies": replies,
        "usable": usable,
        "text": result["best"]["text"],
        "demonstrations": len(result["best"].get("demonstrations", ())),
        "ways": result.get("ways"),
    }


def interval(parts: list[list[float]]) -> str:
    """The mean over tasks of the mean over a task's runs, and its 95 % interval over runs
    (Student's t), in percent.

    Differences between tasks are no part of it: other tasks would be another table.
    """
    from scipy.stats import t

    values = [100 * np.array(part) for part in parts]
    spread = (
        np.sqrt(sum(part.var(ddof=1) / len(part) for part in values)) / len(values)
        if len(values[0]) > 1
        else np.nan
    )
    half = t.ppf(0.975, sum(len(part) - 1 for part in values)) * spread
    return f"{np.mean([part.mean() for part in values]):5.1f} ± {half:4.1f}"


def by_task(
    rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]
) -> list[list[float]]:
    names = dict.fromkeys(row["task"] for row in rows)
    return [[value(row) for row in rows if row["task"] == name] for name in names]


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: one line per mode, a column per task, then the mean over all runs and what else is
    asked of a mode.
    """
    names = list(dict.fromkeys(row["task"] for row in rows))
    lines = ["| mode | " + " | ".join(names) + " | mean | worst vs seed | usable replies | pairs |"]
    lines.append("|---" * (len(names) + 5) + "|")
    base = by_task(
        [row for row in rows if row["mode"] == rows[0]["mode"]], lambda row: row["baseline"]
    )
    lines.append(
        f"| seed | {' | '.join(interval([part]) for part in base)} | {interval(base)} | | | |"
    )
    for mode in dict.fromkeys(row["mode"] for row in rows):
        own = [row for row in rows if row["mode"] == mode]
        tests = by_task(own, lambda row: row["test"])
        worst = min(row["test"] - row["baseline"] for row in own)
        replies, usable = sum(row["replies"] for row in own), sum(row["usable"] for row in own)
        share = (
            f"{usable}/{replies} = {100 * usable / replies:.0f} %"
            if replies and "random" not in mode
            else ""
        )
        pairs = f"{np.mean([row['scored'] for row in own]):.0f}"
        lines.append(
            f"| {mode} | {' | '.join(interval([part]) for part in tests)} | "
            f"{interval(tests)} | {100 * worst:+.1f} "
            f"| {share} | {pairs} |"
        )
    return "\n".join(lines)


def ahead(rows: list[dict[str, Any]]) -> str:
    """How far the default search is ahead of every other mode, run by run: same task, seed, rows
    and test rows.
    """
    first = {(row["task"], row["seed"]): row["test"] for row in rows if row["mode"] == "joint"}
    lines = []
    for mode in dict.fromkeys(row["mode"] for row in rows if first and row["mode"] != "joint"):
        own = [row for row in rows if row["mode"] == mode]
        gaps = by_task(own, lambda row: first[row["task"], row["seed"]] - row["test"])
        lines.append(f"joint - {mode}: {interval(gaps)} over {len(own)} pairs of runs")
    return "\n".join(lines)


def curves(rows: list[dict[str, Any]], budget: Budget) -> str:
    """Markdown: mean accuracy on the first test rows of what stood first after so many pairs, and
    of the choice.
    """
    lines = [
        "| mode | " + " | ".join(f"{pairs} pairs" for pairs in budget.checkpoints) + " | chosen |"
    ]
    lines.append("|---" * (len(budget.checkpoints) + 2) + "|")
    for mode in dict.fromkeys(row["mode"] for row in rows):
        mean = 100 * np.mean([row["curve"] for row in rows if row["mode"] == mode], axis=0)
        lines.append(f"| {mode} | {' | '.join(f'{value:.1f}' for value in mean)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=at_least(1), default=5)
    parser.add_argument("--first-seed", type=at_least(0), default=0)
    parser.add_argument("--tasks", type=names_of(PROMPTS), default=",".join(RUN_TASKS_BY_DEFAULT))
    parser.add_argument("--modes", type=names_of(MODES), default=",".join(RUN_BY_DEFAULT))
    parser.add_argument("--model", type=model_folder, default=MODEL)
    parser.add_argument(
        "--metric",
        choices=[name for name in METRICS if name != "f1"],
        default="accuracy",
        help="task.metric of the tasks with labels",
    )
    parser.add_argument("--pairs", type=at_least(1), default=600, help="pairs that a run may score")
    parser.add_argument(
        "--rows", type=at_least(2), default=24, help="train rows, and validation rows"
    )
    parser.add_argument(
        "--runs", type=new_folder, help="keep the runs here, so that the same command goes on"
    )
    parser.add_argument("--out", type=output, help="write all rows as JSON")
    given = parser.parse_args()
    check_room(parser, sizes(given.tasks), given.rows, given.pairs)
    folder = given.runs or Path(tempfile.mkdtemp(prefix="bench-search-"))
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    rows, budget, pool = [], Budget(given.rows, given.pairs), EnginePool()
    try:
        for name in given.tasks:
            began = time.monotonic()
            task = load(name)
            if task.rule == "labels":
                task = replace(task, metric=given.metric)
            rows += run(name, task, seeds, given.modes, given.model, folder, budget, pool)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
            print(f"{table(rows)}\n\n{ahead(rows)}\n", flush=True)
            if given.out:
                given.out.write_text(json.dumps(rows, indent=1))
    finally:
        pool.close()
    print(curves(rows, budget))


if __name__ == "__main__":
    main()
