"""OPRO's loop (arXiv 2309.03409, section 2 and algorithm of section 5) as a generator, and its stop rules.

For: deciding what to ask next from what was answered so far. Not for: I/O of any kind. The generator owns no engine,
clock, file or random state: randomness is derived from (run seed, step, purpose), and time is what replies say.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from opro_local.config import Config, SearchSettings
from opro_local.errors import DataError
from opro_local.metaprompt import Form, View, parse, render
from opro_local.similarity import Similarity
from opro_local.trajectory import Entry, Trajectory
from opro_local.types import Asks, Batch, Completion, Problem, Rejection, Reply, Sampling, Solution, Split

SAMPLING, EXEMPLARS, ORDER = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a search ended: why, its baseline (the first seed) and the solution it chose."""

    reason: str
    baseline: Solution
    best: Solution


def search(problem: Problem, config: Config, form: Form, trajectory: Trajectory) -> Generator[Batch, Reply, Outcome]:
    """Search on train, choose on validation, open test once for the chosen solution and the baseline.

    At most two batches a step, one for the seeds, one for validation and one for test.

    Args:
        problem: what is optimized.
        config: `search`, `evaluation`, `optimizer` and `run.seed` are read.
        form: how the optimizer is asked.
        trajectory: empty; filled as the search goes.
    """
    reason = yield from climb(problem, config, form, trajectory)
    baseline = trajectory.entries[0].solution
    finalists = [entry.solution for entry in trajectory.top(config.evaluation.finalists)]
    best = finalists[0]
    last = trajectory.entries[-1].step
    if "validation" in problem.splits:
        solutions = list(dict.fromkeys([baseline, *finalists]))
        yield from score(problem, trajectory, solutions, "validation", last)
        held_out = [entry for entry in trajectory.held_out if entry.solution in finalists]
        best = _choose(held_out, trajectory) if held_out else best
    if "test" in problem.splits:
        yield from score(problem, trajectory, list(dict.fromkeys([baseline, best])), "test", last)
    return Outcome(reason, baseline, best)


def climb(problem: Problem, config: Config, form: Form, trajectory: Trajectory) -> Generator[Batch, Reply, str]:
    """The OPRO loop alone. Returns why it stopped."""
    settings = config.search
    similarity = Similarity(settings)
    yield from _grow(problem, trajectory, list(dict.fromkeys(problem.seeds())), 0, similarity)
    if not trajectory.entries:
        raise DataError(
            f"no starting solution can be scored: {trajectory.rejections[0].reason}", "correct search.seeds"
        )
    history = settings.history + settings.recent
    for step in range(1, settings.steps + 1):
        reason = stop_reason(trajectory, settings, step - 1)
        if reason:
            return reason
        replies, history = yield from _propose(problem, config, form, trajectory, step, history)
        fresh = _admit(problem, form, trajectory, step, replies)
        if fresh:
            yield from _grow(problem, trajectory, fresh, step, similarity)
    return stop_reason(trajectory, settings, settings.steps) or f"all {settings.steps} steps done"


def _grow(
    problem: Problem, trajectory: Trajectory, solutions: Sequence[Solution], step: int, similarity: Similarity
) -> Asks:
    """Score a step's solutions on train and say how close each is to those before it."""
    texts = [solution.text for solution in solutions]
    close = yield from _counted(similarity.measure(texts, f"{step}/train"), trajectory)
    yield from score(problem, trajectory, solutions, "train", step, close)


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
) -> Asks:
    """Score solutions on a split and append them; those that can't be scored are rejected.

    `similarities` is what Similarity.measure says of them, 0 where it is not asked.
    """
    found = yield from _counted(problem.evaluate(solutions, split, f"{step}/{split}"), trajectory)
    position = 0
    similarities = similarities or [0.0] * len(solutions)
    for solution, result, similarity in zip(solutions, found, similarities, strict=True):
        if isinstance(result, str):
            trajectory.reject(Rejection(step, solution.text, result), solution)
            continue
        trajectory.add(Entry(split, step, position, solution, result, similarity))
        position += 1


def _counted(batches: Asks, trajectory: Trajectory) -> Asks:
    """Pass batches through and add what their replies cost to the trajectory."""
    try:
        batch = next(batches)
        while True:
            reply = yield batch
            trajectory.seconds += reply.seconds
            trajectory.tokens += sum(c.prompt_tokens + c.completion_tokens for c in reply.completions)
            batch = batches.send(reply)
    except StopIteration as end:
        return end.value


def _propose(
    problem: Problem, config: Config, form: Form, trajectory: Trajectory, step: int, history: int
) -> Generator[Batch, Reply, tuple[Sequence[Completion], int]]:
    """Ask for the step's candidates in one batch; a meta-prompt over the context is asked again with half the history.

    Halving costs no generation, and the shorter history is kept for the steps after it.
    """
    sampling = _samplings(config, form, step)
    attempt = 0
    while True:
        prompt = render(form, _view(problem, config, trajectory, step, history), problem.words())
        label = f"{step}/propose" + (f"/{attempt}" if attempt else "")
        completions = yield from _counted(problem.ask(label, prompt, sampling), trajectory)
        if history == 0 or any(c.finish_reason != "too_long" for c in completions):
            return completions, history
        history, attempt = history // 2, attempt + 1


