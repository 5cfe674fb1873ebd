"""What the optimizer is asked in a step, and which of its replies are new solutions.

For: the paper's way to propose: one meta-prompt, asked as often as candidates are wanted. Not for:
scoring, or the loop (loop.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from opro_local.config.settings import Config
from opro_local.protocols import Problem
from opro_local.scoring.reading.thoughts import spoken
from opro_local.search import chance
from opro_local.search.metaprompts.metaprompt import (
    REVISION,
    Form,
    View,
    missing_marks,
    parse,
    render,
)
from opro_local.search.required import told
from opro_local.search.state import SearchState
from opro_local.search.trajectory import Entry, Trajectory
from opro_local.types import Batch, Batches, BatchResult, Completion, Rejection, Sampling, Solution

# What asking again adds to the temperature: the same again would bring much of the same.
WARMER = 0.2
# Characters of a token and of a word with its space: few of a token where there must be room, many
# where it must be ruled out that a reply is so long.
CHARACTERS_A_TOKEN, LETTERS_A_TOKEN, LETTERS_A_WORD = 3, 6, 6
AROUND_A_TEXT = 128  # tokens of marks, and of what stands beside a text in JSON


class Proposer(Protocol):
    """Where a search's solutions come from."""

    def start(self) -> Generator[Batch, BatchResult, list[Solution]]:
        """The solutions scored first; the first of them is the baseline."""

    def propose(self, step: int, most: int) -> Generator[Batch, BatchResult, list[Solution]]:
        """At most so many new solutions for a step; the replies that gave none are rejected in the
        trajectory.
        """


class Opro:
    """The paper's proposer: the top of the trajectory in one meta-prompt, asked once per candidate
    in one batch.

    Args:
        state: the search; of its config `search`, `optimizer` and `run.seed` are read. The proposer
            rejects replies in its trajectory.
        form: how the optimizer is asked.
    """

    def __init__(self, state: SearchState, form: Form) -> None:
        self._state, self._form = state, form
        self._history = state.config.search.history + state.config.search.recent

    def start(self) -> Generator[Batch, BatchResult, list[Solution]]:
        """The problem's own seeds."""
        yield from ()
        return list(dict.fromkeys(self._state.problem.seeds()))

    def propose(self, step: int, most: int) -> Generator[Batch, BatchResult, list[Solution]]:
        """See Proposer.propose."""
        replies = yield from self._ask(step, most)
        return admit(self._state, self._form, step, replies)

    def _ask(self, step: int, most: int) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        state, form = self._state, self._form
        drawn = samplings(state.config, form, step, most)

        def ask(view: View, halved: int) -> Batches:
            label = f"{step}/propose/{halved}" if halved else f"{step}/propose"
            shown = with_limit(state.config, form, view)
            prompt = render(form, shown, state.problem.prompt_variables())
            return state.trajectory.count_costs(state.problem.ask_optimizer(label, prompt, drawn))

        def view_of(history: int) -> View:
            return step_view(state, step, history, each_entry)

        _, completions, self._history = yield from within_context(view_of, ask, self._history)
        return completions


def within_context(
    view_of: Callable[[int], View], ask: Callable[[View, int], Batches], history: int
) -> Generator[Batch, BatchResult, tuple[View, Sequence[Completion], int]]:
    """Ask; while every meta-prompt is over the context, ask again with half the history.

    Halving costs no generation, and the shorter history is kept for the steps after it.

    Args:
        view_of: what is shown with a history of this length.
        ask: asks with a view; also given how often the history was halved before.
        history: how many entries are shown at most.

    Returns:
        what was shown, the replies, and the history to go on with.
    """
    halved = 0
    while True:
        view = view_of(history)
        completions = yield from ask(view, halved)
        fits = any(completion.finish_reason != "too_long" for completion in completions)
        if fits or history == 0:
            return view, completions, history
        history, halved = history // 2, halved + 1


def samplings(
    config: Config, form: Form, step: int, count: int, attempt: int = 0
) -> list[Sampling]:
    """How so many replies to a form are drawn in a step: alike, but each with a seed of its own.

    Every attempt has seeds of its own too, the next `count` of the same sequence, and is warmer.
    """
    optimizer = config.optimizer
    sequence = chance.seeds(config, step, chance.SAMPLING)
    states = sequence.generate_state(count * (attempt + 1))[count * attempt :]
    temperature = temperature_at(config, step, form)
    if temperature:
        temperature += attempt * WARMER
    return [
        Sampling(
            optimizer.max_tokens or reply_tokens(config, form),
            temperature,
            optimizer.top_p if temperature else 1.0,
            int(seed) if temperature else None,
            form.stop,
        )
        for seed in states
    ]


