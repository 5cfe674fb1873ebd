"""OPRO's loop (arXiv 2309.03409, section 2 and algorithm of section 5) as a generator, and its stop
rules.

For: deciding what to ask next from what was answered so far. Not for: I/O of any kind. The
generator owns no engine,
clock, file or random state: randomness is derived from (run seed, step, purpose), and time is what
replies say.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local import stats
from opro_local.config.search import SearchSettings
from opro_local.config.settings import Config
from opro_local.errors import DataError
from opro_local.search import chance, racing
from opro_local.search.proposing import Proposer
from opro_local.search.similarity import Similarity
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import (
    Batch,
    Batches,
    BatchResult,
    Problem,
    Rejection,
    RowProblem,
    Score,
    Solution,
    Split,
)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How a search ended: why, its baseline (the first seed) and the solution it chose."""

    reason: str
    baseline: Solution
    best: Solution


def search(
    problem: Problem, config: Config, proposer: Proposer, trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """Search on train, choose on validation, open test once for the chosen solution and the
    baseline.

    At most two batches a step, one for the seeds, one for validation and one for test. A race has a
    batch per block of rows instead of one; after steps on a subset of train its leaders are scored
    on all of it in one batch more.

    Args:
        problem: what is optimized.
        config: `search`, `evaluation`, `optimizer` and `run.seed` are read.
        proposer: where the solutions come from.
        trajectory: empty; filled as the search goes.
    """
    reason = yield from search_train(problem, config, proposer, trajectory)
    baseline = trajectory.entries[0].solution
    last = trajectory.entries[-1].step
    leaders = [entry for entry in trajectory.top(config.evaluation.finalists) if entry.partial]
    if leaders:
        again, close = (
            [entry.solution for entry in leaders],
            [entry.similarity for entry in leaders],
        )
        yield from score(
            problem, trajectory, again, "train", last, close, label=f"{last}/train/leaders"
        )
    finalists = [
        entry.solution for entry in trajectory.top(config.evaluation.finalists, among="whole")
    ]
    best = finalists[0]
    if "validation" in problem.splits:
        solutions = list(dict.fromkeys([baseline, *finalists]))
        yield from score(problem, trajectory, solutions, "validation", last)
        best = _choose(trajectory, baseline, finalists, config.evaluation.doubt)
    if "test" in problem.splits:
        yield from score(problem, trajectory, list(dict.fromkeys([baseline, best])), "test", last)
    return SearchResult(reason, baseline, best)


def search_train(
    problem: Problem, config: Config, proposer: Proposer, trajectory: Trajectory
) -> Generator[Batch, BatchResult, str]:
    """The OPRO loop alone. Returns why it stopped."""
    settings = config.search
    similarity = Similarity(settings)
    seeds = yield from proposer.start()
    yield from _grow(problem, config, trajectory, seeds, 0, similarity)
    if not trajectory.entries:
        raise DataError(
            f"no starting solution can be scored: {trajectory.rejections[0].reason}",
            "correct search.seeds",
        )
    for step in range(1, settings.steps + 1):
        reason = stop_reason(trajectory, settings, step - 1)
        if reason:
            return reason
        fresh = yield from proposer.propose(step, _affordable(trajectory, config))
        yield from _grow(problem, config, trajectory, fresh, step, similarity)
    return stop_reason(trajectory, settings, settings.steps) or f"all {settings.steps} steps done"


def _affordable(trajectory: Trajectory, config: Config) -> int:
    """How many candidates a step has: fewer than asked for where the budget of pairs ends within
    it.
    """
    settings, rows = config.search, trajectory.entries[0].score.n
    if settings.max_pairs is None:
        return settings.candidates
    left = settings.max_pairs - trajectory.pairs
    cost = racing.cost if config.scoring == "halve" else lambda solutions, rows: solutions * rows
    return max((n for n in range(1, settings.candidates + 1) if cost(n, rows) <= left), default=1)


def _grow(
    problem: Problem,
    config: Config,
    trajectory: Trajectory,
    solutions: Sequence[Solution],
    step: int,
    similarity: Similarity,
) -> Batches:
    """Score a step's solutions on train, if any, as the config says, and say how close each is to
    those before it.

    The seeds are scored on all rows: the baseline is judged by them, and parts are compared with
    them. Where halves are dropped, that holds for the first seed.
    """
    if not solutions:
        return
    trajectory.expect(solutions)
    texts = [solution.text for solution in solutions]
    close = yield from trajectory.count_costs(similarity.measure(texts, f"{step}/train"))
    mode = config.scoring if step else "full"
    if config.scoring == "halve" and not step and len(solutions) > 1:
        yield from score(problem, trajectory, solutions[:1], "train", 0, close[:1])
        solutions, close, mode = solutions[1:], close[1:], "halve"
    if mode in ("race", "halve"):
        yield from _race(problem, config, trajectory, solutions, step, close)
    else:
        rows = _subset(config, trajectory, step) if mode == "subset" else None
        yield from score(problem, trajectory, solutions, "train", step, close, rows)


def _subset(config: Config, trajectory: Trajectory, step: int) -> np.ndarray | None:
    """The train rows a step is scored on, ascending; None where that is all of them."""
    total, count = trajectory.entries[0].score.n, config.evaluation.subset_rows
    fresh = config.evaluation.subset_draw == "fresh"
    drawn = chance.generator(config, step if fresh else 0, chance.ROWS).permutation(total)
    return np.sort(drawn[:count]) if count < total else None


def _race(
    problem: Problem,
    config: Config,
    trajectory: Trajectory,
    solutions: Sequence[Solution],
    step: int,
    similarities: Sequence[float],
) -> Batches:
    """Score solutions on the same blocks of train rows until all rows are scored or all solutions
    dropped.

    After each block but the last those are dropped that are not the best (see racing.beaten), or
    the worse half.
    """
    incumbent, settings = trajectory.reference.score, config.evaluation
    order = _order(problem, config, step, incumbent.n)
    values = np.full((len(solutions), incumbent.n), np.nan)
    parts: list[list[Score]] = [[] for _ in solutions]
    alive, done, number = np.arange(len(solutions)), 0, 0
    refused: dict[int, str] = {}
    while len(alive) and done < incumbent.n:
        drawn = order[done : done + _next_rows(config, len(alive), done, incumbent.n)]
        assert isinstance(problem, RowProblem)
        asked = problem.evaluate(
            [solutions[i] for i in alive], "train", f"{step}/train/{number}", drawn.tolist()
        )
        found = yield from trajectory.count_costs(asked)
        done, number = done + len(drawn), number + 1
        for i, result in zip(alive, found, strict=True):
            if isinstance(result, str):
                refused[i] = result
            else:
                parts[i].append(result)
                values[i, done - len(drawn) : done] = result.values
        if done < incumbent.n:
            known = incumbent.values[order[:done]]
            if config.scoring == "halve":
                out = racing.halved(values[:, :done])
            else:
                out = racing.beaten(values[:, :done], known, incumbent.n, settings.drop_alpha)
            alive = alive[~out[alive]]
    results = [refused.get(i) or racing.joined(part, order) for i, part in enumerate(parts)]
    _append(trajectory, solutions, results, "train", step, similarities, dropping=True)


def _order(problem: Problem, config: Config, step: int, total: int) -> np.ndarray:
    """The order in which a race draws its rows.

    Halves are dropped on few rows. Had one label more than its share of these, a prompt that always
    gives it would look better than it is.
    """
    rng = chance.generator(config, step, chance.ROWS)
    if config.scoring == "halve":
        assert isinstance(problem, RowProblem)
        return chance.in_proportion(problem.targets(), rng)
    return rng.permutation(total)


def _next_rows(config: Config, alive: int, done: int, total: int) -> int:
    """How many rows a race's next block has."""
    if config.scoring == "halve":
        return racing.part(done, total)
    return racing.block(alive, total - done, config.evaluation.block)


def stop_reason(trajectory: Trajectory, settings: SearchSettings, step: int) -> str | None:
    """Why the search should end after this step, or None."""
    best = trajectory.best_by_step()
    best += best[-1:] * (step + 1 - len(best))
    if settings.target_score is not None and best[-1] >= settings.target_score:
        return f"target score {settings.target_score:g} reached"
    if settings.max_tokens is not None and trajectory.tokens >= settings.max_tokens:
        return f"token budget of {settings.max_tokens} used"
    if settings.max_seconds is not None and trajectory.seconds >= settings.max_seconds:
        return f"time budget of {settings.max_seconds:g} s used"
    if (
        settings.max_pairs is not None
        and trajectory.pairs + trajectory.entries[0].score.n > settings.max_pairs
    ):
        return f"budget of {settings.max_pairs} scored pairs used"
    if settings.patience and step >= settings.patience:
        gain = best[step] - best[step - settings.patience]
        if gain <= settings.min_gain:
            return f"no gain above {settings.min_gain:g} in {settings.patience} steps"
    return None


def score(
    problem: Problem,
    trajectory: Trajectory,
    solutions: Sequence[Solution],
    split: Split,
    step: int,
    similarities: Sequence[float] = (),
    rows: np.ndarray | None = None,
    label: str = "",
) -> Batches:
    """Score solutions on a split, or on these rows of it, and append them; those that can't be
    scored are rejected.

    `similarities` is what Similarity.measure says of them, 0 where it is not asked; `label` is the
    batch's, by default step and split.
    """
    label = label or f"{step}/{split}"
    if rows is None:
        asked = problem.evaluate(solutions, split, label)
    else:
        assert isinstance(problem, RowProblem)
        asked = problem.evaluate(solutions, split, label, rows.tolist())
    found = yield from trajectory.count_costs(asked)
    if rows is not None:
        found = [
            result if isinstance(result, str) else replace(result, rows=rows) for result in found
        ]
    _append(trajectory, solutions, found, split, step, similarities)


def _append(
    trajectory: Trajectory,
    solutions: Sequence[Solution],
    results: Sequence[Score | str],
    split: Split,
    step: int,
    similarities: Sequence[float],
    dropping: bool = False,
) -> None:
    """Append what was scored and reject what was not; `dropping` marks partial scores as dropped."""
    position = sum(entry.step == step for entry in trajectory.entries) if split == "train" else 0
    similarities = similarities or [0.0] * len(solutions)
    for solution, result, similarity in zip(solutions, results, similarities, strict=True):
        if isinstance(result, str):
            trajectory.reject(Rejection(step, solution.text, result))
            continue
        dropped = dropping and result.rows is not None
        trajectory.add(Entry(split, step, position, solution, result, similarity, dropped))
        position += 1


def _choose(
    trajectory: Trajectory, baseline: Solution, finalists: Sequence[Solution], doubt: float
) -> Solution:
    """The best of the finalists that validation confirms, or the baseline where it confirms none.

    They are ranked by their mean over the rows of train and validation together, which is less
    noisy than that of either. But train is what they were selected on; so only validation says
    whether one is better than the baseline: its one-sided p-value must not be above `doubt`, or,
    where rows are too few for that, above the least there is.
    """
    train = {entry.solution: entry.score for entry in trajectory.entries}
    held_out = {
        entry.solution: entry.score for entry in trajectory.held_out if entry.split == "validation"
    }

    def pooled(solution: Solution) -> float:
        return float(
            np.concatenate([train[solution].values, held_out[solution].values]).mean(
                dtype=np.float64
            )
        )

    # Of equals the one that is better on validation stands first: luck on train is what it was
    # selected by.
    measured = [solution for solution in finalists if solution in held_out]
    measured.sort(key=lambda solution: (pooled(solution), held_out[solution].value), reverse=True)
    if baseline not in held_out:
        return next(iter(measured), baseline)
    for solution in measured:
        if solution == baseline:
            break
        gain = stats.paired_difference(held_out[solution].values, held_out[baseline].values)
        if gain.value > 0 and gain.p_value / 2 <= max(doubt, 0.5 ** held_out[solution].n):
            return solution
    return baseline
