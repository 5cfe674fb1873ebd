"""What a run came to, worked out from its trajectory, and in plain words.

For: baseline against best on every split, with intervals and the paired test. Not for: choosing,
printing, or the structure and its JSON (search_outcome.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from opro_local import stats
from opro_local.runs.class_words import class_words, constant_verdict_words
from opro_local.runs.difference_words import metric_words, percent, points
from opro_local.runs.figures import (
    ClassesOf,
    ConstantFigures,
    ConstantOf,
    Leader,
    OperatorFigures,
    SplitResult,
    constant_figures,
    figures_of,
    no_classes,
    no_constant,
)
from opro_local.runs.gain import gain_parts, gain_words
from opro_local.runs.label_words import label_words
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.vote import vote_figures, vote_words
from opro_local.runs.winner import Winner, WorkedExample
from opro_local.scoring import comparison
from opro_local.scoring.verdicts import (
    GAIN,
    NO_GAIN,
    NO_MORE_THAN_CONSTANT,
    NO_PROPOSALS,
    NOT_TESTED,
    is_more,
    verdict,
)
from opro_local.search.loop import SearchResult
from opro_local.search.trajectory import Entry, Proposal, Trajectory
from opro_local.types import Score, Solution, Split


def summarize(
    trajectory: Trajectory,
    ended: SearchResult,
    alpha: float,
    classes_of: ClassesOf = no_classes,
    constant_of: ConstantOf = no_constant,
) -> SearchOutcome:
    """What a finished search came to.

    Args:
        trajectory: of the search.
        ended: how it ended.
        alpha: 1 - the level of all intervals.
        classes_of: counts held-out answers by class.
        constant_of: says what one answer to every row of a split would earn.
    """
    pairs = _Pairs(trajectory, ended, alpha, classes_of, constant_of)
    test = pairs.test()
    return SearchOutcome(
        reason=ended.reason,
        digest=trajectory.digest(),
        steps=max(entry.step for entry in trajectory.entries),
        baseline=ended.baseline.text,
        best=_winner(ended.best, trajectory),
        solutions=len(trajectory.top(len(trajectory.entries), among="all")),
        rejections=rejection_counts(rejection.reason for rejection in trajectory.rejections),
        partial=sum(entry.partial for entry in trajectory.entries),
        pairs=sum(entry.score.n for entry in trajectory.entries),
        optimism=optimism(trajectory),
        verdict=_verdict(test, ended, alpha),
        alpha=alpha,
        train=pairs.result("train"),
        validation=pairs.result("validation"),
        test=test,
        vote=vote_figures(ended.vote, pairs.scores("test"), alpha),
        leaders=leaders(trajectory, alpha) if trajectory.held_out else None,
        operators=operator_figures(trajectory),
        description=trajectory.description,
        shortened=(trajectory.shortening.asked, trajectory.shortening.usable),
    )


def optimism(trajectory: Trajectory) -> float:
    """How much the best train score is likely to overstate itself, being the best of all (see
    stats).

    Solutions scored on a part of the rows can't be chosen. But those that a race dropped count: the
    others were selected from them (see stats.luck_of_races), by luck as far as solutions differ by
    that.
    """
    whole = [entry.score for entry in trajectory.entries if not entry.partial]
    races: dict[int, list[int]] = {}
    for entry in trajectory.entries:
        if entry.dropped or not entry.partial:
            races.setdefault(entry.step, []).append(entry.score.n)
    if not whole:
        return 0.0
    more = stats.luck_of_races(list(races.values()), whole[0].n) - 1
    noise = stats.share_of_noise(
        np.stack([score.values for score in whole]),
        np.array([trajectory.estimate(entry) for entry in trajectory.entries]),
        np.array([entry.score.n for entry in trajectory.entries]),
    )
    return (1 + noise * more) * comparison.optimism_of_best(whole)


def leaders(trajectory: Trajectory, alpha: float) -> tuple[Leader, ...]:
    """The solutions confirmed on validation, best first: train and validation side by side."""
    train = {entry.solution: entry.score for entry in trajectory.entries}
    held_out = {
        entry.solution: entry.score for entry in trajectory.held_out if entry.split == "validation"
    }
    ranked = sorted(held_out, key=lambda solution: -held_out[solution].value)
    return tuple(
        Leader(
            text=solution.text,
            demonstrations=solution.demonstrations,
            train=figures_of(train[solution], alpha),
            validation=figures_of(held_out[solution], alpha),
        )
        for solution in ranked
        if solution in train
    )


def operator_figures(trajectory: Trajectory) -> dict[str, OperatorFigures]:
    """What each operator of a mixed search came to, in the order of their first proposals."""
    last = {entry.solution.key: entry for entry in trajectory.entries}
    # An estimate from a part of the rows is no score that a solution has: it can lie above all.
    whole = {key: entry.score.value for key, entry in last.items() if not entry.partial}
    scores = whole or {key: entry.score.value for key, entry in last.items()}
    gains = trajectory.gains()
    own: dict[str, list[Proposal]] = {}
    for proposal in trajectory.proposals:
        own.setdefault(proposal.operator, []).append(proposal)
    return {
        name: _operator_figures(proposals, last.keys(), scores, gains.get(name, ()))
        for name, proposals in own.items()
    }


def _operator_figures(
    proposals: Sequence[Proposal],
    scored: Collection[str],
    scores: Mapping[str, float],
    gains: Sequence[float],
) -> OperatorFigures:
    """One operator's figures.

    Args:
        proposals: its own.
        scored: the keys of all scored solutions.
        scores: the train score of those that were scored on all rows, by key; of all where none
            was.
        gains: on the parents of its proposals; none where it only starts.
    """
    keys = [proposal.key for proposal in proposals if proposal.key is not None]
    own = [scores[key] for key in keys if key in scores]
    return OperatorFigures(
        proposed=len(proposals),
        usable=len(keys),
        scored=sum(key in scored for key in keys),
        mean_gain=round(sum(gains) / len(gains), 4) if gains else None,
        best=max([*own, 0.0]) if own else None,
    )


def rejection_counts(reasons: Iterable[str]) -> dict[str, int]:
    """How often each kind of reason occurred, most frequent first; the kind is what stands before a
    colon.
    """
    return dict(Counter(reason.partition(":")[0] for reason in reasons).most_common())


def words(outcome: SearchOutcome, shares: bool) -> tuple[str, ...]:
    """The verdict in plain sentences, one line each.

    Args:
        outcome: of a finished search.
        shares: whether its scores are shares of rows.
    """
    test = outcome.test
    if outcome.verdict == NO_PROPOSALS:
        return (
            f"Nothing was searched: {outcome.reason}.",
            f"Verdict: {NO_PROPOSALS}. What was scored are the starting solutions.",
        )
    if not shares and outcome.train:
        first, best = outcome.train.baseline.accuracy, outcome.train.best.accuracy
        return (
            f"Best score {best:.6g}, the first solution's {first:.6g}. Each solution was "
            "measured once: measure both again where the objective is noisy.",
        )
    if test is None or test.difference is None or test.smallest_difference is None:
        return (
            *class_words(outcome),
            *label_words(outcome),
            *_train_words(outcome),
            "There is no test split: nothing is known about rows the search has not seen.",
        )
    n, least = test.best.n, round(100 * test.smallest_difference)
    of_what = "" if test.best.metric is None else " in accuracy"
    return (
        *_difference_words(test, test.difference, outcome.alpha),
        *_verdict_words(outcome),
        f"With {n} rows, differences{of_what} under about {least} points are usually not told from "
        "noise.",
        *class_words(outcome),
        *label_words(outcome),
        *_train_words(outcome),
        *_leader_words(outcome),
        *vote_words(outcome.vote, outcome.alpha),
    )


def _difference_words(
    test: SplitResult, difference: stats.Difference, alpha: float
) -> tuple[str, ...]:
    """Baseline, best and their difference on test: in what was optimized, and in accuracy."""
    rows = f"On {test.best.n} test rows"
    in_accuracy = test.accuracy_difference or difference
    accuracy = (
        f"baseline {percent(test.baseline)}, best {percent(test.best)}, "
        f"{points(in_accuracy, alpha)}."
    )
    if test.baseline.metric is None or test.best.metric is None:
        return (f"{rows}: {accuracy}",)
    baseline, best = test.baseline.metric, test.best.metric
    return (
        f"{rows} {best.name}, which was optimized: baseline {metric_words(baseline)}, best "
        f"{metric_words(best)}, {points(difference, alpha)}.",
        f"Accuracy: {accuracy}",
    )


def _verdict_words(outcome: SearchOutcome) -> list[str]:
    """The verdict, what to do where it is none, and what the difference is made of."""
    advice = ""
    if outcome.verdict == NO_GAIN:
        advice = " Keep your first prompt."
    test = outcome.test
    if outcome.verdict == NO_MORE_THAN_CONSTANT and test and test.constant:
        advice = constant_verdict_words(test.constant, outcome.alpha)
    lines = [f"Verdict: {outcome.verdict}.{advice}"]
    if test and test.gain:
        in_accuracy = test.accuracy_difference or test.difference
        if in_accuracy and in_accuracy.value:
            lines.append(gain_words(test.gain, " in accuracy" if test.accuracy_difference else ""))
    return lines


def _train_words(outcome: SearchOutcome) -> list[str]:
    luck = 100 * outcome.optimism
    if outcome.train is None or luck < 0.05:
        return []
    return [
        f"The highest of {outcome.solutions} train scores on {outcome.train.best.n} rows is "
        f"likely some {luck:.1f} points too high, for being the highest."
    ]


def _leader_words(outcome: SearchOutcome) -> list[str]:
    """How far the leaders fell back on rows they were not selected on."""
    chosen = [
        leader
        for leader in outcome.leaders or ()
        if leader.text != outcome.baseline or leader.demonstrations
    ]
    if len(chosen) < 2:
        return []
    on_train = [leader.train.measured_as(leader.validation)[0] for leader in chosen]
    train = 100 * sum(on_train) / len(chosen)
    held_out = 100 * sum(leader.validation.value for leader in chosen) / len(chosen)
    return [
        f"The {len(chosen)} leaders had {train:.1f} % on the train rows they were selected "
        f"on, and {held_out:.1f} % on "
        "the validation rows they were not."
    ]


def _last(entries: Iterable[Entry], split: str, solution: Solution) -> Entry | None:
    """The last entry of a solution on a split; an extended run may have several."""
    own = [entry for entry in entries if entry.split == split and entry.solution == solution]
    return own[-1] if own else None


def _winner(solution: Solution, trajectory: Trajectory) -> Winner:
    entry = _last(trajectory.entries, "train", solution)
    return Winner(
        text=solution.text,
        key=solution.key,
        step=entry.step if entry else 0,
        demonstrations=tuple(map(WorkedExample, solution.demonstrations)),
    )


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Baseline and best of a search, side by side on each split."""

    trajectory: Trajectory
    ended: SearchResult
    alpha: float
    classes_of: ClassesOf
    constant_of: ConstantOf

    def scores(self, split: Split) -> tuple[Score, Score] | None:
        """Baseline and best as they were last scored on a split; None unless both were."""
        entries = [*self.trajectory.entries, *self.trajectory.held_out]
        baseline = _last(entries, split, self.ended.baseline)
        best = _last(entries, split, self.ended.best)
        return (baseline.score, best.score) if baseline and best else None

    def result(self, split: Split) -> SplitResult | None:
        """Their figures on a split."""
        pair = self.scores(split)
        if pair is None:
            return None
        baseline, best = (
            figures_of(score, self.alpha, self.classes_of(split, score)) for score in pair
        )
        return SplitResult(baseline, best, constant=self._constant(split, pair[1]))

    def _constant(self, split: Split, best: Score) -> ConstantFigures | None:
        """What one answer to every row would earn, and on test the best prompt's difference to
        it.
        """
        constant = self.constant_of(split)
        if constant is None or constant.score.n != best.n:
            return None
        if split != "test":
            return constant_figures(constant)
        gap = comparison.difference(best, constant.score, self.alpha)
        return constant_figures(constant, gap)

    def _in_accuracy(self, best: Score, baseline: Score) -> stats.Difference | None:
        """The difference in accuracy, where that is not what was optimized."""
        if best.measure is None:
            return None
        return stats.paired_difference(best.values, baseline.values, self.alpha)

    def test(self) -> SplitResult | None:
        """Their figures on test, with the paired test between them."""
        pair, sides = self.scores("test"), self.result("test")
        if pair is None or sides is None:
            return None
        baseline, best = pair
        return replace(
            sides,
            difference=comparison.difference(best, baseline, self.alpha),
            accuracy_difference=self._in_accuracy(best, baseline),
            smallest_difference=stats.smallest_difference(best.n, alpha=self.alpha),
            gain=gain_parts(best, baseline),
        )


def _verdict(test: SplitResult | None, ended: SearchResult, alpha: float) -> str:
    """The verdict on a search: of one that could not search, no word on gains, unless worked
    examples alone made one.
    """
    word = verdict(test.difference, alpha) if test and test.difference else NOT_TESTED
    over_constant = test.constant.difference if test and test.constant else None
    if word == GAIN and not is_more(over_constant, alpha):
        return NO_MORE_THAN_CONSTANT
    return NO_PROPOSALS if ended.fault and word in (NO_GAIN, NOT_TESTED) else word
