"""An agent's instruction file (CLAUDE.md, AGENTS.md, a system prompt), scored by a suite of tasks.

For: whole-file and section edits, and a file's score on tasks. Not for: reading the suite
(suite.py), finding sections (sections.py) or running anything.

A solution is the whole file, whichever way it is edited, so that the search and the store know
nothing of sections. When one section is edited a step, the problem asks with a meta-prompt of its
own: it shows the versions of that section with the scores of the files that had them, and a new
version takes its place in the best file so far.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Generator, Mapping, Sequence

import numpy as np

from opro_local.config.problem import AgentFileSettings
from opro_local.config.search import SearchSettings
from opro_local.errors import UsageError
from opro_local.problems.agent.sections import rewrite, sections, with_endings
from opro_local.problems.agent.suite import AgentTask, Suite
from opro_local.problems.ask import ask_once
from opro_local.problems.command import failure
from opro_local.problems.function import request
from opro_local.problems.versions import best_versions
from opro_local.search.metaprompts.metaprompt import Form, View, render, show_score
from opro_local.search.proposing import aim
from opro_local.search.required import SINCE, check_start, only_in, reason, restored, told
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Prompt,
    Request,
    Role,
    Sampling,
    Score,
    Solution,
    Split,
)

SURROGATE = re.compile("[\ud800-\udfff]")  # half of a UTF-16 pair: can't be written to a file


class AgentFileProblem:
    """Whole files, scored as the share of tasks that succeed.

    Args:
        original: the file's text; the first seed and the baseline.
        suite: the tasks of each split.
        settings: the config's `problem`.
        search: the config's `search`.
        form: how the optimizer is asked; the search's own is replaced by it when sections are
        edited.

    Raises:
        UsageError: a section to edit is not in the file, or the file is over its own limit or
        lacks a text of `search.required`.
    """

    def __init__(
        self,
        original: str,
        suite: Suite,
        settings: AgentFileSettings,
        search: SearchSettings,
        form: Form,
    ) -> None:
        self.suite = suite
        self.splits: tuple[Split, ...] = tuple(suite)
        self._settings, self._search, self._form = settings, search, form
        self._original = original
        self._tried: list[tuple[str, Score]] = []  # files scored on train, in order
        self._history, self._section = search.history, 0
        # The numbers of the sections that take turns; none where the whole file is edited.
        self._editable = _editable(original, settings) if settings.edit == "section" else []
        if search.revision >= SINCE:
            check_start(search, original, "file")
        if len(original) > settings.max_characters:
            raise UsageError(
                f"the file has {len(original)} characters, "
                f"problem.max_characters is {settings.max_characters}",
                "raise it",
            )

    def seeds(self) -> list[Solution]:
        """The file as it is."""
        return [Solution(self._original)]

    def ask_optimizer(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        """For the whole file as the search asks; for a section with the step's own meta-prompt.

        Sections take turns. When a meta-prompt does not fit, fewer versions are shown from then on.
        """
        if self._editable:
            step = int(label.partition("/")[0])
            self._section = self._editable[(step - 1) % len(self._editable)]
            prompt = render(self._form, self._view(), self.prompt_variables())
        completions = yield from ask_once(label, prompt, samplings)
        if all(completion.finish_reason == "too_long" for completion in completions):
            self._history //= 2
        return completions

    def parse(self, text: str) -> Solution | str:
        """The whole file with the proposed text in it, unless that breaks a limit or another
        section.
        """
        if not text.strip():
            return "empty"
        base = self._best()
        text = restored(self._search, text)
        whole = self._with_section(base, text) if self._editable else _like(self._original, text)
        if whole is None:
            return "structure: it would change other sections of the file"
        grown = int(self._settings.max_growth * len(self._original))
        longest = min(self._settings.max_characters, grown)
        if len(whole) > longest:
            return f"too long: the file would have {len(whole)} characters, at most {longest}"
        missing = reason(self._search, whole) if self._search.revision >= SINCE else ""
        if missing:
            return missing
        if SURROGATE.search(whole):
            return "not text: it holds half a character"
        return Solution(whole)

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, BatchResult, list[Score]]:
        """All files on all tasks of the split: one Batch to the model for all prompts, one for all
        programs.
        """
        tasks = self.suite[split]
        asked = [task for task in tasks if self.role(task) == "scorer"]
        run = [task for task in tasks if self.role(task) == "program"]
        outcomes: dict[tuple[str, str], Completion] = {}
        if asked:
            outcomes |= yield from self._done(solutions, asked, label, "scorer")
        if run:
            name = f"{label}/programs" if asked else label
            outcomes |= yield from self._done(solutions, run, name, "program")
        scores = []
        for solution in solutions:
            score = self._score([outcomes[solution.text, task.name] for task in tasks], tasks)
            scores.append(score)
            if split == "train":
                self._tried.append((solution.text, score))
        return scores

    def _done(
        self, solutions: Sequence[Solution], tasks: Sequence[AgentTask], label: str, role: Role
    ) -> Generator[Batch, BatchResult, dict[tuple[str, str], Completion]]:
        """One Batch to a role: what came of each file and task, by the file's text and the task's
        name.
        """
        pairs = [(solution.text, task) for solution in solutions for task in tasks]
        reply = yield Batch(label, role, [self.request(text, task) for text, task in pairs])
        keys = [(text, task.name) for text, task in pairs]
        return dict(zip(keys, reply.completions, strict=True))

    def role(self, task: AgentTask) -> Role:
        """Who does a task: the model, or a program where the task or the config names a command."""
        return "program" if task.command or self._settings.agent else "scorer"

    def request(self, text: str, task: AgentTask) -> Request:
        """What is asked for a file and a task. The model gets the file as system message."""
        if self.role(task) == "program":
            return request(text, task.name)
        return Request(Prompt(task.example.input, system=text), Sampling(task.max_tokens))

    def format_score(self, value: float) -> str | None:
        """As accuracies are shown (see metaprompt.show_score)."""
        return show_score(value, self._search.buckets)

    def prompt_variables(self) -> Mapping[str, str]:
        """What is written, and for a section its heading and the headings of the file."""
        variables = {
            "place": "",
            "noun": "file",
            "tag": "FILE",
            "subject": self._settings.description.strip().rstrip("."),
        }
        if not self._editable:
            return variables
        listed = sections(self._original)
        headed = [section for section in listed if section.level]
        outline = "\n".join("#" * section.level + " " + section.title for section in headed)
        heading = listed[self._section].title or "(the part before the first heading)"
        return {
            **variables,
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
        return self._best_tried()[0] if self._tried else self._original

    def _best_tried(self) -> tuple[str, Score]:
        return max(self._tried, key=lambda tried: tried[1].value)

    def _view(self) -> View:
        """The versions of the section, each with the best score of a file that had it, and the
        tasks that fail.
        """
        tried = [(_body(text, self._section), score.value) for text, score in self._tried]
        shown, order = best_versions(tried, self._history, self._search, self.format_score)
        best, score = self._best_tried()
        body = _body(best, self._section)
        failed = np.flatnonzero(score.values < 1)[: self._search.exemplars]
        return View(
            shown,
            self.exemplars(failed.tolist()),
            order,
            self.format_score(aim(score.value)) or "",
            body,
            told(self._search, only_in(self._search, body, best)),
        )

    def _score(self, done: Sequence[Completion], tasks: Sequence[AgentTask]) -> Score:
        marks = [self._mark(task, completion) for task, completion in zip(tasks, done, strict=True)]
        values = np.array([value for value, _ in marks], np.float32)
        failures = sum(failed for _, failed in marks)
        truncated = sum(completion.finish_reason == "length" for completion in done)
        tokens = sum(completion.prompt_tokens + completion.completion_tokens for completion in done)
        return Score(float(values.mean(dtype=np.float64)), values, failures, truncated, tokens)

    def _mark(self, task: AgentTask, completion: Completion) -> tuple[float, bool]:
        """What a task earned, and whether nothing could be read: an unreadable answer, a run that
        was ended.
        """
        if self.role(task) == "scorer":
            return _judged(task, completion.text)
        report = json.loads(completion.text)
        if task.rule is None:
            return float(report["exit"] == 0), bool(report["ended"])
        if failure(report):
            return 0.0, True
        return _judged(task, report["stdout"])

    def _with_section(self, base: str, text: str) -> str | None:
        """The base with another body for the step's section; a heading that the reply repeats is
        dropped.
        """
        title = sections(base)[self._section].title
        first, _, rest = text.strip().partition("\n")
        repeated = title and first.startswith("#") and first.strip("# \t\r") == title
        return rewrite(base, self._section, rest if repeated else text)


def _judged(task: AgentTask, answer: str) -> tuple[float, bool]:
    """What an answer earns by the task's rule, and whether nothing could be read from it."""
    assert task.rule is not None  # only a command has none, and it gives no answer
    values, failed = task.rule.score([answer], [task.example])
    return float(values[0]), bool(failed[0])


