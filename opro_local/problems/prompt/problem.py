"""Prompt optimization: a solution is an instruction, its score how many examples the scorer model
gets right with it.

For: turning (instruction, row) into a prompt and completions into scores. Not for: reading data,
scoring rules, or talking to a model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

import numpy as np

from opro_local.config.settings import Config
from opro_local.problems.ask import ask_once
from opro_local.problems.prompt.demonstrations import Demonstrations
from opro_local.problems.prompt.generic import generic, labels_of
from opro_local.problems.prompt.layout import PLACES, Layout
from opro_local.scoring import opro
from opro_local.scoring.judge import judged
from opro_local.scoring.rule import Rule, Scorer, Verdicts
from opro_local.search.metaprompts.metaprompt import MARK, show_score
from opro_local.types import (
    Batch,
    BatchResult,
    Completion,
    Example,
    Prompt,
    Request,
    Sampling,
    Score,
    Solution,
    Split,
)

PLACEHOLDER = re.compile(
    r"</?(?:INS|Start|TEXT|instruction)>|\bINS\b|\{instruction\}", re.IGNORECASE
)
UNNATURAL = re.compile(r"[^\w\s.,;:!?'\"()\-–—’“”&%/$€£]|_|(.)\1{3}")
LIMIT = re.compile(
    r"(?:at most|no more than|under|up to|maximum of)\s+(\d+)\s+(words?|characters?)", re.IGNORECASE
)

# Rules whose targets are what a whole answer looks like; elsewhere a target doesn't show how it is
# come to.
SHORT = ("labels", "boolean", "exact", "contains", "json", "python")

# The second round states an answer only; the reference asks for 50 tokens.
SECOND_SAMPLING = Sampling(50, 0.0)
TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")


class PromptProblem:
    """Instructions scored by running a scorer model over a task's rows.

    Args:
        rows: the examples of each split; "train" is required.
        config: `task`, `scorer`, `judge` and `search` are read.
        layout: where the instruction goes.
        max_tokens: new tokens per answer.
        rule: how answers are scored.
        stop: strings that end an answer.
    """

    def __init__(
        self,
        rows: Mapping[Split, Sequence[Example]],
        config: Config,
        layout: Layout,
        max_tokens: int,
        rule: Rule,
        stop: tuple[str, ...] = (),
    ) -> None:
        self.rows = rows
        self.layout = layout
        self.rule = rule
        self.splits: tuple[Split, ...] = tuple(
            split for split in ("train", "validation", "test") if rows.get(split)
        )
        self._config = config
        self._sampling = Sampling(max_tokens, 0.0, stop=stop)
        self._scorers: dict[Split, Scorer] = {
            split: rule.prepare(rows[split]) for split in self.splits
        }
        own = config.search.demonstration_answers
        self.demonstrations = Demonstrations(
            rows.get("train", ()), own == "own" or (own == "auto" and rule.name not in SHORT)
        )
        for seed in config.search.starts:
            for key, answer in zip_longest(seed.demonstrations, seed.answers):
                self.demonstrations.give(key, answer)
        self.labels = labels_of(row.target for row in rows.get("train", ()))
        # Digits in an instruction are suspicious where targets are numbers (paper, section 5.1).
        self._filters = filters(config, numeric=rule.name == "number")

    def seeds(self) -> list[Solution]:
        """The starting instructions, as they were given; the first is the baseline."""
        return [Solution(seed.text, seed.demonstrations) for seed in self._config.search.starts]

    def generic(self) -> list[str]:
        """Starting instructions that need no knowledge of the task but its labels."""
        return generic(self.labels)

    def parse(self, text: str) -> Solution | str:
        """Tidy a proposed instruction as the paper does (strip, no `**`, capital first letter),
        then filter it.
        """
        text = text.replace("**", "").strip().strip('"“”').strip()
        text = text[:1].upper() + text[1:]
        if not text:
            return "empty"
        for reason in (check(text) for check in self._filters):
            if reason:
                return reason
        return Solution(text)

    ask_optimizer = staticmethod(ask_once)

    def format_score(self, value: float) -> str | None:
        """As the paper shows accuracies (see metaprompt.show_score)."""
        return show_score(value, self._config.search.buckets)

    def evaluate(
        self,
        solutions: Sequence[Solution],
        split: Split,
        label: str,
        rows: Sequence[int] | None = None,
    ) -> Generator[Batch, BatchResult, list[Score | str]]:
        """All solutions on all rows, or on those asked for, in one batch, by solution: shape
        (solutions, rows).

        A second prompting round and a judge are a batch each, for all solutions together.
        """
        answers = yield from self.answers(solutions, split, label, rows)
        texts = [answer.text for answer in answers]
        scorer = self._scorers[split]
        if rows is not None:
            scorer = replace(scorer, golds=[scorer.golds[row] for row in rows])
        if self._config.task.rule == "judge":
            asked = list(self._rows(split, rows)) * len(solutions)
            # A judge is compared with the rule that the targets suggest, where there are targets.
            compared = scorer if all(row.target.strip() for row in asked) else None
            verdicts = yield from judged(texts, asked, compared, self._config.judge.rubric, label)
        else:
            verdicts = scorer.both(texts)
        if split == "train" and self._config.is_mixed:
            self.demonstrations.note(solutions, self._rows(split, rows), answers, verdicts.values)
        return scores(answers, len(solutions), verdicts)

    def _rows(self, split: Split, rows: Sequence[int] | None) -> Sequence[Example]:
        return self.rows[split] if rows is None else [self.rows[split][row] for row in rows]

    def answers(
        self,
        solutions: Sequence[Solution],
        split: Split,
        label: str,
        rows: Sequence[int] | None = None,
    ) -> Generator[Batch, BatchResult, list[Completion]]:
        """The scorer's answers, as they are scored: those of the second round where there is one."""
        rows = self._rows(split, rows)
        requests = [
            request for solution in solutions for request in self.requests(solution, split, rows)
        ]
        reply = yield Batch(label, "scorer", requests)
        if not self._config.task.second_round:
            return list(reply.completions)
        asked = [
            second_prompt(r.prompt, answer)
            for r, answer in zip(requests, reply.completions, strict=True)
        ]
        last = yield Batch(
            f"{label}/second", "scorer", [Request(prompt, SECOND_SAMPLING) for prompt in asked]
        )
        return [after(*pair) for pair in zip(reply.completions, last.completions, strict=True)]

    def requests(self, solution: Solution, split: Split, rows: Sequence[Example]) -> list[Request]:
        """A solution's request for each row. A train row is never shown its own answer (see
        Demonstrations.without).
        """
        worked = self.demonstrations.worked(solution.demonstrations)
        if split == "train" and worked:
            shown = {example.input for example, _ in worked}
            instead = self.demonstrations.without
            prompts = self.layout.prompts(
                solution.text,
                worked,
                rows,
                lambda row: instead(row, solution.demonstrations) if row.input in shown else None,
            )
        else:
            prompts = self.layout.prompts(solution.text, worked, rows)
        sampling = self._sampling
        if worked:
            sampling = replace(
                sampling, stop=(*sampling.stop, *self.layout.stop([answer for _, answer in worked]))
            )
        return [Request(prompt, sampling) for prompt in prompts]

    def readable(self, solution: Solution) -> dict[str, Any]:
        """What a user needs to ask with a solution elsewhere; {input}, or a template's columns,
        stand for the row.

        Returns:
            demonstrations (id, input and answer of each) and either messages, for a chat, or
            prompt, a text that the model continues, with the strings that end its answer as stop.
        """
        worked = self.demonstrations.worked(solution.demonstrations)
        columns = self.rows["train"][0].columns
        row = Example("", {name: f"{{{name}}}" for name in columns}, "{input}", "", "")
        request = self.requests(solution, "test", [row])[0]
        shown = [{"id": row.id, "input": row.input, "answer": answer} for row, answer in worked]
        return {
            "text": solution.text,
            "demonstrations": shown,
            **_asked(request.prompt),
            "stop": request.sampling.stop,
        }

    def prompt_variables(self) -> Mapping[str, str]:
        """Where the text goes, what it is called, and the task in a few words."""
        opening = self.layout.position == "A_begin"
        task = self._config.task
        return {
            "place": PLACES[self.layout.position],
            "noun": "answer starting sentence" if opening else "instruction",
            "tag": "Start" if opening else "INS",
            "subject": task.description or ("grade school math" if task.name == "gsm8k" else ""),
        }

    def exemplars(self, indices: Sequence[int]) -> list[dict[str, str]]:
        """Train rows: `input` with the instruction's place marked, the bare `question`, and the
        `target`.
        """
        picked = [self.rows["train"][index] for index in indices]
        return [
            {"input": self._shown(row), "question": row.input, "target": row.target}
            for row in picked
        ]

    def targets(self) -> list[str]:
        """The targets of the train rows, in order."""
        return [row.target for row in self.rows["train"]]

    def _shown(self, row: Example) -> str:
        prompt = self.layout.prompt(MARK, row)
        return "\n".join(part for part in (prompt.system, prompt.text + prompt.prefill) if part)