def reply_tokens(config: Config, form: Form) -> int:
    """New tokens of a reply where the config doesn't say: the form's, and from chat models at least
    what a text of the longest kind needs.
    """
    if not (form.chat and config.tells_limits):
        return form.max_tokens
    return max(form.max_tokens, config.search.longest // CHARACTERS_A_TOKEN + AROUND_A_TEXT)


def with_limit(config: Config, form: Form, view: View) -> View:
    """The view with the limits of a text behind the user's constraint, where a reply can be over
    them.
    """
    search, most = config.search, config.search.longest
    can_reach = form.chat or most < form.max_tokens * LETTERS_A_TOKEN
    if not config.tells_limits or not (can_reach or search.max_words):
        return view
    limit = f"It may have at most {most:,} characters, some {most // LETTERS_A_WORD:,} words"
    if search.max_words:
        limit = f"It may have at most {search.max_words:,} words and {most:,} characters"
    own = view.constraint.strip().rstrip(".")
    return replace(view, constraint=f"{own}. {limit}" if own else limit)


def temperature_at(config: Config, step: int, form: Form) -> float:
    """The optimizer's temperature in a step: constant, or linear to `temperature_end`; it starts at
    the form's own.
    """
    start, end = config.optimizer.temperature, config.search.temperature_end
    start = form.temperature if start is None else start
    steps = config.search.steps
    if config.search.schedule == "constant" or end is None or steps < 2:
        return start
    # Seeds are written in step 0, as warm as the first step.
    return start + (end - start) * (max(step, 1) - 1) / (steps - 1)


# Makes texts with their scores of the entries that a meta-prompt shows.
Listed = Callable[[Trajectory, Sequence[Entry]], Iterable[tuple[str, float]]]


def each_entry(trajectory: Trajectory, entries: Sequence[Entry]) -> list[tuple[str, float]]:
    """The text and the estimated score of each entry."""
    return [(entry.solution.text, trajectory.estimate(entry)) for entry in entries]


def each_text(trajectory: Trajectory, entries: Sequence[Entry]) -> list[tuple[str, float]]:
    """Each text once, where it stands last, with the best that it earned: others differ in worked
    examples only.
    """
    best: dict[str, float] = {}
    for text, value in each_entry(trajectory, entries):
        best[text] = max(value, best.pop(text, -np.inf))
    return list(best.items())


def step_view(state: SearchState, step: int, history: int, listed: Listed) -> View:
    """What a step's meta-prompts show; `listed` makes texts with scores of the entries in the
    history.
    """
    problem, config, trajectory = state.problem, state.config, state.trajectory
    entries = shown_entries(trajectory, config, step, history)
    pairs = [(text, problem.format_score(value)) for text, value in listed(trajectory, entries)]
    best = trajectory.top(1)[0]
    return View(
        pairs,
        problem.exemplars(exemplar_rows(config, trajectory, entries, step)),
        config.search.order,
        problem.format_score(aim(trajectory.estimate(best))) or "",
        best.solution.text,
        told(config.search),
    )


def aim(best: float) -> float:
    """The score a continuation asks for: three quarters of the way from the best known to 1 (0.78
    gives 0.945).

    Objectives of another scale, above 1 or below 0, have no such end: the best itself is asked for.
    """
    return best + 0.75 * (1 - best) if 0 <= best <= 1 else best


def shown_entries(trajectory: Trajectory, config: Config, step: int, history: int) -> list[Entry]:
    """The entries a meta-prompt shows: the top of the trajectory, the most recent ones beside it,
    in the set order.

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
        chance.generator(config, step, chance.ORDER).shuffle(entries)
    return entries


def exemplar_rows(
    config: Config, trajectory: Trajectory, entries: Sequence[Entry], step: int
) -> list[int]:
    """Which train rows the meta-prompt shows; ties among the wrong counts are broken at random."""
    rows = trajectory.entries[0].score.n
    choice, k = config.search.exemplar_choice, min(config.search.exemplars, rows)
    rng = chance.generator(config, 0 if choice == "constant" else step, chance.EXEMPLARS)
    order = rng.permutation(rows)
    if choice in ("most_wrong", "shown_wrong"):
        shown = entries if choice == "shown_wrong" and entries else None
        wrong = trajectory.share_wrong(rows, shown)
        order = order[np.argsort(-wrong[order], kind="stable")]
    return [int(row) for row in order[:k]]


def admit(
    state: SearchState, form: Form, step: int, replies: Sequence[Completion]
) -> list[Solution]:
    """The new solutions among the replies; every other reply is rejected with its reason."""
    fresh: dict[str, Solution] = {}
    for reply in replies:
        revision = state.config.search.revision
        solution = read_reply(state.problem, form, reply, revision=revision)
        if isinstance(solution, Solution):
            known = state.trajectory.seen(solution) or solution.key in fresh
            if not known:
                fresh[solution.key] = solution
                continue
            solution = f"duplicate: {solution.text}"
        state.trajectory.reject(Rejection(step, reply.text, solution))
    return list(fresh.values())


def read_reply(
    problem: Problem, form: Form, reply: Completion, opener: str = "", revision: int = REVISION
) -> Solution | str:
    """The solution in a reply begun with `opener`, or why there is none; for `revision` see
    metaprompt.parse.
    """
    text, reason = read_text(form, reply, problem.prompt_variables(), opener, revision)
    return reason if text is None else problem.parse(text)


def read_text(
    form: Form, reply: Completion, names: Mapping[str, str], opener: str, revision: int
) -> tuple[str | None, str]:
    """The text in a reply, or None and why there is none; see `read_reply`."""
    if reply.finish_reason == "too_long":
        return None, "the meta-prompt does not fit the optimizer's context"
    if spoken(reply.text) is None:
        return None, "unfinished: the thought did not end"
    text = parse(form, reply.text, names, opener, revision)
    if text is None:
        return None, f"unparsed: {missing_marks(form, names)}"
    if not form.open and reply.finish_reason == "length" and form.close not in reply.text:
        return None, "unfinished: cut at the token limit"
    return text, ""
