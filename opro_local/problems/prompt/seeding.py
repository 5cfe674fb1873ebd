"""What a mixed search starts from: the user's texts, generic ones, written ones, and first draws of
demonstrations.

For: the solutions of step 0. Not for: the steps after it (drafting.py, moving.py).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from opro_local.config.settings import Config
from opro_local.problems.ask import ask
from opro_local.problems.prompt.admission import Admission
from opro_local.problems.prompt.asking import Asking
from opro_local.problems.prompt.fitting import ask_fitting
from opro_local.problems.prompt.leaks import names_all
from opro_local.problems.prompt.minibatch import Rows, balanced
from opro_local.problems.prompt.moves import MOVES
from opro_local.problems.prompt.moving import pool
from opro_local.problems.prompt.operators import GENERIC, GIVEN, WRITTEN, Forms
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.search import chance
from opro_local.search.metaprompts.metaprompt import Form, View, parse
from opro_local.search.replies import TOO_LONG, kind_of
from opro_local.search.required import told
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Completion, Prompt, Request, Sampling, Solution

FIRST_DRAWS = 3  # steps' worth of demonstrations in the first call
DESCRIBED_ROWS = 6  # train rows that the describer, and each written text, is shown

Start = tuple[str, Solution]  # the operator it is recorded under, and the starting solution


@dataclass(frozen=True)
class Seeding:
    """Makes the starting solutions.

    Attributes:
        problem: gives the user's seeds, generic texts and rows.
        config: `search`, `optimizer` and `run.seed` are read.
        trajectory: tokens are counted in it, and it gets the description of the task.
        forms: `writer` and `describer` are asked with.
        asking: how; gets the description too.
        admission: where starting solutions and refused texts are recorded.
    """

    problem: PromptProblem
    config: Config
    trajectory: Trajectory
    forms: Forms
    asking: Asking
    admission: Admission

    def start(self) -> Generator[Batch, BatchResult, list[Solution]]:
        """The starting solutions, each once; the user's first one is the baseline.

        At most two batches to the optimizer: what the task is, and written texts.
        """
        yield from self._describe()
        written = yield from self._write()
        given = [(GIVEN, solution) for solution in self.problem.seeds()]
        generic = [(GENERIC, Solution(text)) for text in generic_texts(self.problem, self.config)]
        others = generic + written
        if self.config.search.demonstrations:
            others = self._with_demonstrations(given, others)
        operators: dict[Solution, str] = {}
        for operator, solution in given + others:
            operators.setdefault(solution, operator)
        for solution, operator in operators.items():
            self.admission.accept(0, operator, None, solution)
        return list(operators)

    def _with_demonstrations(self, given: Sequence[Start], others: Sequence[Start]) -> list[Start]:
        """The others with demonstrations each, and the user's own with so many draws as make three
        steps. Those that name all labels also stand bare, in the place of as many draws.

        Most hangs on which demonstrations are drawn, and the steps after can only improve on what
        was.
        """
        bare = [start for start in others if self._says_all(start[1].text)]
        others = [*others, *bare]
        more = max(0, FIRST_DRAWS * self.config.search.candidates - len(others))
        repeated = [("draw", given[place % len(given)][1]) for place in range(more)]
        rng = chance.generator(self.config, 0, chance.DRAWS)
        known = pool(self.problem, self.config.search, (), rng)
        draw = MOVES["draw"]
        shown = [*others[: len(others) - len(bare)], *repeated]
        drawn = [
            (operator, replace(solution, demonstrations=draw(known, (), ())))
            for operator, solution in shown
        ]
        return [*bare, *drawn]

    def _says_all(self, text: str) -> bool:
        """Whether a text says enough to stand without worked examples: it names all labels."""
        return self.config.searches_anew and names_all(text, self.problem.labels)

    def _describe(self) -> Generator[Batch, BatchResult, None]:
        """Ask once what the task is, where the user did not say and a form wants to know.

        The answer is shown in the result, for correction.
        """
        variables, form = self.asking.variables, self.forms.describer
        if variables["subject"] or not self._needs_description():
            return
        prompt = self._prompt(form, self._rows(0))
        sampling = Sampling(form.max_tokens, stop=form.stop)
        batches = ask("0/describe", [Request(prompt, sampling)])
        replies = yield from self.trajectory.count_costs(batches)
        text = parse(form, replies[0].text, variables) or ""
        self.trajectory.description = variables["subject"] = text.rstrip(".")

    def _needs_description(self) -> bool:
        asked = (*self.forms.drafting.values(), self.forms.writer)
        return any("subject" in form.template for form in asked)

    def _write(self) -> Generator[Batch, BatchResult, list[Start]]:
        """Starting texts written by the optimizer, each from rows of its own."""
        count, form = self.config.search.written_seeds, self.forms.writer
        if not count:
            return []
        samplings = self.asking.samplings(form, 0, count)

        def request(place: int, asked: Rows) -> Request:
            return Request(self._prompt(form, asked.shown, asked.opener), samplings[place])

        rows = [
            Rows(self._rows(number), self.asking.opener(form)) for number in range(1, count + 1)
        ]
        fewer = Rows.fewer if self.config.searches_anew else _no_fewer
        batches = ask_fitting("0/write", rows, request, fewer)
        asked, replies = yield from self.trajectory.count_costs(batches)
        read = [
            (one, reply, self.asking.candidate(form, reply, one.shown, one.opener))
            for one, reply in zip(asked, replies, strict=True)
        ]
        short = yield from self._shortened(form, read)
        written = []
        for reply, candidate in short:
            if isinstance(candidate, Solution):
                written.append((WRITTEN, candidate))
            else:
                self.admission.refuse(0, WRITTEN, None, reply.text, candidate)
        return written

    def _shortened(
        self, form: Form, read: Sequence[tuple[Rows, Completion, Solution | str]]
    ) -> Generator[Batch, BatchResult, list[tuple[Completion, Solution | str]]]:
        """What was written; those that were too long are asked for once in fewer words."""
        shortener = self.forms.shortener
        kept = [(reply, candidate) for _, reply, candidate in read]
        long = [
            place
            for place, (_, candidate) in enumerate(kept)
            if isinstance(candidate, str) and kind_of(candidate) == TOO_LONG
        ]
        if not (long and shortener and self.config.searches_anew):
            return kept
        samplings = self.asking.samplings(shortener, 0, len(read), 1)
        requests = []
        for place in long:
            text = self.asking.text(form, kept[place][0], read[place][0].opener)
            requests.append(Request(self._prompt(shortener, (), "", text), samplings[place]))
        replies = yield from self.trajectory.count_costs(ask("0/shorten", requests))
        for place, reply in zip(long, replies, strict=True):
            candidate = self.asking.candidate(shortener, reply, read[place][0].shown, "")
            self.trajectory.shortening.asked += 1
            self.trajectory.shortening.usable += isinstance(candidate, Solution)
            kept[place] = reply, candidate
        return kept

    def _rows(self, number: int) -> list[dict[str, str]]:
        """Train rows for the task's description (number 0) and for each written text (from 1)."""
        rng = chance.generator(self.config, number, chance.WRITTEN_FROM)
        if self.config.searches_anew:
            count = max(self.forms.writer.rows, DESCRIBED_ROWS) if number else DESCRIBED_ROWS
            return self.problem.exemplars(balanced(self.problem.targets(), rng)[:count])
        order = rng.permutation(len(self.problem.rows["train"]))
        return self.problem.exemplars([int(row) for row in order[:DESCRIBED_ROWS]])

    def _prompt(
        self, form: Form, rows: Sequence[Mapping[str, str]], opener: str = "", parent: str = ""
    ) -> Prompt:
        """A meta-prompt without a history."""
        search, seed = self.config.search, self.problem.seeds()[0].text
        view = View((), rows, search.order, "", seed, told(search), parent=parent, opener=opener)
        return self.asking.render(form, view)


def _no_fewer(rows: Rows) -> Rows | None:
    """Searches begun before `search.revision` 6 leave no row out."""
    return None


def generic_texts(problem: PromptProblem, config: Config) -> Sequence[str]:
    """As many of the problem's generic texts as the search starts from."""
    return problem.generic()[: config.search.generic_seeds]
