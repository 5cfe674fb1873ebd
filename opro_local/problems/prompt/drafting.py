"""Text operators: the optimizer is asked for drafts, its replies are read and checked, and the most
promising ones go on to be scored.

For: everything between a slot with a form and a candidate with a new text. Not for: demonstrations
(moving.py), or which form a slot has (selection.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from opro_local.config.settings import Config
from opro_local.problems.prompt.admission import Admission
from opro_local.problems.prompt.asking import Asking
from opro_local.problems.prompt.fitting import ask_fitting
from opro_local.problems.prompt.minibatch import Minibatches
from opro_local.problems.prompt.operators import Forms, Slot
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.selection import promise
from opro_local.search import chance
from opro_local.search.metaprompts.metaprompt import Form, View
from opro_local.search.proposing import each_text, step_view, within_context
from opro_local.search.replies import TOO_LONG, kind_of
from opro_local.search.required import only_in, told
from opro_local.search.state import SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import (
    Batch,
    Batches,
    BatchResult,
    Completion,
    Request,
    Sampling,
    Solution,
)

LATEST = 400  # texts scored last that screening guesses from, and drafts that it guesses for


class Drafting:
    """Makes candidates with new texts.

    A draft is a text that passed all checks. `search.drafts` of them are asked for each that is
    scored; the others wait, and are scored later if they promise more than newer ones by then.

    Args:
        problem: gives rows, mistakes and the checks of a text.
        config: `search`, `optimizer` and `run.seed` are read.
        trajectory: what was scored so far.
        forms: the text operators, and the one that makes texts shorter.
        asking: how forms are asked with.
        admission: what is new, and where attempts are recorded.
    """

    def __init__(
        self,
        problem: PromptProblem,
        config: Config,
        trajectory: Trajectory,
        forms: Forms,
        asking: Asking,
        admission: Admission,
    ) -> None:
        self._problem, self._config, self._trajectory = problem, config, trajectory
        self._forms, self._asking, self._admission = forms.drafting, asking, admission
        self._shortener = forms.shortener if config.searches_anew else None
        self._minibatches = Minibatches(problem, config)
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

        What gave nothing is asked again, `search.retries` times; what was too long is asked for
        once in fewer words, in the next call, which may be one more than these.
        """
        unfilled, given_up = list(slots), list[Slot]()
        rng = chance.generator(self._config, step, chance.MINIBATCHES)
        for attempt in range(2 + self._config.search.retries):
            if attempt > self._config.search.retries:
                given_up = [slot for slot in unfilled if not slot.long]
                unfilled = [slot for slot in unfilled if slot.long]
            if not unfilled:
                break
            asked = [self._begun(slot, rng) for slot in unfilled]
            unfilled = yield from self._attempt(step, attempt, asked)
        return given_up + unfilled

    def _attempt(
        self, step: int, attempt: int, slots: Sequence[Slot]
    ) -> Generator[Batch, BatchResult, list[Slot]]:
        """Ask once for every slot; returns those without a draft, as they are asked again."""
        exemplars, asked, replies = yield from self._ask(step, attempt, slots)
        written = [
            self._written(slot, reply, exemplars)
            for slot, reply in zip(asked, replies, strict=True)
        ]
        self._admission.expect([draft.text for draft in written if isinstance(draft, Solution)])
        unfilled = []
        for slot, reply, draft in zip(asked, replies, written, strict=True):
            long = self._too_long(slot, reply, draft)
            if long:
                self._trajectory.shortening.asked += 1
                unfilled.append(replace(slot, long=long))
            elif self._take(step, slot, reply.text, draft):
                self._trajectory.shortening.usable += bool(slot.long)
            else:
                unfilled.append(replace(slot, long=""))
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

    def _begun(self, slot: Slot, rng: np.random.Generator) -> Slot:
        """The slot with the next opener of its form, and rows; a text that is to be made shorter
        keeps what it came from.
        """
        if slot.long:
            return replace(slot, opener="")
        form = self._forms[slot.operator]
        fresh = replace(slot, exemplars=(), mistakes=(), rights=())
        begun = self._minibatches.filled(fresh, form, rng)
        return replace(begun, opener=self._asking.opener(form))

    def _form(self, slot: Slot) -> Form:
        """What the slot is asked with."""
        if slot.long and self._shortener:
            return self._shortener
        return self._forms[slot.operator]

    def _too_long(self, slot: Slot, reply: Completion, written: Solution | str) -> str:
        """The text that is to be said in fewer words; "" where there is none, or was before."""
        is_long = isinstance(written, str) and kind_of(written) == TOO_LONG
        if not is_long or slot.long or not self._shortener:
            return ""
        text = self._asking.text(self._form(slot), reply, slot.opener)
        if slot.paragraph:
            return slot.parent.solution.text.replace(slot.paragraph, text, 1)
        return text

    def _ask(
        self, step: int, attempt: int, slots: Sequence[Slot]
    ) -> Generator[
        Batch,
        BatchResult,
        tuple[Sequence[Mapping[str, str]], Sequence[Slot], Sequence[Completion]],
    ]:
        """The rows that all meta-prompts show, and for each slot how it was asked and one reply."""
        asked = list(slots)

        def ask_with(view: View, halved: int) -> Batches:
            label = f"{step}/propose"
            label += f"/{attempt}" if attempt else ""
            label += f"/halved{halved}" if halved else ""
            request = self._request_of(view, step, attempt, len(slots))
            fitting = ask_fitting(label, asked, request, self._minibatches.fewer)
            asked[:], replies = yield from self._trajectory.count_costs(fitting)
            return replies

        view, replies, self._history = yield from within_context(
            partial(self.view, step), ask_with, self._history
        )
        return view.exemplars, asked, replies

    def _request_of(
        self, view: View, step: int, attempt: int, count: int
    ) -> Callable[[int, Slot], Request]:
        """What makes a slot's request, by its place among so many."""
        # Drawn for every place whichever form has it, so that a place's seed depends on nothing
        # but its number.
        samplings: dict[str, list[Sampling]] = {}

        def request(place: int, slot: Slot) -> Request:
            form = self._form(slot)
            if form.name not in samplings:
                samplings[form.name] = self._asking.samplings(form, step, count, attempt)
            prompt = self._asking.render(form, self._seen(view, slot))
            return Request(prompt, samplings[form.name][place])

        return request

    def _seen(self, view: View, slot: Slot) -> View:
        """The step's view with what belongs to the slot."""
        if slot.paragraph and not slot.long:
            search = self._config.search
            kept = only_in(search, slot.paragraph, slot.parent.solution.text)
            view = replace(view, constraint=told(search, kept))
        return replace(
            view,
            exemplars=slot.exemplars or view.exemplars,
            parent=slot.long or slot.parent.solution.text,
            other=slot.other.solution.text,
            mistakes=slot.mistakes,
            rights=slot.rights,
            paragraph=slot.paragraph,
            opener=slot.opener,
        )

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
        own = [
            {"question": row.question, "target": row.target}
            for row in (*slot.mistakes, *slot.rights)
        ]
        shown = [*(slot.exemplars or exemplars), *own]
        is_part = bool(slot.paragraph) and not slot.long
        written = self._asking.candidate(self._form(slot), reply, shown, slot.opener, is_part)
        if isinstance(written, Solution) and is_part:
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