def _editable(text: str, settings: AgentFileSettings) -> list[int]:
    """The numbers of the sections that may be edited: those named, or all that hold text."""
    listed = sections(text)
    known = {section.title for section in listed}
    unknown = [title for title in settings.sections if title not in known]
    if unknown:
        titles = ", ".join(section.title for section in listed if section.title)
        raise UsageError(
            f"problem.sections: the file has no section {unknown[0]!r}", f"its sections: {titles}"
        )
    wanted = set(settings.sections) or known
    editable = []
    for number, section in enumerate(listed):
        if section.end > section.start and section.title in wanted:
            editable.append(number)
    if not editable:
        raise UsageError(
            "problem.edit: the file has no section with text in it", 'use edit = "file"'
        )
    return editable


def _body(text: str, number: int) -> str:
    section = sections(text)[number]
    return text[section.start : section.end]


def _like(original: str, text: str) -> str:
    """A rewritten file with the line endings and the outer whitespace of the original."""
    lead = original[: len(original) - len(original.lstrip())]
    tail = original[len(original.rstrip()) :]
    return lead + with_endings(text.strip(), original) + tail


def diff(original: str, text: str, name: str) -> str:
    """A unified diff that `patch` and `git apply` read, line endings and missing last newlines
    included.
    """
    before, after = _lines(original), _lines(text)
    marked = []
    for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}"):
        marked.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(marked)


def _lines(text: str) -> list[str]:
    """Lines as patch knows them: only a newline ends one, unlike in str.splitlines."""
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)
