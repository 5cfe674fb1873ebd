"""Plans of evaluations: given instructions on one split, every one scored in a single batch.

For: `evaluate` and the headroom check; a run without a search, with the same store, resume and
engines. Not for: what the scores come to (runs/evaluation.py).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.problems.prompt.generic import VARIED
from opro_local.problems.prompt.problem import PromptProblem
from opro_local.runs import evaluation
from opro_local.runs.plans.plan import Plan
from opro_local.runs.plans.prompt import prompt_plan, prompt_problem
from opro_local.scoring.function import Function
from opro_local.search.loop import SearchResult
from opro_local.search.state import Candidates, SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Solution, Split


def varied_instructions(plan: Plan) -> list[str]:
    """The config's own seeds, then a handful of instructions that differ in manner, and none at
    all; with what `search.required` says at the end. Raises UsageError for a problem without rows.
    """
    problem = prompt_problem(plan)
    own = [solution.text for solution in problem.seeds()]
    others = [*problem.generic(), ""]
    if required := " ".join(plan.config.search.required):
        others = [f"{text} {required}" for text in VARIED] + [required]
    return list(dict.fromkeys([*own, *others]))


def _labelled(problem: PromptProblem, config: Config) -> list[tuple[Split, str]]:
    """The splits that are read for the bias of labels before `evaluation.split` is, each with its
    batch's label: as in a search, which reads train before validation and both before test.
    """
    split = config.evaluation.split
    if problem.labelling is None or split == "train":
        return []
    before: list[tuple[Split, str]] = [("train", "0/bias")]
    if split == "test" and config.task.revision >= 4:
        before.append(("validation", "0/bias/validation"))
    return [(own, label) for own, label in before if own in problem.splits]


def _repeated(given: Sequence[Solution]) -> list[str]:
    """A line on each prompt that was given before, and is scored once."""
    first = {solution: len(given) - place for place, solution in enumerate(reversed(given))}
    again = [
        f"prompt {number} is the same as prompt {first[solution]}"
        for number, solution in enumerate(given, 1)
        if first[solution] != number
    ]
    if not again:
        return []
    return [f"{'; '.join(again)}: scored once, and those after it move up a number"]


def probed(config: Config, plan: Plan) -> Config:
    """The config of the headroom check: varied instructions on the train rows.

    Args:
        config: whose task it is.
        plan: of that config, with its problem.

    Raises:
        UsageError: a problem without rows.
    """
    changed = config.evaluation.model_copy(update={"split": "train"})
    texts = varied_instructions(plan)
    return config.starting_from(texts).model_copy(update={"evaluation": changed})


def evaluation_plan(config: Config, metric: Function | None = None) -> Plan:
    """An evaluation of the config's seeds on `evaluation.split`, in the place of a search.

    Args:
        config: what to evaluate.
        metric: a function of the calling program that scores instead of the config's rule.

    Raises:
        UsageError, DataError, ModelError: what is wrong; a problem without rows, or a split that
        the task has not.
    """
    if config.problem.kind != "prompt":
        raise UsageError(
            f"a problem of kind {config.problem.kind} has no rows to evaluate on", "use run"
        )
    if config.task.answer == "auto":
        # Prompts that somebody has are measured as they are used; a search may do otherwise.
        config = config.with_answer("text")
    plan = prompt_plan(config, training=False, metric=metric)
    problem, split = prompt_problem(plan), config.evaluation.split
    if split not in problem.splits:
        raise UsageError(f"the task has no split {split!r}", f"it has: {', '.join(problem.splits)}")
    given = problem.seeds()
    solutions = list(dict.fromkeys(given))

    def search(trajectory: Trajectory) -> Generator[Batch, BatchResult, SearchResult]:
        for labelled, label in _labelled(problem, config):
            # The bias of each prompt is fitted on these rows.
            batches = problem.evaluate(solutions, labelled, label)
            yield from trajectory.count_costs(batches)
        yield from SearchState(problem, config, trajectory).score(Candidates(solutions, 0), split)
        entries = evaluation.all_entries(trajectory)
        best = evaluation.best_of(entries, is_thrifty=config.search.revision >= 4)
        return SearchResult("evaluated", solutions[0], best.solution)

    return replace(
        plan,
        search=search,
        models={role: hosting for role, hosting in plan.models.items() if role != "optimizer"},
        notices=(*plan.notices, *_repeated(given)),
        identity={**plan.identity, "evaluation": split},
        summarize=lambda trajectory, ended, alpha: evaluation.summarize(
            trajectory, ended, alpha, split, problem.classes, problem.constant
        ),
        whole_prompt=lambda result: None,
        files=lambda result: {},
    )
