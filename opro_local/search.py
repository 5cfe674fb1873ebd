"""OPRO's loop (arXiv 2309.03409, section 2 and algorithm of section 5) as a generator, and its stop rules.

For: deciding what to ask next from what was answered so far. Not for: I/O of any kind. The generator owns no engine,
clock, file or random state: randomness is derived from (run seed, step, purpose), and time is what replies say.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local import racing
from opro_local.config import Config, SearchSettings
from opro_local.errors import DataError
from opro_local.metaprompt import Form, View, parse, render
from opro_local.similarity import Similarity
from opro_local.trajectory import Entry, Trajectory
from opro_local.types import Asks, Batch, Completion, Problem, Rejection, Reply, Sampling, Score, Solution, Split

SAMPLING, EXEMPLARS, ORDER, ROWS = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a search ended: why, its baseline (the first seed) and the solution it chose."""

    reason: str
    baseline: Solution
    best: Solution


def search(problem: Problem, config: Config, form: Form, trajectory: Trajectory) -> Generator[Batch, Reply, Outcome]:
    """Search on train, choose on validation, open test once for the chosen solution and the baseline.

    At most two batches a step, one for the seeds, one for validation and one for test. A race has a batch per block
    of rows instead of one; after steps on a subset of train its leaders are scored on all of it in one batch more.

    Args:
        problem: what is optimized.
        config: `search`, `evaluation`, `optimizer` and `run.seed` are read.
        form: how the optimizer is asked.
        trajectory: empty; filled as the search goes.
    """
    reason = yield from climb(problem, config, form, trajectory)
    baseline = trajectory.entries[0].solution
    last = trajectory.entries[-1].step
    leaders = [entry for entry in trajectory.top(config.evaluation.finalists) if entry.partial]
    if leaders:
        again, close = [entry.solution for entry in leaders], [entry.similarity for entry in leaders]
        yield from score(problem, trajectory, again, "train", last, close, label=f"{last}/train/leaders")
    finalists = [entry.solution for entry in trajectory.top(config.evaluation.finalists, among="whole")]
    best = finalists[0]
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
    yield from _grow(problem, config, trajectory, list(dict.fromkeys(problem.seeds())), 0, similarity)
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
            yield from _grow(problem, config, trajectory, fresh, step, similarity)
    return stop_reason(trajectory, settings, settings.steps) or f"all {settings.steps} steps done"


def _grow(
    problem: Problem,
    config: Config,
    trajectory: Trajectory,
    solutions: Sequence[Solution],
    step: int,
    similarity: Similarity,
) -> Asks:
    """Score a step's solutions on train, as the config says, and say how close each is to those before it.

    The seeds are always scored on all rows: the baseline is judged by them, and parts are compared with them.
    """
    texts = [solution.text for solution in solutions]
    close = yield from _counted(similarity.measure(texts, f"{step}/train"), trajectory)
    mode = config.evaluation.mode if step else "full"
    if mode == "race":
        yield from _race(problem, config, trajectory, solutions, step, close)
    else:
        rows = _subset(config, trajectory, step) if mode == "subset" else None
        yield from score(problem, trajectory, solutions, "train", step, close, rows)


def _subset(config: Config, trajectory: Trajectory, step: int) -> np.ndarray | None:
    """The train rows a step is scored on, ascending; None where that is all of them."""
    total, count = trajectory.entries[0].score.n, config.evaluation.subset_rows
    fresh = config.evaluation.subset_draw == "fresh"
    drawn = np.random.default_rng(_seeds(config, step if fresh else 0, ROWS)).permutation(total)
    return np.sort(drawn[:count]) if count < total else None


