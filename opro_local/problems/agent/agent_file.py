"""An agent's instruction file (CLAUDE.md, AGENTS.md, a system prompt), scored by a suite of tasks.

For: whole-file and section edits, and a file's score on tasks. Not for: reading the suite
(suite.py), finding sections (sections.py) or running anything.

A solution is the whole file, whichever way it is edited, so that the search and the store know
nothing of sections. When one section is edited a step, the problem asks with a meta-prompt of its
own: the best file so far lends the other sections, and the versions of the chosen one are shown
with the scores of the files that had them.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Generator, Mapping, Sequence

import numpy as np

from opro_local.config.problem import AgentFileSettings
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.problems.agent.sections import rewrite, sections
from opro_local.problems.agent.suite import AgentTask, Suite
from opro_local.problems.ask import ask_once
from opro_local.problems.command import failure
from opro_local.problems.function import request
from opro_local.search.metaprompts.metaprompt import Form, View, render, show_score
from opro_local.types import (
    Batch,
    Completion,
    Prompt,
    Reply,
    Request,
    Sampling,
    Score,
    Solution,
    Split,
)


class AgentFileProblem:
    """Whole files, scored as the share of tasks that succeed.

    Args:
        original: the file's text; the first seed and the baseline.
        suite: the tasks of each split.
        config: `problem` (kind agent_file) and `search` are read.
        form: how the optimizer is asked; the search's own is replaced by it when sections are
        edited.

    Raises:
        UsageError: a section to edit is not in the file, or the file is over its own limit.
    """

    def __init__(self, original: str, suite: Suite, config: Config, form: Form) -> None:
        self.suite = suite
        self.splits: tuple[Split, ...] = tuple(suite)
        self._settings: AgentFileSettings = config.problem
        self._search, self._form = config.search, form
        self._original = original
        self._tried: list[tuple[str, Score]] = []
        self._history, self._section = config.search.history, 0
        self._editable = (
            _editable(original, self._settings) if self._settings.edit == "section" else []
        )
        if len(original) > self._settings.max_characters:
            raise UsageError(
                f"the file has {len(original)} characters, problem.max_characters is {self._settings.max_characters}",
                "raise it",
            )

    def seeds(self) -> list[Solution]:
        """The file as it is."""
        return [Solution(self._original)]

    def ask(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, Reply, Sequence[Completion]]:
        """For the whole file as the search asks; for a section with the step's own meta-prompt.

        Sections take turns. When a meta-prompt does not fit, fewer versions are shown from then on.
        """
        if self._editable:
            step = int(label.partition("/")[0])
            self._section = self._editable[(step - 1) % len(self._editable)]
            prompt = render(self._form, self._view(), self.words())
        completions = yield from ask_once(label, prompt, samplings)
        if all(completion.finish_reason == "too_long" for completion in completions):
            self._history //= 2
        return completions

    def read(self, text: str) -> Solution | str:
        """The whole file with the proposed text in it, unless that breaks a limit or another
        section.
        """
        if not text.strip():
            return "empty"
        base = self._best()
        whole = self._with_section(base, text) if self._editable else _like(self._original, text)
        if whole is None:
            return "structure: it would change other sections of the file"
        longest = min(
            self._settings.max_characters, int(self._settings.max_growth * len(self._original))
        )
        if len(whole) > longest:
            return f"too long: the file would have {len(whole)} characters, at most {longest}"
        return (
            "not text: it holds half a character"
            if re.search("[\ud800-\udfff]", whole)
            else Solution(whole)
        )

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, Reply, list[Score | str]]:
        """All files on all tasks of the split: one Batch to the model for all prompts, one for all
        programs.
        """
        tasks = self.suite[split]
        by_role = {
            role: [task for task in tasks if self.role(task) == role]
            for role in ("scorer", "program")
        }
        outcomes: dict[tuple[str, str], Completion] = {}
        for role, own in by_role.items():
            if own:
                both = role == "program" and by_role["scorer"]
                pairs = [(solution.text, task) for solution in solutions for task in own]
                requests = [self.request(text, task) for text, task in pairs]
                reply = yield Batch(f"{label}/programs" if both else label, role, requests)
                keys = [(text, task.name) for text, task in pairs]
                outcomes |= dict(zip(keys, reply.completions, strict=True))
        found = [
            self._score([outcomes[solution.text, task.name] for task in tasks], tasks)
            for solution in solutions
        ]
        if split == "train":
            self._tried += [
                (solution.text, score) for solution, score in zip(solutions, found, strict=True)
            ]
        return found

    def role(self, task: AgentTask) -> str:
        """Who does a task: the model, or a program where the task or the config names a command."""
        return "program" if task.command or self._settings.agent else "scorer"

    def request(self, text: str, task: AgentTask) -> Request:
        """What is asked for a file and a task. The model gets the file as system message."""
        if self.role(task) == "program":
            return request(text, task.name)
        return Request(Prompt(task.example.input, system=text), Sampling(task.max_tokens))

    def show(self, value: float) -> str | None:
        """As accuracies are shown (see metaprompt.show_score)."""
        return show_score(value, self._search.buckets)

    def words(self) -> Mapping[str, str]:
        """The noun of what is written, and for a section its heading and the headings of the file."""
        words = {
            "place": "",
            "noun": "file",
            "tag": "FILE",
            "subject": self._settings.description.strip().rstrip("."),
        }
        if not self._editable:
            return words
        listed = sections(self._original)
        outline = "\n".join(
            "#" * section.level + " " + section.title for section in listed if section.level
        )
        heading = listed[self._section].title or "(the part before the first heading)"
        return {
            **words,
            "noun": "section",
            "tag": "SECTION",
            "heading": heading,
            "outline": outline,
        }

    def exemplars(self, indices: Sequence[int]) -> list[Mapping[str, str]]:
        """Train tasks: what is asked and what is expected."""
        picked = [self.suite["train"][index].example for index in indices]
        return [{"input": row.input, "question": row.input, "target": row.target} for row in picked]

    def _best(self) -> str:
        """The file with the highest train score; of equals the earliest."""
        return (
            max(self._tried, key=lambda tried: tried[1].value)[0] if self._tried else self._original
        )

    def _view(self) -> View:
        """The versions of the section, each with the best score of a file that had it, and the
        tasks that fail.
        """
        versions: dict[str, float] = {}
        for text, score in self._tried:
            body = _body(text, self._section)
            versions[body] = max(score.value, versions.get(body, -np.inf))
        ranked = sorted(versions.items(), key=lambda pair: -pair[1])[: self._history]
        order = self._search.order
        shown = [
            (body, self.show(value))
            for body, value in (ranked if order == "descending" else reversed(ranked))
        ]
        best = max(self._tried, key=lambda tried: tried[1].value)
        wrong = [int(place) for place in np.flatnonzero(best[1].values < 1)][
            : self._search.exemplars
        ]
        arranged = "descending" if order == "descending" else "ascending"
        aim = self.show(best[1].value + 0.75 * (1 - best[1].value)) or ""
        return View(
            shown,
            self.exemplars(wrong),
            arranged,
            aim,
            _body(best[0], self._section),
            self._search.constraint,
        )

    def _score(self, done: Sequence[Completion], tasks: Sequence[AgentTask]) -> Score:
        marks = [self._mark(task, completion) for task, completion in zip(tasks, done, strict=True)]
        values = np.array([value for value, _ in marks], np.float32)
        return Score(
            float(values.mean(dtype=np.float64)),
            values,
            sum(failed for _, failed in marks),
            sum(completion.finish_reason == "length" for completion in done),
            sum(completion.prompt_tokens + completion.completion_tokens for completion in done),
        )

    def _mark(self, task: AgentTask, completion: Completion) -> tuple[float, bool]:
        """What a task earned, and whether it said nothing: an answer that can't be read, a run that
        was ended.
        """
        answer = completion.text
        if self.role(task) == "program":
            told = json.loads(answer)
            if task.rule is None:
                return float(told["exit"] == 0), bool(told["ended"])
            if failure(told):
                return 0.0, True
            answer = told["stdout"]
        values, failed = task.rule.score([answer], [task.example])
        return float(values[0]), bool(failed[0])

    def _with_section(self, base: str, text: str) -> str | None:
        """The base with another body for the step's section; a heading that the reply repeats is
        dropped.
        """
        title = sections(base)[self._section].title
        first, _, rest = text.strip().partition("\n")
        repeated = title and first.startswith("#") and first.strip("# \t\r") == title
        return rewrite(base, self._section, rest if repeated else text)


def _editable(text: str, settings: AgentFileSettings) -> list[int]:
    listed = sections(text)
    unknown = [
        title for title in settings.sections if title not in {section.title for section in listed}
    ]
    if unknown:
        titles = ", ".join(section.title for section in listed if section.title)
        raise UsageError(
            f"problem.sections: the file has no section {unknown[0]!r}", f"its sections: {titles}"
        )
    wanted = set(settings.sections) or {section.title for section in listed}
    found = [
        place for place, own in enumerate(listed) if own.end > own.start and own.title in wanted
    ]
    if not found:
        raise UsageError(
            "problem.edit: the file has no section with text in it", 'use edit = "file"'
        )
    return found


def _body(text: str, place: int) -> str:
    section = sections(text)[place]
    return text[section.start : section.end]


def _like(original: str, text: str) -> str:
    """A rewritten file with the original's line endings and the whitespace it began and ended with."""
    ending = "\r\n" if "\r\n" in original else "\n"
    lead, tail = re.match(r"\s*", original)[0], re.search(r"\s*\Z", original)[0]
    return lead + ending.join(re.split(r"\r\n|\n|\r", text.strip())) + tail


def diff(original: str, text: str, name: str) -> str:
    """A unified diff that `patch` and `git apply` read, line endings and missing last newlines
    included.
    """
    lines = [re.findall(r"[^\n]*\n|[^\n]+\Z", whole) for whole in (original, text)]
    marked = (
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(*lines, f"a/{name}", f"b/{name}")
    )
    return "".join(marked)
