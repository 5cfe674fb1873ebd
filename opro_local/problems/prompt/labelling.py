"""Answers by the probability of labels: from what an engine read to the label that is chosen.

For: `task.answer = "label_probability"`: each solution's bias, and the figures that come with it.
Not for: fitting (scoring/label_bias.py), or what a label earns (the rule reads it as any answer).

On train every row is labelled with a bias that has not seen it, and the score is how probable the
right labels are then. On validation, which decides between prompts, the bias of all train rows is
used as it stands; on test, and by whoever uses the prompt, that of all labelled rows, validation's
too. All of it is derived from answers on these two, so that a resumed run comes to the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local.records import log_probabilities
from opro_local.scoring.label_bias import (
    LabelBias,
    LabelFit,
    cross_fitted,
    fit,
    largest,
    no_bias,
    right_share,
    voted,
)
from opro_local.scoring.rule import Rule
from opro_local.types import Completion, Example, Score, Solution, Split

SETTING = "label_probability"  # of task.answer
LABELLED: tuple[Split, ...] = ("train", "validation")  # the splits that a bias is fitted on


@dataclass(frozen=True, slots=True)
class Labelled:
    """What one evaluation read of its solutions.

    Attributes:
        answers: by solution and then by row, as completions that say the chosen label; "" where
            nothing was read.
        figures: of each solution, beside its score.
        sure: of each solution how probable the chosen labels were, shape (rows,); NaN for none.
        fits: of each solution what its train score is; () on other splits.
    """

    answers: list[Completion]
    figures: tuple[Mapping[str, float], ...]
    sure: tuple[np.ndarray, ...]
    fits: tuple[LabelFit, ...] = ()

    def scored(self, scores: Sequence[Score]) -> list[Score]:
        """The scores with the figures, and on train with the fit as what is optimized."""
        made = []
        for place, score in enumerate(scores):
            score = replace(score, metrics={**score.metrics, **self.figures[place]})
            if score.read is not None:
                score = replace(score, read=replace(score.read, sure=self.sure[place]))
            if self.fits:
                measure = self.fits[place]
                score = replace(score, value=measure.value(), measure=measure)
            made.append(score)
        return made


class Labelling:
    """The labels of a task, and what was read of each solution.

    Args:
        labels: the closed set, at least two.
        rule: which label is right for a row.
        rows: of every split.
        balanced: whether every label weighs as much: where `task.metric` counts by class.
        by_all: whether validation rows have a part in the bias for test; before `task.revision` 4
            they had none.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        rule: Rule,
        rows: Mapping[Split, Sequence[Example]],
        balanced: bool,
        by_all: bool = True,
    ) -> None:
        self.labels = labels
        self._balanced = balanced
        self._labelled: tuple[Split, ...] = LABELLED if by_all else LABELLED[:1]
        self._golds = {split: _golds(labels, rule, own) for split, own in rows.items()}
        self._logs: dict[tuple[Split, str], np.ndarray] = {}
        self._given: dict[str, LabelBias] = {}

    def give(self, solution: Solution, bias: LabelBias) -> None:
        """Have a solution use this bias, whatever its train rows say."""
        self._given[solution.key] = bias

    def bias(self, solution: Solution) -> LabelBias:
        """The bias of a solution: the one it was given, or that of the train and validation rows
        read so far; none where there are none.
        """
        return self._bias(solution, self._labelled)

    def _bias(self, solution: Solution, splits: Sequence[Split]) -> LabelBias:
        """The same by these splits alone."""
        given = self._given.get(solution.key)
        read = [split for split in splits if (split, solution.key) in self._logs]
        if given is not None or not read:
            return given or no_bias(self.labels)
        logs = np.concatenate([self._logs[split, solution.key] for split in read])
        golds = np.concatenate([self._golds[split] for split in read])
        return fit(self.labels, logs, golds, self._balanced)

    def read(
        self,
        solutions: Sequence[Solution],
        split: Split,
        rows: Sequence[int] | None,
        answers: Sequence[Completion],
    ) -> Labelled:
        """What an engine said of solutions, by solution and then by row.

        Args:
            solutions, split, rows: what was asked; see PromptProblem.evaluate.
            answers: whose texts are log-probabilities.
        """
        places = np.arange(len(self._golds[split])) if rows is None else np.array(rows)
        golds = self._golds[split][places]
        logs = self.logs(answers).reshape(len(solutions), len(places), -1)
        texts: list[str] = []
        figures: list[Mapping[str, float]] = []
        sure: list[np.ndarray] = []
        for solution, own in zip(solutions, logs, strict=True):
            shares = self._shares(solution, split, places, own)
            texts += self.texts(largest(shares))
            sure.append(shares.max(axis=1))
            plain = largest(own) == golds
            own_figures = {"without_bias": float(plain.mean())}
            if split != "train":
                # On train it is the fit's value, of all rows together.
                own_figures["probability"] = right_share(shares, golds, self._balanced)
            figures.append(own_figures)
        chosen = [replace(one, text=text) for one, text in zip(answers, texts, strict=True)]
        fits = [LabelFit(own, golds, self._balanced) for own in logs if split == "train"]
        return Labelled(chosen, tuple(figures), tuple(sure), tuple(fits))

    def chosen(self, solution: Solution, answers: Sequence[Completion]) -> list[str]:
        """The label of each answer by the solution's bias, "" where nothing was read."""
        return self.texts(self.bias(solution).chosen(self.logs(answers)))

    def voted(
        self, solutions: Sequence[Solution], answers: Sequence[Completion]
    ) -> list[Completion]:
        """What several solutions say of each row together, see label_bias.voted.

        Args:
            solutions: those that vote.
            answers: by solution and then by row.

        Returns:
            one completion a row: the label, "" where nothing was read, and the tokens of all.
        """
        rows = len(answers) // len(solutions)
        logs = self.logs(answers).reshape(len(solutions), rows, -1)
        texts = self.texts(voted([self.bias(one) for one in solutions], logs))
        return [_together(text, answers[row::rows]) for row, text in enumerate(texts)]

    def logs(self, answers: Sequence[Completion]) -> np.ndarray:
        """Log-probabilities of answers, shape (n, labels); NaN where an answer has none."""
        nothing = (np.nan,) * len(self.labels)
        read = [log_probabilities(answer.text, self.labels) or nothing for answer in answers]
        return np.array(read, float).reshape(len(answers), len(self.labels))

    def texts(self, places: np.ndarray) -> list[str]:
        """The labels at these places, "" for -1."""
        return [self.labels[place] if place >= 0 else "" for place in places.tolist()]

    def _shares(
        self, solution: Solution, split: Split, places: np.ndarray, logs: np.ndarray
    ) -> np.ndarray:
        """The probabilities by which rows are labelled, shape (n, labels)."""
        if split not in LABELLED:
            return self.bias(solution).probabilities(logs)
        golds, place = self._golds[split], (split, solution.key)
        known = self._logs.setdefault(place, np.full((len(golds), logs.shape[1]), np.nan))
        known[places] = logs
        if split != "train" or solution.key in self._given:
            return self._bias(solution, ("train",)).probabilities(logs)
        return cross_fitted(known, golds, self._balanced)[places]


def _together(text: str, answers: Sequence[Completion]) -> Completion:
    """What was chosen of several answers to a row, and what they cost; too long for the context
    where all were.
    """
    read = [one for one in answers if one.finish_reason != "too_long"]
    reason = read[0].finish_reason if read else "too_long"
    prompt, cached, written = (
        sum(getattr(one, name) for one in answers)
        for name in ("prompt_tokens", "cached_tokens", "completion_tokens")
    )
    return Completion(text, reason, prompt, cached, written)


def _golds(labels: Sequence[str], rule: Rule, rows: Sequence[Example]) -> np.ndarray:
    """The place of each row's right label, shape (n,); -1 where no label is right."""
    places: dict[str, int] = {}
    golds = np.full(len(rows), -1)
    for place, row in enumerate(rows):
        # What is right depends on the target alone, but for the texts of options.
        key = row.target if rule.extract_for is None else f"{row.target}\0{row.input}"
        if key not in places:
            gold = rule.gold(row)
            right = (i for i, label in enumerate(labels) if rule.verdict(label, gold) == 1)
            places[key] = next(right, -1)
        golds[place] = places[key]
    return golds
