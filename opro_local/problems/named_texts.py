"""Named texts of the caller's own program, such as the instructions of its predictors: the program
says what each of its rows earns with them.

For: making one text of several, which of them a step writes anew, and a score by rows. Not for:
running the program (plugins/), or a text that one function scores whole (function.py).

A solution is all texts together, so that the search and the store know nothing of names. The texts
take turns: a step shows the versions of one of them with the scores of what had them, and a new
version takes its place in the best so far.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.problems.ask import ask_once
from opro_local.problems.filters import filters, first_reason
from opro_local.problems.function import request
from opro_local.problems.prompt.wording import printable
from opro_local.problems.versions import best_versions
from opro_local.search.metaprompts.metaprompt import Form, View, render
from opro_local.search.proposing import aim
from opro_local.search.required import check_form, lacking, restored, told
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Prompt,
    Sampling,
    Score,
    Solution,
    Split,
)

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class GivenTexts:
    """What is optimized.

    Attributes:
        seeds: the texts as they are, by name; at least one.
        sizes: how many rows each split has; train has some.
        description: what the program does, in words for the optimizer.
        noun: what one text is called there.
        placeholder: finds the places of a text that the program fills in. A new version has those
            that the text had, and no others; None where there are none.
    """

    seeds: Mapping[str, str]
    sizes: Mapping[Split, int]
    description: str = ""
    noun: str = "prompt"
    placeholder: re.Pattern[str] | None = None

    def placeholders(self) -> list[str]:
        """Every place of the texts, in order."""
        if self.placeholder is None:
            return []
        places = [place[0] for text in self.seeds.values() for place in self.places(text)]
        return list(dict.fromkeys(places))

    def places(self, text: str) -> list[re.Match[str]]:
        """The places that a text has."""
        return [] if self.placeholder is None else list(self.placeholder.finditer(text))


class NamedTexts:
    """Texts scored by the role program, which is asked about a split at a time.

    Args:
        given: the texts and what is known of them.
        config: `search` is read; `search.required` holds for the texts that have it from the start.
        form: how the optimizer is asked.

    Raises:
        UsageError: a required text is in none of them, or has no room in a new version.
    """

    def __init__(self, given: GivenTexts, config: Config, form: Form) -> None:
        self.splits: tuple[Split, ...] = tuple(split for split in SPLITS if given.sizes.get(split))
        self._given, self._form, self._names = given, form, list(given.seeds)
        self._search = config.search
        self._history, self._turn = config.search.history, self._names[0]
        self._tried: list[tuple[Mapping[str, str], float]] = []  # scored on train, in order
        self._feedback: dict[tuple[str, str], str] = {}
        self._own = {name: self._config_of(config, name) for name in self._names}
        self._filters = {name: filters(own, numeric=False) for name, own in self._own.items()}
        self._check(config)

    def seeds(self) -> list[Solution]:
        """The texts as they were given."""
        return [Solution(self.joined(self._given.seeds))]

    def joined(self, texts: Mapping[str, str]) -> str:
        """A solution's text: the text itself where there is one, else JSON of all by name."""
        if len(self._names) == 1:
            return texts[self._names[0]]
        return json.dumps({name: texts[name] for name in self._names}, ensure_ascii=False, indent=1)

    def texts(self, joined: str) -> dict[str, str]:
        """The texts of a solution, by name."""
        if len(self._names) == 1:
            return {self._names[0]: joined}
        texts: dict[str, str] = json.loads(joined)
        return texts

    def ask_optimizer(
        self, label: str, prompt: Prompt, samplings: Sequence[Sampling]
    ) -> Generator[Batch, BatchResult, Sequence[Completion]]:
        """Ask for a version of the text whose turn it is in the step, in place of the search's own
        meta-prompt. When it does not fit, fewer versions are shown from then on.
        """
        step = int(label.partition("/")[0])
        self._turn = self._names[(step - 1) % len(self._names)]
        prompt = render(self._form, self._view(), self.prompt_variables())
        completions = yield from ask_once(label, prompt, samplings)
        if all(completion.finish_reason == "too_long" for completion in completions):
            self._history //= 2
        return completions

    def parse(self, text: str) -> Solution | str:
        """The best texts so far with the proposed one in its place, if it passes the filters."""
        own = self._own[self._turn].search
        text = restored(own, printable(text)).strip()
        if not text:
            return "empty"
        known = {place[0] for place in self._given.places(self._given.seeds[self._turn])}
        for place in self._given.places(text):
            if place[0] not in known:
                return f"unknown place: {place[0]} is none of this prompt's"
        refused = first_reason(self._filters[self._turn], text)
        best, _ = self._best()
        return refused or Solution(self.joined({**best, self._turn: text}))

    def evaluate(
        self, solutions: Sequence[Solution], split: Split, label: str
    ) -> Generator[Batch, BatchResult, list[Score | str]]:
        """One Batch to the role program: a request for each solution, about all rows of a split.

        Raises:
            DataError: held-out rows could not be scored, or there are too few or many scores.
        """
        asked = [request(solution.text, split) for solution in solutions]
        reply = yield Batch(label, "program", asked)
        pairs = zip(solutions, reply.completions, strict=True)
        return [self._score(solution, said, split) for solution, said in pairs]

    def format_score(self, value: float) -> str | None:
        """The score as it is, to six digits; hidden where search.buckets is 0."""
        return f"{value:.6g}" if self._search.buckets else None

    def prompt_variables(self) -> Mapping[str, Any]:
        """What is written, and what was said of its versions."""
        subject = self._given.description.strip().rstrip(".")
        if len(self._names) > 1:
            subject = f"{self._turn}. {subject}" if subject else self._turn
        said = {text: said for (name, text), said in self._feedback.items() if name == self._turn}
        noun = self._given.noun
        return {"place": "", "noun": noun, "tag": "TEXT", "subject": subject, "feedback": said}

    def exemplars(self, indices: Sequence[int]) -> list[Mapping[str, str]]:
        """None: the program's rows are its own."""
        return []

    def _config_of(self, config: Config, name: str) -> Config:
        """The config for one text: of what is required, what that text has."""
        absent = lacking(config.search, self._given.seeds[name])
        kept = tuple(text for text in config.search.required if text not in absent)
        search = config.search.model_copy(update={"required": kept})
        return config.model_copy(update={"search": search})

    def _check(self, config: Config) -> None:
        """Refuse what can't be kept. Raises UsageError."""
        kept = {text for own in self._own.values() for text in own.search.required}
        for text in config.search.required:
            if text not in kept:
                raise UsageError(
                    f"search.required: none of the texts to start from holds {text!r}",
                    "put it in one, or leave it out of search.required",
                )
        for name, own in self._own.items():
            check_form(own.search, self._form, self.prompt_variables())
            together = " ".join(own.search.required)
            refused = first_reason(self._filters[name], together) if together else None
            if refused:
                raise UsageError(
                    f"search.required: no version of {name} can hold all of it ({refused})",
                    "raise search.max_characters or search.max_words",
                )

    def _best(self) -> tuple[Mapping[str, str], float]:
        """The texts with the highest train score; of equals the earliest."""
        return max(self._tried, key=lambda tried: tried[1])

    def _view(self) -> View:
        """The versions of the step's text, each with the best score of what had it."""
        tried = [(texts[self._turn], value) for texts, value in self._tried]
        shown, order = best_versions(tried, self._history, self._search, self.format_score)
        best, value = self._best()
        sought = self.format_score(aim(value)) or ""
        return View(shown, (), order, sought, best[self._turn], told(self._own[self._turn].search))

    def _score(self, solution: Solution, said: Completion, split: Split) -> Score | str:
        """What a completion of the program says (see plugins/scoring.py)."""
        report: Mapping[str, Any] = json.loads(said.text)
        if "failed" in report:
            if split != "train":
                raise DataError(
                    f"the {split} rows could not be scored: {report['failed']}",
                    "correct what scores them, and take a new run",
                )
            return str(report["failed"])
        values = np.array(report["rows"], np.float64)
        if len(values) != self._given.sizes[split]:
            raise DataError(
                f"{len(values)} scores for the {self._given.sizes[split]} {split} rows",
                "give one score for each row",
            )
        if split == "train":
            self._remember(solution, float(values.mean()), report.get("feedback", {}))
        return Score(float(values.mean()), values)

    def _remember(self, solution: Solution, value: float, feedback: Mapping[str, str]) -> None:
        """Keep what was scored on train, to be shown."""
        texts = self.texts(solution.text)
        self._tried.append((texts, value))
        for name, said in feedback.items():
            if said and name in texts:
                self._feedback[name, texts[name]] = said