def _asked(prompt: Prompt) -> dict[str, Any]:
    if not prompt.chat:
        return {"prompt": prompt.text + prompt.prefill}
    said = [("system", prompt.system or "")]
    said += [
        pair for user, answer in prompt.turns for pair in (("user", user), ("assistant", answer))
    ]
    said += [("user", prompt.text), ("assistant", prompt.prefill)]
    return {"messages": [{"role": role, "content": text} for role, text in said if text]}


def second_prompt(prompt: Prompt, answer: Completion) -> Prompt:
    """The prompt of the second round: the first one, its answer, and "So the final answer is" (see
    scoring/opro.py).

    The answer becomes the beginning of the reply, so that a chat model goes on with its own words.
    """
    said = opro.second_prompt("", answer.text).lstrip()
    before = prompt.prefill and prompt.prefill + " "
    return replace(prompt, prefill=before + said if prompt.chat else f"{before or ' '}{said}")


def after(first: Completion, second: Completion) -> Completion:
    """The second round's answer, with the tokens of both rounds; truncated means that the first one
    was cut.
    """
    spent = {name: getattr(first, name) + getattr(second, name) for name in TOKENS}
    # The reference's trimming: what stands after a colon, to the end of the line or the next
    # question.
    text = second.text.strip(":").strip().partition("\n")[0].partition("Q:")[0]
    return replace(second, text=text, finish_reason=first.finish_reason, **spent)


