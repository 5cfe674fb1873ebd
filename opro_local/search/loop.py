"""OPRO's loop (arXiv 2309.03409, section 2 and the algorithm of section 5) as a generator.

For: deciding what to ask next from what was answered so far, when to stop, and which solution to
choose. Not for: I/O of any kind. The generator owns no engine, clock, file or random state:
randomness is derived from (run seed, step, purpose), and time is what the answers say.

    state = SearchState(problem, config, Trajectory())
    batches = search(state, Opro(state, form))
    batch = next(batches)
    while True:  # until StopIteration, whose value is the SearchResult; see runs/driver.py
        batch = batches.send(BatchResult(engine.generate(batch.requests), seconds))
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from opro_local.errors import DataError
from opro_local.scoring import comparison
from opro_local.search import replies
from opro_local.search.exchange import confirms, exchange, pairs_kept
from opro_local.search.proposing import Proposer
from opro_local.search.schedules.schedule import Schedule, make_schedule
from opro_local.search.similarity import Similarity
from opro_local.search.state import Candidates, SearchState
from opro_local.search.stopping import end_of_gains, stop_reason
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, Batches, BatchResult, Score, Solution


@dataclass(frozen=True, slots=True)
class Vote:
    """Several prompts that were asked together.

    Attributes:
        prompts: the chosen one first.
        score: of all together, on test.
    """

    prompts: tuple[Solution, ...]
    score: Score


@dataclass(frozen=True, slots=True)
class SearchResult:
    """How a search ended.

    Attributes:
        reason: why it stopped, in words.
        baseline: the first seed.
        best: the solution it chose; the baseline where none is reliably better.
        fault: why it could not search, with what to change; "" where it could.
        vote: the best prompts together, where `evaluation.vote` asks for them.
    """

    reason: str
    baseline: Solution
    best: Solution
    fault: str = ""
    vote: Vote | None = None


def search(state: SearchState, proposer: Proposer) -> Generator[Batch, BatchResult, SearchResult]:
    """Search on train, choose on validation, and open test once for the chosen solution and the
    baseline.

    At most two batches a step, one for the seeds, one for validation and one for test. A race has a
    batch per block of rows instead of one; after steps on a subset of train its leaders are scored
    on all of it in one batch more.

    Args:
        state: of its config `search`, `evaluation`, `optimizer` and `run.seed` are read; its
            trajectory is empty and filled as the search goes.
        proposer: where the solutions come from; it reads the same trajectory.
    """
    splits, trajectory, settings = state.problem.splits, state.trajectory, state.config.evaluation
    reason = yield from search_train(state, proposer)
    baseline = trajectory.entries[0].solution
    last_step = trajectory.entries[-1].step
    yield from _complete_leaders(state, last_step)
    is_thrifty = state.config.search.revision >= 4
    finalists = _finalists(trajectory, settings.finalists, is_thrifty)
    best = finalists[0]
    if "validation" in splits:
        yield from state.score(
            Candidates(_distinct([baseline, *finalists]), last_step), "validation"
        )
        best = _choose(trajectory, baseline, finalists, settings.doubt, is_thrifty)
        best = yield from exchange(state, baseline, best, last_step)
    if "test" in splits:
        yield from state.score(Candidates(_distinct([baseline, best]), last_step), "test")
    target = state.config.search.target_score
    is_reached = target is not None and trajectory.best_by_step()[-1] >= target
    fault = "" if is_reached else replies.fault(trajectory)
    return SearchResult(fault or reason, baseline, best, fault)


def search_train(state: SearchState, proposer: Proposer) -> Generator[Batch, BatchResult, str]:
    """The OPRO loop alone: propose, score, keep. Returns why it stopped.

    Raises:
        DataError: no seed can be scored.
    """
    settings, trajectory = state.config.search, state.trajectory
    schedule, similarity = make_schedule(state), Similarity(settings)
    seeds = yield from proposer.start()
    if seeds:
        measured = yield from _measure(state, seeds, 0, similarity)
        yield from schedule.score_seeds(state, measured)
    if not trajectory.entries:
        raise DataError(
            f"no starting solution can be scored: {trajectory.rejections[0].reason}",
            "correct search.seeds, or what scores them",
        )
    for step in range(1, settings.steps + 1):
        reason = stop_reason(trajectory, settings, step - 1, pairs_kept(state))
        reason = reason or end_of_gains(trajectory, state.config, step - 1)
        if reason:
            return reason
        proposed = yield from proposer.propose(step, _affordable(state, schedule))
        if proposed:
            measured = yield from _measure(state, proposed, step, similarity)
            yield from schedule.score_step(state, measured)
    return stop_reason(trajectory, settings, settings.steps) or f"all {settings.steps} steps done"


def _measure(
    state: SearchState, solutions: Sequence[Solution], step: int, similarity: Similarity
) -> Generator[Batch, BatchResult, Candidates]:
    """New solutions with how close each is to those before it; from now on they count as seen."""
    state.trajectory.expect(solutions)
    texts = [solution.text for solution in solutions]
    measured = similarity.measure(texts, f"{step}/train")
    similarities = yield from state.trajectory.count_costs(measured)
    return Candidates(solutions, step, similarities)


def _complete_leaders(state: SearchState, step: int) -> Batches:
    """Score on all rows those of the best that were scored on a part: finalists are compared."""
    leaders = state.trajectory.top(state.config.evaluation.finalists)
    partial = [entry for entry in leaders if entry.partial]
    if not partial:
        return
    solutions = [entry.solution for entry in partial]
    similarities = [entry.similarity for entry in partial]
    candidates = Candidates(solutions, step, similarities)
    yield from state.score(candidates, "train", label=f"{step}/train/leaders")


def _affordable(state: SearchState, schedule: Schedule) -> int:
    """How many candidates a step has: fewer than asked for where the budget of pairs ends in it,
    but at least 1.
    """
    settings, rows = state.config.search, state.trajectory.entries[0].score.n
    if settings.max_pairs is None:
        return settings.candidates
    left = settings.max_pairs - state.trajectory.pairs - pairs_kept(state)
    for count in range(settings.candidates, 1, -1):
        if schedule.pairs(count, rows) <= left:
            return count
    return 1


def _distinct(solutions: Sequence[Solution]) -> list[Solution]:
    """The solutions in their order, each once."""
    return list(dict.fromkeys(solutions))


def _finalists(trajectory: Trajectory, count: int, is_thrifty: bool) -> list[Solution]:
    """The best on all of train, best first.

    Args:
        trajectory: what was scored.
        count: how many.
        is_thrifty: of equals the one that takes fewer tokens a row is better, then the earlier
            one; else the earlier one at once, as before `search.revision` 4.
    """
    ranked = trajectory.top(len(trajectory.distinct) if is_thrifty else count, among="whole")
    if is_thrifty:
        ranked.sort(key=lambda entry: (-comparison.tied(entry.score.value), entry.score.cost))
    return [entry.solution for entry in ranked[:count]]


def _choose(
    trajectory: Trajectory,
    baseline: Solution,
    finalists: Sequence[Solution],
    doubt: float,
    is_thrifty: bool,
) -> Solution:
    """The best of the finalists that validation confirms, or the baseline where it confirms none.

    They are ranked by their value on the rows of train and validation together, which is less
    noisy than that of either. But train is what they were selected on; so only validation says
    whether one is better than the baseline (see exchange.confirms).

    Of equals the one that is better on validation stands first: luck on train is what it was
    selected by. Of those that are equal there, too, it is the one that takes fewer tokens a row
    (`is_thrifty`, see `_finalists`).
    """
    train = {entry.solution: entry.score for entry in trajectory.entries}
    held_out = {
        entry.solution: entry.score for entry in trajectory.held_out if entry.split == "validation"
    }

    def rank(solution: Solution) -> tuple[float, ...]:
        scores = [train[solution], held_out[solution]]
        values = comparison.pooled(scores), held_out[solution].value
        if not is_thrifty:
            return values
        cost = sum(score.tokens for score in scores) / sum(score.n for score in scores)
        return *map(comparison.tied, values), -cost

    measured = [solution for solution in finalists if solution in held_out]
    measured.sort(key=rank, reverse=True)
    if baseline not in held_out:
        return next(iter(measured), baseline)
    for solution in measured:
        if solution == baseline:
            break
        if confirms(held_out[solution], held_out[baseline], doubt):
            return solution
    return baseline