def _race(
    problem: Problem,
    config: Config,
    trajectory: Trajectory,
    solutions: Sequence[Solution],
    step: int,
    similarities: Sequence[float],
) -> Asks:
    """Score solutions on the same blocks of train rows until all rows are scored or all solutions dropped.

    After each block but the last those are dropped that are not the best (see racing.beaten).
    """
    incumbent, settings = trajectory.reference.score, config.evaluation
    order = np.random.default_rng(_seeds(config, step, ROWS)).permutation(incumbent.n)
    values = np.full((len(solutions), incumbent.n), np.nan)
    parts: list[list[Score]] = [[] for _ in solutions]
    alive, done, number = np.arange(len(solutions)), 0, 0
    refused: dict[int, str] = {}
    while len(alive) and done < incumbent.n:
        drawn = order[done : done + racing.block(len(alive), incumbent.n - done, settings.block)]
        asked = problem.evaluate([solutions[i] for i in alive], "train", f"{step}/train/{number}", drawn)
        found = yield from _counted(asked, trajectory)
        done, number = done + len(drawn), number + 1
        for i, result in zip(alive, found, strict=True):
            if isinstance(result, str):
                refused[i] = result
            else:
                parts[i].append(result)
                values[i, done - len(drawn) : done] = result.values
        if done < incumbent.n:
            known = incumbent.values[order[:done]]
            out = racing.beaten(values[:, :done], known, incumbent.n, settings.drop_alpha)
            alive = alive[~out[alive]]
    results = [refused.get(i) or racing.joined(part, order) for i, part in enumerate(parts)]
    _append(trajectory, solutions, results, "train", step, similarities, dropping=True)


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
    rows: np.ndarray | None = None,
    label: str = "",
) -> Asks:
    """Score solutions on a split, or on these rows of it, and append them; those that can't be scored are rejected.

    `similarities` is what Similarity.measure says of them, 0 where it is not asked; `label` is the batch's, by
    default step and split.
    """
    label = label or f"{step}/{split}"
    if rows is None:
        asked = problem.evaluate(solutions, split, label)
    else:
        asked = problem.evaluate(solutions, split, label, rows)
    found = yield from _counted(asked, trajectory)
    if rows is not None:
        found = [result if isinstance(result, str) else replace(result, rows=rows) for result in found]
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
            trajectory.reject(Rejection(step, solution.text, result), solution)
            continue
        dropped = dropping and result.rows is not None
        trajectory.add(Entry(split, step, position, solution, result, similarity, dropped))
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
    pairs = [(entry.solution.text, problem.show(trajectory.estimate(entry))) for entry in entries]
    rows = _exemplar_rows(problem, config, trajectory, entries, step)
    best = trajectory.top(1)[0]
    target = problem.show(aim(trajectory.estimate(best))) or ""
    return View(pairs, problem.exemplars(rows), settings.order, target, best.solution.text, settings.constraint)


def aim(best: float) -> float:
    """The score a continuation asks for: three quarters of the way from the best known to 1 (0.78 gives 0.945).

    Objectives of another scale, above 1 or below 0, have no such end: the best itself is asked for.
    """
    return best + 0.75 * (1 - best) if 0 <= best <= 1 else best


def shown_entries(trajectory: Trajectory, config: Config, step: int, history: int) -> list[Entry]:
    """The entries a meta-prompt shows: the top of the trajectory, the most recent ones beside it, in the set order.

    What a race dropped is among them: the optimizer learns from poor solutions too.
    """
    settings = config.search
    best = trajectory.top(min(settings.history, history), settings.exploration, among="all")
    top = [e for e in best if trajectory.estimate(e) >= settings.threshold]
    known = {id(entry) for entry in top}
    recent = [e for e in trajectory.recent(min(settings.recent, history)) if id(e) not in known]
    entries = sorted(top + recent, key=lambda e: (trajectory.estimate(e), -e.step, -e.position))
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
        wrong = trajectory.share_wrong(trajectory.entries if choice == "most_wrong" or not entries else entries, rows)
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
    ranks = {entry.solution: rank for rank, entry in enumerate(trajectory.top(len(trajectory.entries), among="whole"))}
    return min(held_out, key=lambda entry: (-entry.score.value, ranks[entry.solution])).solution


def _seeds(config: Config, step: int, purpose: int) -> np.random.SeedSequence:
    return np.random.SeedSequence((config.run.seed, step, purpose))
