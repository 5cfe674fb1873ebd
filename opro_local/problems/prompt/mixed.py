"""The proposer that goes beyond the paper: several ways to propose, parents kept diverse, worked
examples.

For: dividing a step's candidates among meta-prompt forms and moves on demonstrations, within one
optimizer call. Not
for: what a form asks (metaprompts/), how a move works (moves.py), or scoring.

Only problems of the kind "prompt" have what it needs: mistakes, labels and rows that can be shown
as worked examples.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle

import numpy as np

from opro_local.config.settings import Config
from opro_local.problems.ask import ask
from opro_local.problems.prompt.leaks import leak
from opro_local.problems.prompt.moves import MOVES, Pool
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.selection import divide, parents, promise
from opro_local.search import chance
from opro_local.search.metaprompts.metaprompt import Form, View, held, parse, render
from opro_local.search.proposing import each_text, read, samplings, step_view, within_context
from opro_local.search.similarity import Near
from opro_local.search.trajectory import Entry, Proposal, Trajectory
from opro_local.types import (
    Asks,
    Batch,
    Completion,
    Mistake,
    Prompt,
    Rejection,
    Reply,
    Request,
    Sampling,
    Solution,
)

# The gain hoped for before a way was tried. Published and our own figures agree that worked
# examples move open models more than wording does (docs/search.md).
FORM_HOPE, MOVE_HOPE = 0.0, 0.1
FIRST_DRAWS = 3  # steps' worth of worked examples in the first call
TRIES = 8  # of a move that gives nothing new
SHOWN_MISTAKES = 4
DESCRIBED_ROWS = 6
LATEST = 400  # texts scored last that screening guesses from, and drafts that it guesses for
GIVEN, GENERIC, WRITTEN = "given", "generic", "written"


@dataclass(frozen=True, slots=True)
class Slot:
    """One candidate to be: the way it is made, and whom it is made from.

    `paragraph` is what is written anew, if only that is; `opener` is how the reply is begun, if it
    is.
    """

    way: str
    parent: Entry
    other: Entry
    paragraph: str = ""
    opener: str = ""


class Mixed:
    """See Proposer.

    Args:
        problem: the prompt problem.
        config: `search`, `optimizer`, `task.description` and `run.seed` are read.
        forms: the text operators.
        writer, describer: the forms that write starting instructions and describe the task.
        trajectory: what was scored so far; proposals and rejections are added.
    """

    def __init__(
        self,
        problem: PromptProblem,
        config: Config,
        forms: Sequence[Form],
        writer: Form,
        describer: Form,
        trajectory: Trajectory,
    ) -> None:
        self._problem, self._config, self._trajectory = problem, config, trajectory
        self._forms = {form.name: form for form in forms}
        self._writer, self._describer = writer, describer
        self._near = Near(config.search.near_duplicate)
        self._history = config.search.history + config.search.recent
        self._words = dict(problem.words())
        self._openers: dict[tuple[str, ...], Iterator[str]] = {}
        self._drafts: dict[str, Solution] = {}

    def start(self) -> Generator[Batch, Reply, list[Solution]]:
        """The user's seeds, generic ones, ones the optimizer writes from rows, and first draws of
        worked examples.

        Where examples are searched too, every instruction that is not the user's comes with a draw
        of them, and the user's own with as many draws as make three steps: with worked examples
        most hangs on which are drawn, and the steps after can only improve on what was.
        """
        yield from self._describe()
        written = yield from self._write()
        settings = self._config.search
        given = [(GIVEN, solution) for solution in self._problem.seeds()]
        others = [(GENERIC, Solution(text)) for text in self._generic()] + written
        if settings.demonstrations:
            more = max(0, FIRST_DRAWS * settings.candidates - len(others))
            others += [("draw", given[place % len(given)][1]) for place in range(more)]
            pool = self._pool((), chance.generator(self._config, 0, chance.DRAWS))
            others = [
                (way, replace(solution, demonstrations=MOVES["draw"](pool, (), ())))
                for way, solution in others
            ]
        found: dict[Solution, str] = {}
        for way, solution in [*given, *others]:
            found.setdefault(solution, way)
        for solution, way in found.items():
            self._trajectory.proposals.append(Proposal(0, way, None, solution.key))
            self._near.add(solution.text)
        return list(found)

    def _pool(self, wrong: Sequence[str], rng: np.random.Generator) -> Pool:
        settings = self._config.search
        known = self._problem.demonstrations.available()
        return Pool(known, settings.demonstrations, settings.demonstration_tokens, wrong, rng)

    def propose(self, step: int, most: int) -> Generator[Batch, Reply, list[Solution]]:
        """One optimizer call for all text operators; what gave nothing is asked again,
        `search.retries` times.

        `search.drafts` texts are asked for each that is scored. The others wait: they are scored
        later if they promise more than newer ones by then.
        """
        rng = chance.generator(self._config, step, chance.DRAWS)
        slots = self._slots(step, most * self._config.search.drafts_each)
        failed = yield from self._draft(step, [slot for slot in slots if slot.way in self._forms])
        fresh = self._screened(most)
        moves = [slot for slot in slots if slot.way in MOVES]
        if self._config.search.demonstrations:
            # A text that came to nothing leaves its place to new worked examples for the old one.
            moves += [replace(slot, way="draw") for slot in failed]
        for slot in moves:
            self._move(step, slot, fresh, rng)
        return list(fresh.values())

    def _draft(self, step: int, slots: Sequence[Slot]) -> Generator[Batch, Reply, Sequence[Slot]]:
        """Have a text written for each slot; the slots for which there is none."""
        waiting = slots
        for attempt in range(1 + self._config.search.retries):
            if not waiting:
                break
            waiting = [
                replace(slot, opener=self._opener(self._forms[slot.way])) for slot in waiting
            ]
            shown, replies = yield from self._ask(step, attempt, waiting)
            waiting = [
                slot
                for slot, reply in zip(waiting, replies, strict=True)
                if not self._take(step, slot, reply, shown)
            ]
        return waiting

    def _screened(self, most: int) -> dict[str, Solution]:
        """Those of the drafts that are to be scored now; they wait no longer."""
        drafts, latest = list(self._drafts.values())[-LATEST:], self._trajectory.recent(LATEST)
        if len(drafts) > most:
            scored = [
                (entry.solution.text, self._trajectory.estimate(entry), entry.score.n)
                for entry in latest
            ]
            promised = promise([draft.text for draft in drafts], scored)
            drafts = [drafts[place] for place in np.argsort(-promised, kind="stable")[:most]]
        return {draft.key: self._drafts.pop(draft.key) for draft in drafts}

    def _describe(self) -> Generator[Batch, Reply, None]:
        """Ask once what the task is, where the user did not say; the answer is shown in the result
        for correction.
        """
        if self._words["subject"] or not self._needs_description():
            return
        prompt = self._rendered(self._describer, self._rows(0))
        sampling = Sampling(self._describer.max_tokens, stop=self._describer.stop)
        reply = yield from self._trajectory.counted(ask("0/describe", [Request(prompt, sampling)]))
        text = parse(self._describer, reply[0].text, self._words)
        self._trajectory.description = self._words["subject"] = (text or "").rstrip(".")

    def _needs_description(self) -> bool:
        return any("subject" in form.template for form in (*self._forms.values(), self._writer))

    def _write(self) -> Generator[Batch, Reply, list[tuple[str, Solution]]]:
        """Starting instructions written by the optimizer, each from rows of its own."""
        count = self._config.search.written_seeds
        if not count:
            return []
        drawn = samplings(self._config, self._writer, 0, count)
        openers = [self._opener(self._writer) for _ in range(count)]
        shown = [self._rows(number) for number in range(1, count + 1)]
        prompts = [self._rendered(self._writer, *pair) for pair in zip(shown, openers, strict=True)]
        requests = [
            Request(*pair)
            for pair in zip(prompts, map(self._held(self._writer), drawn), strict=True)
        ]
        replies = yield from self._trajectory.counted(ask("0/write", requests))
        found = []
        for reply, rows, opener in zip(replies, shown, openers, strict=True):
            solution = self._checked(self._writer, reply, rows, opener)
            if isinstance(solution, Solution):
                found.append((WRITTEN, solution))
            else:
                self._refuse(0, WRITTEN, None, reply.text, solution)
        return found

    def _rows(self, number: int) -> list[dict[str, str]]:
        """Train rows for the task's description (number 0) and for each written seed."""
        rng = chance.generator(self._config, number, chance.WRITTEN_FROM)
        total = len(self._problem.rows["train"])
        return self._problem.exemplars(
            [int(row) for row in rng.permutation(total)[:DESCRIBED_ROWS]]
        )

    def _rendered(self, form: Form, rows: Sequence[Mapping[str, str]], opener: str = "") -> Prompt:
        """A meta-prompt without a history."""
        seed = self._problem.seeds()[0].text
        constraint = self._config.search.constraint
        view = View((), rows, self._config.search.order, "", seed, constraint, opener=opener)
        return render(form, view, self._words)

    def _slots(self, step: int, most: int) -> list[Slot]:
        rng, exploration = (
            chance.generator(self._config, step, chance.PARENTS),
            self._config.search.exploration,
        )
        drawn = parents(self._trajectory, 2 * most, rng, exploration)
        gains = self._trajectory.gains()
        kinds = [(FORM_HOPE, {way: gains.get(way, []) for way in self._forms})]
        if self._config.search.demonstrations:
            kinds.append((MOVE_HOPE, {way: gains.get(way, []) for way in MOVES}))
        chosen = divide(kinds, most, chance.generator(self._config, step, chance.DIVISION))
        rng = chance.generator(self._config, step, chance.PARAGRAPHS)
        return [
            self._slot(*three, rng)
            for three in zip(chosen, drawn[:most], drawn[most:], strict=True)
        ]

    def _slot(self, way: str, parent: Entry, other: Entry, rng: np.random.Generator) -> Slot:
        """A form that can't do without what this parent lacks gives its place to the first that
        can.
        """
        slot = Slot(way, parent, other)
        if way in MOVES:
            return slot
        if not self._fits(self._forms[way], slot):
            slot = replace(
                slot, way=next(name for name, form in self._forms.items() if not form.needs)
            )
        if not self._forms[slot.way].edits:
            return slot
        paragraphs = _paragraphs(parent.solution.text)
        return replace(slot, paragraph=paragraphs[int(rng.integers(len(paragraphs)))])

    def _fits(self, form: Form, slot: Slot) -> bool:
        return {
            "": True,
            "pair": slot.parent.solution.text != slot.other.solution.text,
            "mistakes": bool(self._problem.demonstrations.mistakes(slot.parent.solution)),
            "paragraphs": len(_paragraphs(slot.parent.solution.text)) > 1,
        }[form.needs]

    def _opener(self, form: Form) -> str:
        """The next of a form's openers, "" where it has none. All of a list come before one comes
        again.

        Those with which a starting text begins are left out: replies would repeat it.
        """
        if not form.openers:
            return ""
        if form.openers not in self._openers:
            starts = [*(solution.text for solution in self._problem.seeds()), *self._generic()]
            fresh = [
                words
                for words in form.openers
                if not any(f"{text} ".startswith(f"{words} ") for text in starts)
            ]
            fresh = fresh or list(form.openers)
            order = chance.generator(self._config, 0, chance.OPENERS).permutation(len(fresh))
            self._openers[form.openers] = cycle([fresh[place] for place in order])
        return next(self._openers[form.openers])

    def _generic(self) -> Sequence[str]:
        return self._problem.generic()[: self._config.search.generic_seeds]

    def _ask(
        self, step: int, attempt: int, slots: Sequence[Slot]
    ) -> Generator[Batch, Reply, tuple[Sequence[Mapping[str, str]], Sequence[Completion]]]:
        """The rows that the slots' meta-prompts show, and one reply for each slot."""

        def ask_with(view: View, halved: int) -> Asks:
            requests = self._requests(view, step, attempt, slots)
            label = (
                f"{step}/propose"
                + (f"/{attempt}" if attempt else "")
                + (f"/halved{halved}" if halved else "")
            )
            return self._trajectory.counted(ask(label, requests))

        view, replies, self._history = yield from within_context(
            partial(self._view, step), ask_with, self._history
        )
        return view.exemplars, replies

    def _requests(
        self, view: View, step: int, attempt: int, slots: Sequence[Slot]
    ) -> list[Request]:
        requests = []
        drawn: dict[str, list[Sampling]] = {}
        for place, slot in enumerate(slots):
            form = self._forms[slot.way]
            if slot.way not in drawn:
                drawn[slot.way] = list(
                    map(self._held(form), samplings(self._config, form, step, len(slots), attempt))
                )
            requests.append(
                Request(render(form, self._seen(view, slot), self._words), drawn[slot.way][place])
            )
        return requests

    def _held(self, form: Form) -> Callable[[Sampling], Sampling]:
        """Holds a sampling to the form's shape, where it has one."""
        limit = held(form, self._words)
        return lambda sampling: replace(sampling, constraint=limit)

    def _view(self, step: int, history: int) -> View:
        """What all forms of a step are shown: each text once, with the best that it earned."""
        return step_view(self._problem, self._config, self._trajectory, step, history, each_text)

    def _seen(self, view: View, slot: Slot) -> View:
        """The step's view with what belongs to the slot."""
        parent = slot.parent.solution
        return replace(
            view,
            parent=parent.text,
            other=slot.other.solution.text,
            mistakes=self._mistakes(slot),
            paragraph=slot.paragraph,
            opener=slot.opener,
        )

    def _mistakes(self, slot: Slot) -> Sequence[Mistake]:
        return self._problem.demonstrations.mistakes(slot.parent.solution)[:SHOWN_MISTAKES]

    def _take(
        self, step: int, slot: Slot, reply: Completion, exemplars: Sequence[Mapping[str, str]]
    ) -> bool:
        """Whether the reply became a new draft."""
        parent = slot.parent.solution
        shown = [
            *exemplars,
            *({"question": m.question, "target": m.target} for m in self._mistakes(slot)),
        ]
        found = self._checked(self._forms[slot.way], reply, shown, slot.opener)
        if isinstance(found, Solution) and slot.paragraph:
            found = self._problem.read(parent.text.replace(slot.paragraph, found.text, 1))
        if isinstance(found, Solution):
            found = self._admitted(replace(parent, text=found.text))
        if isinstance(found, str):
            self._refuse(step, slot.way, slot.parent, reply.text, found)
            return False
        self._accept(step, slot, found, self._drafts)
        return True

    def _checked(
        self, form: Form, reply: Completion, shown: Sequence[Mapping[str, str]], opener: str = ""
    ) -> Solution | str:
        """The solution in a reply, unless it gives away what the optimizer was shown."""
        found = read(self._problem, form, reply, opener)
        if isinstance(found, Solution):
            return leak(found.text, shown, self._problem.labels) or found
        return found

    def _admitted(self, solution: Solution) -> Solution | str:
        """The solution, unless it or nearly the same text was there before."""
        if self._trajectory.seen(solution) or solution.key in self._drafts:
            return f"duplicate: {solution.text}"
        near = self._near.find(solution.text)
        return f"near-duplicate: {near}" if near and near != solution.text else solution

    def _accept(
        self, step: int, slot: Slot, solution: Solution, fresh: dict[str, Solution]
    ) -> None:
        fresh[solution.key] = solution
        self._near.add(solution.text)
        self._trajectory.proposals.append(Proposal(step, slot.way, slot.parent, solution.key))

    def _refuse(self, step: int, way: str, parent: Entry | None, text: str, reason: str) -> None:
        self._trajectory.proposals.append(Proposal(step, way, parent, None))
        self._trajectory.reject(Rejection(step, text, reason))

    def _move(
        self, step: int, slot: Slot, fresh: dict[str, Solution], rng: np.random.Generator
    ) -> None:
        """Make a move, again where it gives nothing new; the last resort are new demonstrations."""
        parent = slot.parent.solution
        pool = self._pool(
            [mistake.id for mistake in self._problem.demonstrations.mistakes(parent)], rng
        )
        for attempt in range(TRIES):
            move = MOVES[slot.way if attempt < TRIES // 2 else "draw"]
            ids = move(pool, parent.demonstrations, slot.other.solution.demonstrations)
            solution = replace(parent, demonstrations=ids)
            if not self._trajectory.seen(solution) and solution.key not in fresh:
                self._accept(step, slot, solution, fresh)
                return


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n\n") if part.strip()]
