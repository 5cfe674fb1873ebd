"""Text operators: the optimizer is asked for drafts, its replies are read and checked, and the most
promising ones go on to be scored.

For: everything between a slot with a form and a candidate with a new text. Not for: demonstrations
(moving.py), or which form a slot has (selection.py).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from opro_local.config.settings import Config
from opro_local.problems.ask import ask
from opro_local.problems.prompt.admission import Admission
from opro_local.problems.prompt.asking import Asking
from opro_local.problems.prompt.operators import Slot
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.selection import promise
from opro_local.search.metaprompts.metaprompt import Form, View
from opro_local.search.proposing import each_text, step_view, within_context
from opro_local.search.required import only_in, told
from opro_local.search.state import SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import (
    Batch,
    Batches,
    BatchResult,
    Completion,
    Mistake,
    Request,
    Sampling,
    Solution,
)

SHOWN_MISTAKES = 4
LATEST = 400  # texts scored last that screening guesses from, and drafts that it guesses for


class Drafting:
    """Makes candidates with new texts.

    A draft is a text that passed all checks. `search.drafts` of them are asked for each that is
    scored; the others wait, and are scored later if they promise more than newer ones by then.

    Args:
        problem: gives rows, mistakes and the checks of a text.
        config: `search`, `optimizer` and `run.seed` are read.
        trajectory: what was scored so far.
        forms: the text operators, by name.
        asking: how forms are asked with.
        admission: what is new, and where attempts are recorded.
    """

    def __init__(
        self,
        problem: PromptProblem,
        config: Config,
        trajectory: Trajectory,
        forms: Mapping[str, Form],
        asking: Asking,
        admission: Admission,
    ) -> None:
        self._problem, self._config, self._trajectory = problem, config, trajectory
        self._forms, self._asking, self._admission = forms, asking, admission
        self._history = config.search.history + config.search.recent
        self._waiting: dict[str, Solution] = {}

    def fitted(self, slot: Slot, rng: np.random.Generator) -> Slot:
        """The slot with a form that these parents are enough for, and a paragraph where the form
        edits one.

        A form that needs what they lack gives its place to the first form that needs nothing.
        """
        form = self._forms[slot.operator]
        if not self._suits(form, slot):
            form = next(form for form in self._forms.values() if not form.needs)
            slot = replace(slot, operator=form.name)
        if not form.edits:
            return slot
        paragraphs = _paragraphs(slot.parent.solution.text)
        return replace(slot, paragraph=paragraphs[int(rng.integers(len(paragraphs)))])

    def draft(self, step: int, slots: Sequence[Slot]) -> Generator[Batch, BatchResult, list[Slot]]:
        """Have a text written for each slot, all in one batch; returns the slots left without one.

        What gave nothing is asked again, `search.retries` times.
        """
        unfilled = list(slots)
        for attempt in range(1 + self._config.search.retries):
            if not unfilled:
                break
            asked = [self._begun(slot) for slot in unfilled]
            exemplars, replies = yield from self._ask(step, attempt, asked)
            written = [
                self._written(slot, reply, exemplars)
                for slot, reply in zip(asked, replies, strict=True)
            ]
            self._admission.expect([draft.text for draft in written if isinstance(draft, Solution)])
            unfilled = []
            for slot, reply, draft in zip(asked, replies, written, strict=True):
                if not self._take(step, slot, reply.text, draft):
                    unfilled.append(slot)
        return unfilled

    def screened(self, most: int) -> dict[str, Solution]:
        """Those of the drafts that are to be scored now, by key; they wait no longer."""
        # Without a copy of all that wait: a long search leaves tens of thousands.
        drafts = list(islice(reversed(self._waiting.values()), LATEST))[::-1]
        if len(drafts) > most:
            scored = [
                (entry.solution.text, self._trajectory.estimate(entry), entry.score.n)
                for entry in self._trajectory.recent(LATEST)
            ]
            promised = promise([draft.text for draft in drafts], scored)
            best_first = np.argsort(-promised, kind="stable")
            drafts = [drafts[place] for place in best_first[:most]]
        return {draft.key: self._waiting.pop(draft.key) for draft in drafts}

    def view(self, step: int, history: int) -> View:
        """What all forms of a step are shown: each text once, with the best that it earned."""
        state = SearchState(self._problem, self._config, self._trajectory)
        return step_view(state, step, history, each_text)

    def _suits(self, form: Form, slot: Slot) -> bool:
        """Whether the slot's parents have what the form can't do without (see Form.needs)."""
        parent, other = slot.parent.solution, slot.other.solution
        return {
            "": True,
            "pair": parent.text != other.text,
            "mistakes": bool(self._problem.demonstrations.mistakes(parent)),
            "paragraphs": len(_paragraphs(parent.text)) > 1,
        }[form.needs]

    def _begun(self, slot: Slot) -> Slot:
        """The slot with the next opener of its form."""
        return replace(slot, opener=self._asking.opener(self._forms[slot.operator]))

    def _ask(
        self, step: int, attempt: int, slots: Sequence[Slot]
    ) -> Generator[Batch, BatchResult, tuple[Sequence[Mapping[str, str]], Sequence[Completion]]]:
        """The rows that the slots' meta-prompts show, and one reply for each slot."""

        def ask_with(view: View, halved: int) -> Batches:
            label = f"{step}/propose"
            label += f"/{attempt}" if attempt else ""
            label += f"/halved{halved}" if halved else ""
            return self._trajectory.count_costs(
                ask(label, self._requests(view, step, attempt, slots))
            )

        view, replies, self._history = yield from within_context(
            partial(self.view, step), ask_with, self._history
        )
        return view.exemplars, replies

    def _requests(
        self, view: View, step: int, attempt: int, slots: Sequence[Slot]
    ) -> list[Request]:
        requests = []
        # Drawn for every place whichever form has it, so that a place's seed depends on nothing
        # but its number.
        samplings: dict[str, list[Sampling]] = {}
        for place, slot in enumerate(slots):
            form = self._forms[slot.operator]
            if form.name not in samplings:
                samplings[form.name] = self._asking.samplings(form, step, len(slots), attempt)
            prompt = self._asking.render(form, self._seen(view, slot))
            requests.append(Request(prompt, samplings[form.name][place]))
        return requests

    def _seen(self, view: View, slot: Slot) -> View:
        """The step's view with what belongs to the slot."""
        if slot.paragraph:
            search = self._config.search
            kept = only_in(search, slot.paragraph, slot.parent.solution.text)
            view = replace(view, constraint=told(search, kept))
        return replace(
            view,
            parent=slot.parent.solution.text,
            other=slot.other.solution.text,
            mistakes=self._mistakes(slot),
            paragraph=slot.paragraph,
            opener=slot.opener,
        )

    def _mistakes(self, slot: Slot) -> Sequence[Mistake]:
        """Rows that the slot's parent got wrong, as many as a meta-prompt shows."""
        return self._problem.demonstrations.mistakes(slot.parent.solution)[:SHOWN_MISTAKES]

    def _take(self, step: int, slot: Slot, reply: str, written: Solution | str) -> bool:
        """Whether what was written in a reply became a new draft; recorded either way."""
        reason = written if isinstance(written, str) else self._known_already(written)
        if isinstance(written, str) or reason:
            self._admission.refuse(step, slot.operator, slot.parent, reply, reason)
            return False
        self._waiting[written.key] = written
        self._admission.accept(step, slot.operator, slot.parent, written, reply)
        return True

    def _written(
        self, slot: Slot, reply: Completion, exemplars: Sequence[Mapping[str, str]]
    ) -> Solution | str:
        """The parent with the text of the reply, or why that can't be scored."""
        parent = slot.parent.solution
        wrong = [{"question": m.question, "target": m.target} for m in self._mistakes(slot)]
        form = self._forms[slot.operator]
        shown = [*exemplars, *wrong]
        is_part = bool(slot.paragraph)
        written = self._asking.candidate(form, reply, shown, slot.opener, is_part)
        if isinstance(written, Solution) and slot.paragraph:
            written = self._problem.parse(parent.text.replace(slot.paragraph, written.text, 1))
        return written if isinstance(written, str) else replace(parent, text=written.text)

    def _known_already(self, draft: Solution) -> str:
        """Why a draft is none of its own; "" where it is one."""
        if self._admission.seen(draft) or draft.key in self._waiting:
            return f"duplicate: {draft.text}"
        near = self._admission.near(draft)
        return f"near-duplicate: {near}" if near else ""


def _paragraphs(text: str) -> list[str]:
    """The parts of a text between blank lines."""
    return [part.strip() for part in text.split("\n\n") if part.strip()]
