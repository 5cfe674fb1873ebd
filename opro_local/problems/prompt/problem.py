"""Prompt optimization: a solution is an instruction, its score how many examples the scorer model
gets right with it.

For: turning (instruction, row) into a prompt and completions into scores. Not for: reading data,
scoring rules, or talking to a model.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from opro_local.config.settings import Config
from opro_local.problems.ask import ask_once
from opro_local.problems.prompt import second_round
from opro_local.problems.prompt.alarms import Alarm, FirstBatch
from opro_local.problems.prompt.constant import ConstantAnswer, constant_answer
from opro_local.problems.prompt.demonstrations import (
    MISTAKES,
    MORE_MISTAKES,
    RIGHTS,
    Demonstrations,
)
from opro_local.problems.prompt.generic import generic, labels_of, nameable
from opro_local.problems.prompt.labelling import Labelling
from opro_local.problems.prompt.layout import PLACES, Layout, Worked
from opro_local.problems.prompt.proposals import Proposals
from opro_local.problems.prompt.row_classes import row_classes
from opro_local.problems.prompt.scores import scores
from opro_local.scoring.classes import ClassFigures, class_figures
from opro_local.scoring.judge import SAY_NOTHING_OF_A_JUDGE, judged, remarks_of_grades
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

# Rules under which an answer is one of a few classes, so that it can be counted by class.
CLASS_RULES = ("labels", "boolean", "choice")
# Rules whose targets are what a whole answer looks like; elsewhere a target doesn't show how it is
# come to.
SHORT = ("labels", "labels_set", "boolean", "exact", "exact_strict", "contains", "json", "python")


class PromptProblem:
    """Instructions scored by running a scorer model over a task's rows.

    Args:
        rows: the examples of each split; "train" is required.
        config: `task`, `judge` and `search` are read.
        layout: where the instruction goes.
        rule: how answers are scored.
        sampling: how an answer is drawn; where it has labels, their probabilities are read in the
            place of an answer.
        parsed: the splits whose answers are kept as they were read, where they are classes. They
            are read a second time for it, which train, scored in every step, is spared.

    Attributes:
        alarms: what was alarming in the first answers; None before there are some.
        labelling: what is known of labels that are read; None where answers are.
    """

    def __init__(
        self,
        rows: Mapping[Split, Sequence[Example]],
        config: Config,
        layout: Layout,
        rule: Rule,
        sampling: Sampling,
        parsed: Sequence[Split] = ("validation", "test"),
    ) -> None:
        self.rows = rows
        self.layout = layout
        self.rule = rule
        self.splits: tuple[Split, ...] = tuple(
            split for split in ("train", "validation", "test") if rows.get(split)
        )
        self._config = config
        is_classified = rule.name in CLASS_RULES and config.task.rule != "judge"
        self._parsed = tuple(parsed) if is_classified else ()
        self.answer_tokens = sampling.max_tokens
        self._sampling = sampling
        self.alarms: tuple[Alarm, ...] | None = None
        self._scorers: dict[Split, Scorer] = {
            split: rule.prepare(rows[split]) for split in self.splits
        }
        answers = config.search.demonstration_answers
        shows_work = rule.name not in SHORT and not sampling.labels
        own = answers == "own" or (answers == "auto" and shows_work)
        remembered = (MORE_MISTAKES, RIGHTS) if config.searches_anew else (MISTAKES, 0)
        self.demonstrations = Demonstrations(rows.get("train", ()), own, *remembered)
        for seed in config.search.starts:
            for key, answer in zip_longest(seed.demonstrations, seed.answers):
                self.demonstrations.give(key, answer)
        self._classes = row_classes(config.task, rule, rows)
        self.labelling: Labelling | None = None
        if labels := sampling.labels:
            by_all = config.task.revision >= 4
            self.labelling = Labelling(labels, rule, rows, self._classes is not None, by_all)
        targets = [row.target for row in rows.get("train", ())]
        self.labels = labels_of(targets)
        self.nameable = nameable(targets, rule.name)
        self._proposals = Proposals(config, targets, rule.name)

    def seeds(self) -> list[Solution]:
        """The starting instructions, as they were given; the first is the baseline."""
        return [Solution(seed.text, seed.demonstrations) for seed in self._config.search.starts]

    def generic(self) -> list[str]:
        """Starting instructions that need no knowledge of the task but its labels; none where all
        must hold a placeholder.
        """
        return [] if self._config.search.required else generic(self.labels)

    def parse(self, text: str) -> Solution | str:
        """See Proposals.parse."""
        return self._proposals.parse(text)

    def parse_part(self, text: str) -> Solution | str:
        """The same for a part of a text, see Proposals.parse."""
        return self._proposals.parse(text, part=True)

    ask_optimizer = staticmethod(ask_once)

    def format_score(self, value: float) -> str | None:
        """As the paper shows accuracies (see metaprompt.show_score), MCC below 0 with its sign."""
        if value < 0:
            shown = show_score(min(1.0, -value), self._config.search.buckets)
            return None if shown is None else f"-{shown}"
        return show_score(value, self._config.search.buckets)

    def evaluate(
        self,
        solutions: Sequence[Solution],
        split: Split,
        label: str,
        rows: Sequence[int] | None = None,
    ) -> Generator[Batch, BatchResult, list[Score]]:
        """All solutions on all rows, or on those asked for, in one batch, by solution: shape
        (solutions, rows).

        A second prompting round and a judge are a batch each, for all solutions together.
        """
        answers = yield from self.answers(solutions, split, label, rows)
        labelled = self.labelling and self.labelling.read(solutions, split, rows, answers)
        if labelled:
            answers = labelled.answers
        texts = [answer.text for answer in answers]
        scorer = self._scorers[split]
        if rows is not None:
            scorer = replace(scorer, golds=[scorer.golds[row] for row in rows])
        asked_rows = self._rows(split, rows)
        if self._config.task.rule == "judge":
            asked = list(asked_rows) * len(solutions)
            verdicts = yield from self._judged(texts, asked, scorer, label)
        else:
            verdicts = scorer.both(texts)
        if split == "train" and self._config.is_mixed:
            self.demonstrations.note(
                solutions, asked_rows, answers, verdicts.values, self._remarks(verdicts)
            )
        if self.alarms is None:
            self.alarms = self._first_batch(asked_rows, answers, verdicts, scorer).alarms()
        parsed = None
        if split in self._parsed:
            golds = scorer.golds * len(solutions)
            parsed = tuple(map(self.rule.read, texts, golds))
        measures = None
        if self._classes:
            measures = self._classes.measures(
                self.rule, texts, verdicts.values, scorer.golds, split, rows
            )
        scored = scores(answers, len(solutions), verdicts, parsed, measures)
        if labelled:
            scored = labelled.scored(scored)
        if split == "train" and parsed is None:
            # Only held-out answers are asked for again; a long search scores train often.
            return [replace(score, read=None) for score in scored]
        return scored

    def _judged(
        self, texts: Sequence[str], asked: Sequence[Example], scorer: Scorer, label: str
    ) -> Generator[Batch, BatchResult, Verdicts]:
        """What the judge says of answers to these rows, in one batch. It is compared with the rule
        that the targets suggest, where that rule decides.
        """
        decides = self.rule.name not in SAY_NOTHING_OF_A_JUDGE
        has_targets = decides and all(row.target.strip() for row in asked)
        compared = scorer if has_targets else None
        return (yield from judged(texts, asked, compared, self._config.judge, label))

    def _remarks(self, verdicts: Verdicts) -> Sequence[str]:
        """What is said of each answer to the optimizer: a function's words, or a judge's grades."""
        scale = self._config.judge.scale
        is_graded = self._config.task.rule == "judge" and self._config.searches_anew
        if verdicts.remarks or scale is None or not is_graded:
            return verdicts.remarks
        return remarks_of_grades(verdicts.values, scale)

    def _first_batch(
        self,
        rows: Sequence[Example],
        answers: Sequence[Completion],
        verdicts: Verdicts,
        scorer: Scorer,
    ) -> FirstBatch:
        """The first scored answers, as alarms are raised by them."""
        return FirstBatch(
            rows,
            answers,
            verdicts.failed,
            lambda place: self.rule.read(answers[place].text, scorer.golds[place % len(rows)]),
            "judge" if self._config.task.rule == "judge" else self.rule.name,
            self._sampling.max_tokens,
        )

    def _rows(self, split: Split, rows: Sequence[int] | None) -> Sequence[Example]:
        if rows is None:
            return self.rows[split]
        return [self.rows[split][row] for row in rows]

    def answers(
        self,
        solutions: Sequence[Solution],
        split: Split,
        label: str,
        rows: Sequence[int] | None = None,
    ) -> Generator[Batch, BatchResult, list[Completion]]:
        """The scorer's answers as they are scored: those of the second round where there is one."""
        examples = self._rows(split, rows)
        requests: list[Request] = []
        for solution in solutions:
            requests += self.requests(solution, split, examples)
        return (yield from self.asked(requests, label))

    def asked(
        self, requests: Sequence[Request], label: str
    ) -> Generator[Batch, BatchResult, list[Completion]]:
        """The answers to requests as they are read: those of the second round where there is
        one.
        """
        first = (yield Batch(label, "scorer", requests)).completions
        if not self._config.task.second_round:
            return list(first)
        again = [
            Request(second_round.asked_again(request.prompt, answer), second_round.SAMPLING)
            for request, answer in zip(requests, first, strict=True)
        ]
        second = (yield Batch(f"{label}/second", "scorer", again)).completions
        return [second_round.combined(*pair) for pair in zip(first, second, strict=True)]

    def said(self, solution: Solution, answers: Sequence[Completion]) -> Sequence[Completion]:
        """A solution's answers as they are scored: where labels were read, the one chosen of
        each row, by the bias that is known now.
        """
        if self.labelling is None:
            return answers
        texts = self.labelling.chosen(solution, answers)
        return [replace(one, text=text) for one, text in zip(answers, texts, strict=True)]

    def requests(self, solution: Solution, split: Split, rows: Sequence[Example]) -> list[Request]:
        """A solution's request for each row. A train row is never shown its own answer (see
        Demonstrations.without).
        """
        ids = solution.demonstrations
        worked = self.demonstrations.worked(ids)
        if not worked:
            prompts = self.layout.prompts(solution.text, (), rows)
            return [Request(prompt, self._sampling) for prompt in prompts]
        shown = {example.input for example, _ in worked}

        def instead(row: Example) -> Worked | None:
            if split == "train" and row.input in shown:
                return self.demonstrations.without(row, ids)
            return None

        sampling = self._sampling
        if self._config.task.revision < 2 and self.labelling is None:
            ends = self.layout.stop_after([answer for _, answer in worked])
            sampling = replace(sampling, stop=(*sampling.stop, *ends))
        prompts = self.layout.prompts(solution.text, worked, rows, instead)
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

    def classes(self, split: Split, score: Score) -> ClassFigures | None:
        """A score on all rows of a split by class, each called as the first target that names it;
        None where the answers are no classes, or were not kept.
        """
        parsed = None if score.read is None else score.read.parsed
        if parsed is None or score.rows is not None:
            return None
        names: dict[str, str] = {}
        targets = []
        for row in self.rows[split]:
            said = self.rule.parsed(row.target, row) or row.target
            targets.append(names.setdefault(said, row.target.strip()))
        answers = [said and names.get(said, said) for said in parsed]
        return class_figures(targets, answers)

    def constant(self, split: Split) -> ConstantAnswer | None:
        """What one answer to all rows of a split would earn; None where that says nothing."""
        if self._config.task.rule == "judge":
            return None
        return constant_answer(self.rule, self.rows[split], split, self._classes)

    def prompt_variables(self) -> Mapping[str, str]:
        """Where the text goes, what it is called, and the task in a few words."""
        task = self._config.task
        subject = task.description
        if not subject and task.name == "gsm8k":
            subject = "grade school math"  # as the paper's meta-prompt calls it
        noun, tag = "instruction", "INS"
        if self.layout.position == "A_begin":
            noun, tag = "answer starting sentence", "Start"
        place = PLACES[self.layout.position]
        return {"place": place, "noun": noun, "tag": tag, "subject": subject}

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
        """The prompt of a row as a meta-prompt shows it, the instruction's place marked."""
        prompt = self.layout.prompt(MARK, row)
        return "\n".join(part for part in (prompt.system, prompt.text + prompt.prefill) if part)


def _asked(prompt: Prompt) -> dict[str, Any]:
    """A prompt as JSON: messages for a chat, else one text."""
    if not prompt.chat:
        return {"prompt": prompt.text + prompt.prefill}
    turns = [("system", prompt.system or "")]
    for user, answer in prompt.turns:
        turns += [("user", user), ("assistant", answer)]
    turns += [("user", prompt.text), ("assistant", prompt.prefill)]
    return {"messages": [{"role": role, "content": text} for role, text in turns if text]}
