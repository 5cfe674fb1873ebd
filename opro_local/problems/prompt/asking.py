"""How the optimizer is asked with a form, and which candidate its reply holds.

For: what seeding and drafting share: prompts, how replies are drawn and begun, and reading them.
Not for: what a form asks (search/metaprompts/), or whether a candidate is new (admission.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import cycle

from opro_local.config.settings import Config
from opro_local.problems.prompt.leaks import gives_answer, leak
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.wording import undressed, words_of
from opro_local.search import chance
from opro_local.search.metaprompts.metaprompt import Form, View, render, reply_constraint
from opro_local.search.proposing import read_text, samplings, with_limit
from opro_local.search.required import SINCE, asked_for, without
from opro_local.types import Completion, Prompt, Sampling, Solution


class Asking:
    """Batches for texts.

    Args:
        problem: whose texts they are.
        config: `search`, `optimizer` and `run.seed` are read.
        starts: the texts that the search starts from; no reply is begun as one of them begins.

    Attributes:
        variables: the problem's own words for meta-prompts. Seeding fills in `subject` where the
            optimizer was asked what the task is.
    """

    def __init__(self, problem: PromptProblem, config: Config, starts: Sequence[str]) -> None:
        self._problem, self._config, self._starts = problem, config, starts
        self.variables = dict(problem.prompt_variables())
        self._openers: dict[tuple[str, ...], Iterator[str]] = {}

    def render(self, form: Form, view: View) -> Prompt:
        """The meta-prompt that shows this view."""
        return render(form, with_limit(self._config, form, view), self.variables)

    def samplings(self, form: Form, step: int, count: int, attempt: int = 0) -> list[Sampling]:
        """How so many replies are drawn: each with its own seed, and held to the form's shape."""
        constraint = reply_constraint(form, self.variables, asked_for(self._config.search))
        drawn = samplings(self._config, form, step, count, attempt)
        return [replace(sampling, constraint=constraint) for sampling in drawn]

    def opener(self, form: Form) -> str:
        """The next of a form's openers; "" where it has none.

        All of a list come before one comes again. Forms with the same list share it.
        """
        if not form.openers:
            return ""
        if form.openers not in self._openers:
            self._openers[form.openers] = self._turns(form.openers)
        return next(self._openers[form.openers])

    def text(self, form: Form, reply: Completion, opener: str) -> str:
        """The text in a reply, whatever is wrong with it; "" where there is none."""
        revision = self._config.search.revision
        written, _ = read_text(form, reply, self.variables, opener, revision)
        return undressed(written or "")

    def candidate(
        self,
        form: Form,
        reply: Completion,
        shown: Sequence[Mapping[str, str]],
        opener: str,
        part: bool = False,
    ) -> Solution | str:
        """The candidate in a reply begun with `opener`, or why there is none.

        Args:
            form: what was asked with.
            reply: the optimizer's.
            shown: the rows in the meta-prompt (`question` and `target`); a text that gives one of
                them away is no instruction for others.
            opener: how the reply was begun.
            part: the reply is a part of a candidate, which need not hold what all of it must.
        """
        revision = self._config.search.revision
        cleans = revision >= 2
        names = self._problem.prompt_variables()
        written, reason = read_text(form, reply, names, opener, revision)
        if written is None:
            return reason
        solution = self._problem.parse_part(written) if part else self._problem.parse(written)
        if isinstance(solution, str):
            return solution
        text = solution.text
        if cleans and opener and words_of(text) == words_of(opener):
            return "unfinished: nothing but the words it was begun with"
        if not cleans:
            return leak(text, shown, self._problem.labels) or solution
        if revision >= SINCE:
            # What the user wants in every text gives no row away.
            text = without(self._config.search, text)
        return gives_answer(text, shown) or leak(text, shown, self._problem.nameable) or solution

    def _turns(self, openers: tuple[str, ...]) -> Iterator[str]:
        """The openers in a random order, for ever."""
        # A reply begun like a starting text would repeat it.
        usable = [opener for opener in openers if not self._starts_with(opener)]
        usable = usable or list(openers)
        order = chance.generator(self._config, 0, chance.OPENERS).permutation(len(usable))
        return cycle([usable[place] for place in order])

    def _starts_with(self, opener: str) -> bool:
        """Whether a starting text begins with the opener, as whole words."""
        return any(f"{text} ".startswith(f"{opener} ") for text in self._starts)