def _samplings(config: Config, form: Form, step: int) -> list[Sampling]:
    optimizer, count = config.optimizer, config.search.candidates
    seeds = _seeds(config, step, SAMPLING).generate_state(count)
    temperature = temperature_at(config, step)
    return [
        Sampling(
            optimizer.max_tokens or form.max_tokens,
            temperature,
            optimizer.top_p if temperature else 1.0,
            int(seed) if temperature else None,
            form.stop,
        )
        for seed in seeds
    ]


def temperature_at(config: Config, step: int) -> float:
    """The optimizer's temperature in a step: constant, or linear from `temperature` to `temperature_end`."""
    start, end = config.optimizer.temperature, config.search.temperature_end
    if config.search.schedule == "constant" or end is None or config.search.steps < 2:
        return start
    return start + (end - start) * (step - 1) / (config.search.steps - 1)


def _view(problem: Problem, config: Config, trajectory: Trajectory, step: int, history: int) -> View:
    settings = config.search
    entries = shown_entries(trajectory, config, step, history)
    pairs = [(entry.solution.text, problem.show(entry.score.value)) for entry in entries]
    rows = _exemplar_rows(problem, config, trajectory, entries, step)
    best = trajectory.top(1)[0]
    target = problem.show(aim(best.score.value)) or ""
    return View(pairs, problem.exemplars(rows), settings.order, target, best.solution.text, settings.constraint)


def aim(best: float) -> float:
    """The score a continuation asks for: three quarters of the way from the best known to 1 (0.78 gives 0.945).

    Objectives of another scale, above 1 or below 0, have no such end: the best itself is asked for.
    """
    return best + 0.75 * (1 - best) if 0 <= best <= 1 else best


def shown_entries(trajectory: Trajectory, config: Config, step: int, history: int) -> list[Entry]:
    """The entries a meta-prompt shows: the top of the trajectory, the most recent ones beside it, in the set order."""
    settings = config.search
    best = trajectory.top(min(settings.history, history), settings.exploration)
    top = [e for e in best if e.score.value >= settings.threshold]
    known = {id(entry) for entry in top}
    recent = [e for e in trajectory.recent(min(settings.recent, history)) if id(e) not in known]
    entries = sorted(top + recent, key=lambda e: (e.score.value, -e.step, -e.position))
    if settings.order == "descending":
        entries.reverse()
    if settings.order == "random":
        np.random.default_rng(_seeds(config, step, ORDER)).shuffle(entries)
    return entries


def _exemplar_rows(
    problem: Problem, config: Config, trajectory: Trajectory, entries: list[Entry], step: int
) -> Sequence[int]:
    """Which train rows the meta-prompt shows; ties among the wrong counts are broken at random."""
    rows = trajectory.entries[0].score.n
    choice, k = config.search.exemplar_choice, min(config.search.exemplars, rows)
    draw = np.random.default_rng(_seeds(config, 0 if choice == "constant" else step, EXEMPLARS))
    order = draw.permutation(rows)
    if choice in ("most_wrong", "shown_wrong"):
        wrong = trajectory.times_wrong(trajectory.entries if choice == "most_wrong" or not entries else entries)
        order = order[np.argsort(-wrong[order], kind="stable")]
    return [int(row) for row in order[:k]]


def _admit(
    problem: Problem, form: Form, trajectory: Trajectory, step: int, replies: Sequence[Completion]
) -> list[Solution]:
    """The new solutions among the replies; every other reply is rejected with its reason."""
    fresh: dict[str, Solution] = {}
    for reply in replies:
        solution = _read(problem, form, reply)
        if isinstance(solution, Solution) and (trajectory.seen(solution) or solution.key in fresh):
            solution = f"duplicate: {solution.text}"
        if isinstance(solution, Solution):
            fresh[solution.key] = solution
        else:
            trajectory.reject(Rejection(step, reply.text, solution))
    return list(fresh.values())


def _read(problem: Problem, form: Form, reply: Completion) -> Solution | str:
    if reply.finish_reason == "too_long":
        return "the meta-prompt does not fit the optimizer's context"
    text = parse(form, reply.text, problem.words())
    if text is None:
        return f"unparsed: no text between {form.open!r} and {form.close!r}"
    if not form.open and reply.finish_reason == "length" and form.close not in reply.text:
        return "unfinished: cut at the token limit"
    return problem.read(text)


def _choose(held_out: list[Entry], trajectory: Trajectory) -> Solution:
    """The finalist with the best validation score; of equals the one that is better on train."""
    ranks = {entry.solution: rank for rank, entry in enumerate(trajectory.top(len(trajectory.entries)))}
    return min(held_out, key=lambda entry: (-entry.score.value, ranks[entry.solution])).solution


def _seeds(config: Config, step: int, purpose: int) -> np.random.SeedSequence:
    return np.random.SeedSequence((config.run.seed, step, purpose))
