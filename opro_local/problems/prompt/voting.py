"""A vote: what several of a search's best prompts say of each row together.

For: choosing who votes, and asking them on test, at a search's end. Not for: how the label with
most votes is found (scoring/label_bias.py), or what a result says of it (runs/vote.py).

With few labelled rows the choice between good prompts is uncertain; the mean of what they say needs
none.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.problems.prompt.row_classes import row_classes
from opro_local.problems.prompt.scores import scores
from opro_local.scoring import comparison
from opro_local.search.loop import SearchResult, Vote
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Score, Solution

Search = Callable[[Trajectory], Generator[Batch, BatchResult, SearchResult]]


def check_vote(config: Config, problem: PromptProblem) -> None:
    """Refuse a vote of several prompts that can't be held. Raises UsageError."""
    count, most = config.evaluation.vote, config.evaluation.finalists
    setting = f"evaluation.vote = {count}"
    if problem.labelling is None:
        raise UsageError(
            f"{setting} is of labels whose probabilities are read, and answers are written here",
            'add task.answer = "label_probability", or leave it out',
        )
    if count > most:
        raise UsageError(
            f"{setting}: at most evaluation.finalists = {most} prompts are there to vote",
            "lower the one or raise the other",
        )
    if "test" not in problem.splits:
        raise UsageError(
            f"{setting} is measured on test rows, and there are none", "leave it out, or give some"
        )


def with_vote(
    problem: PromptProblem, config: Config, search: Search, trajectory: Trajectory
) -> Generator[Batch, BatchResult, SearchResult]:
    """A search, and at its end a batch more: its best prompts together on test.

    Args:
        problem: whose labels are read.
        config: `evaluation.vote` says how many prompts vote.
        search, trajectory: see Plan.search.
    """
    ended = yield from search(trajectory)
    prompts = voters(trajectory, ended.best, config.evaluation.vote)
    if len(prompts) < 2:
        return replace(ended, reason=f"{ended.reason}; there was no second prompt to vote")
    label = f"{trajectory.entries[-1].step}/test/vote"
    score = yield from trajectory.count_costs(_vote(problem, config, prompts, label))
    return replace(ended, vote=Vote(prompts, score))


def voters(trajectory: Trajectory, best: Solution, count: int) -> tuple[Solution, ...]:
    """The chosen prompt, and then the best of the others by how probable they make the right labels
    on train and validation together; fewer than `count` where there are no more.
    """
    train = {entry.solution: entry.score for entry in trajectory.entries if not entry.partial}
    held_out = {
        entry.solution: entry.score for entry in trajectory.held_out if entry.split == "validation"
    }
    known = {
        solution: [score, held_out[solution]] if held_out else [score]
        for solution, score in train.items()
        if solution in held_out or not held_out
    }
    ranked = sorted(known, key=lambda one: comparison.pooled(known[one]), reverse=True)
    return tuple(dict.fromkeys([best, *ranked]))[:count]


def _vote(
    problem: PromptProblem, config: Config, prompts: Sequence[Solution], label: str
) -> Generator[Batch, BatchResult, Score]:
    """What prompts earn together on test, in one batch."""
    answers = yield from problem.answers(prompts, "test", label)
    if problem.labelling is None:
        raise TypeError("a vote is of labels that are read; see check_vote")
    together = problem.labelling.voted(prompts, answers)
    texts = [answer.text for answer in together]
    rule, scorer = problem.rule, problem.rule.prepare(problem.rows["test"])
    verdicts, classes = scorer.both(texts), row_classes(config.task, rule, problem.rows)
    measures = None
    if classes:
        measures = classes.measures(rule, texts, verdicts.values, scorer.golds, "test", None)
    return scores(together, 1, verdicts, None, measures)[0]