def scores(completions: Sequence[Completion], solutions: int, verdicts: Verdicts) -> list[Score]:
    """Turn a batch's completions and what they earned into one Score per solution.

    A prompt that was too long for the context counts as a failed extraction.
    """
    truncated = np.fromiter(
        (c.finish_reason == "length" for c in completions), bool, len(completions)
    )
    tokens = np.fromiter(
        (c.prompt_tokens + c.completion_tokens for c in completions), np.int64, len(completions)
    )
    columns = (verdicts.values, verdicts.failed, truncated, tokens)
    table = zip(*(column.reshape(solutions, -1) for column in columns), strict=True)
    beside = {
        name: column.reshape(solutions, -1).mean(axis=1)
        for name, column in _beside(verdicts).items()
    }
    return [
        Score(
            float(value.mean(dtype=np.float64)),
            value,
            int(bad.sum()),
            int(cut.sum()),
            int(spent.sum()),
            {name: float(column[index]) for name, column in beside.items()},
        )
        for index, (value, bad, cut, spent) in enumerate(table)
    ]


def _beside(verdicts: Verdicts) -> dict[str, np.ndarray]:
    columns = {"strict": verdicts.strict, "agreement": verdicts.agreement}
    return {name: column for name, column in columns.items() if column is not None}


def filters(config: Config, numeric: bool) -> list[Callable[[str], str | None]]:
    """The checks a proposed instruction must pass; each gives the reason for a rejection or None."""
    search = config.search
    words, characters, natural = read_constraint(search.constraint)
    words = min(filter(None, (words, search.max_words)), default=None)
    characters = min(filter(None, (characters, search.max_characters)))
    checks: list[Callable[[str], str | None]] = [
        lambda text: (
            f"too long: {len(text)} characters, at most {characters}"
            if len(text) > characters
            else None
        ),
        lambda text: "placeholder tag in it" if PLACEHOLDER.search(text) else None,
    ]
    if search.digits == "reject" or (search.digits == "auto" and numeric):
        checks.append(lambda text: "digits in it" if any(map(str.isdigit, text)) else None)
    if words:
        checks.append(
            lambda text: f"too long: over {words} words" if len(text.split()) > words else None
        )
    if natural:
        checks.append(lambda text: "not natural wording" if UNNATURAL.search(text) else None)
    if config.task.position == "template":
        checks.append(lambda text: "braces in it" if "{" in text or "}" in text else None)
    return checks


def read_constraint(constraint: str) -> tuple[int | None, int | None, bool]:
    """What of a constraint line can be enforced: most words, most characters, and whether wording
    must be natural.

    "at most 20 words, natural wording" gives (20, None, True). Natural wording means letters,
    digits, spaces and ordinary punctuation, and no character four times in a row. The rest of the
    line is shown to the optimizer only.
    """
    limits = {unit[0].lower(): int(count) for count, unit in LIMIT.findall(constraint)}
    return limits.get("w"), limits.get("c"), "natural" in constraint.lower()
