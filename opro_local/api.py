"""What Python users call: a search over data or a config, prompts evaluated on it, a look at it
before a run, and a winner put in its place.

For: `optimize`, `evaluate`, `check`, and `apply` for agent files. Not for: anything a config can't
do; the runs made here are runs like any other (runs/run.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config
from opro_local.files import given_path
from opro_local.programs.identity import code_digest
from opro_local.runs import applying
from opro_local.runs.checking import Checked, checked
from opro_local.runs.continued import as_begun
from opro_local.runs.evaluated_rows import read_rows
from opro_local.runs.events import Event
from opro_local.runs.given_config import Given
from opro_local.runs.headroom import Headroom
from opro_local.runs.headroom import headroom as headroom_of
from opro_local.runs.naming import run_folder
from opro_local.runs.notebook import listening
from opro_local.runs.objective import check_function
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.evaluation import evaluation_plan, probed
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.run import run as start_run
from opro_local.runs.run_result import RunResult
from opro_local.tracking.following import following

Metric = Callable[..., Any]
Report = Callable[[Event], None]


def optimize(
    data: Any,
    *,
    input: str | None = None,
    target: str | None = None,
    model: str | Path | None = None,
    prompt: str | Sequence[str] | None = None,
    metric: Metric | None = None,
    run: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    report: Report | None = None,
) -> RunResult:
    """Improve a prompt. Giving the same call again resumes the run, or returns its result when it
    is finished.

    Args:
        data: the path of a CSV, JSONL, Parquet or `datasets` folder; rows that the program holds
            (a list of dicts, a DataFrame, a `datasets` object, see tasks/in_memory.py), which are
            kept as files beside the run; a whole Config; or a config's tables as a mapping.
        input, target: the columns with what is asked and what counts as right.
        model: optimizer and scorer: a folder, an imported model's name, or a repository id on disk.
        prompt: the prompt to start from, or several; None makes one from the data.
        metric: `metric(answer, target, columns)` scores an answer: True, False, a number in [0, 1],
            or None for an answer that could not be read; or such a value and a text, what is wrong
            in words for the optimizer. None leaves it to task.rule.
        run: the run's folder; None is one in runs/ that the same call finds again, and says which.
        set: any settings, as {"section.key": value} or ["section.key=value"].
        report: called with the events of the run, see runs/events.py. None shows progress in a
            notebook, and nothing elsewhere.

    Returns:
        the result: attributes as in runs/run_result.py, and keys as docs/result.md describes them.

    Raises:
        OproError: see errors.py; UsageError also where a whole Config comes with more settings.
    """
    _check_functions(metric, report)
    config = Given(input, target, model, prompt, set, run).config(data)
    folder = _folder(config, run, "run", metric)
    config = as_begun(config, folder)
    plan = make_plan(config) if metric is None else prompt_plan(config, metric=metric)
    with (
        listening(plan, folder, report, says_folder=run is None) as listener,
        following(config.run.track, folder, listener) as told,
    ):
        return start_run(plan, folder, told)


def evaluate(
    data: Any,
    *,
    prompt: str | Sequence[str] | None = None,
    input: str | None = None,
    target: str | None = None,
    model: str | Path | None = None,
    split: str | None = None,
    metric: Metric | None = None,
    run: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    report: Report | None = None,
) -> RunResult:
    """Score given prompts on a split, all in one batch, and compare them row by row. The same call
    again returns the same result.

    Args:
        data, input, target, model, metric, run, set, report: see `optimize`.
        prompt: the prompt to score, or several; None takes the one that a search would start from.
        split: "train", "validation" or "test"; None is evaluation.split, or else test.

    Returns:
        the result, whose `evaluation` has each prompt's figures and each pair compared, and whose
        `answers()` are every row's; see docs/evaluate.md.

    Raises:
        OproError: see errors.py.
    """
    _check_functions(metric, report)
    config = Given(input, target, model, prompt, set, run).config(data)
    if split is not None:
        changed = config.evaluation.model_copy(update={"split": split})
        config = config.model_copy(update={"evaluation": changed})
    folder = _folder(config, run, "evaluate", metric)
    return _evaluated(config, folder, metric, report, says_folder=run is None)


def _evaluated(
    config: Config,
    folder: Path,
    metric: Metric | None,
    report: Report | None,
    says_folder: bool,
) -> RunResult:
    """An evaluation with its answers at hand."""
    plan = evaluation_plan(as_begun(config, folder), metric)
    with (
        listening(plan, folder, report, says_folder) as listener,
        following(plan.config.run.track, folder, listener) as told,
    ):
        result = start_run(plan, folder, told)
    return replace(result, read_answers=partial(read_rows, plan.config, folder, metric))


def check(
    data: Any,
    *,
    input: str | None = None,
    target: str | None = None,
    model: str | Path | None = None,
    prompt: str | Sequence[str] | None = None,
    metric: Metric | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    answer: bool = True,
    headroom: bool = False,
) -> Checked:
    """Look at data, rule and models before a run; nothing is searched or stored but rows in memory,
    which are kept as files in runs/, and what `headroom` asks.

    Args:
        data, input, target, model, prompt, metric, set: see `optimize`.
        answer: start the scorer, and have one real answer with what is read from it.
        headroom: score varied instructions on the train rows, in a run of its own in runs/, and say
            whether their wording makes a difference: the attribute `headroom` (docs/evaluate.md).

    Raises:
        OproError: what would stop the run.
    """
    _check_functions(metric)
    config = Given(input, target, model, prompt, set).config(data)
    looked = checked(config, answer, metric)
    return replace(looked, headroom=_headroom(config, metric)) if headroom else looked


def _headroom(config: Config, metric: Metric | None) -> Headroom:
    """The probe of `check --headroom`, in a run of its own."""
    probe = probed(config, prompt_plan(config, training=False, metric=metric))
    folder = _folder(probe, None, "headroom", metric)
    return headroom_of(_evaluated(probe, folder, metric, None, says_folder=True))


def _check_functions(metric: Any, report: Any = None) -> None:
    """Refuse what is no plain function, before anything is written. Raises UsageError."""
    if report is not None:
        check_function(report, "report", "give a function of an event, such as print")
    if metric is not None:
        hint = 'a metric by its name is a setting: set={"task.metric": "macro_f1"}'
        check_function(metric, "metric", hint)


def _folder(config: Config, run: str | Path | None, verb: str, metric: Metric | None) -> Path:
    digest = "" if metric is None else code_digest(metric)
    return run_folder(config, None if run is None else given_path(run, "run"), verb, digest)


def apply(run: str | Path, target: str | Path, suite: str | Path | None = None) -> Path:
    """Put an agent file's run's winner in the place of the file it started from, if held-out tasks
    confirmed it.

    Args:
        run: the folder of a finished run of kind agent_file.
        target: the file to replace. A link to its own folder or below is followed and stays.
        suite: the run's suite, needed where it lies outside the target's folder: its rules are
            loaded, to work the winner out again from what the run keeps.

    Returns:
        the file that was replaced; what it was is in the run's best.diff, to be undone by `patch
        --reverse`.

    Raises:
        UsageError: the run is another user's, of another kind or unfinished, its verdict is not
            "reliable gain", or the file or what it was judged by changed since.
        StoreError: there is no such run, its result is not what its completions derive, or the
            file can't be written.
    """
    rules = None if suite is None else given_path(suite, "suite")
    replacement = applying.prepare(given_path(run, "run"), given_path(target, "target"), rules)
    replacement.make()
    return replacement.file
