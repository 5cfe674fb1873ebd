"""What Python users call: a search over data or a config, OPRO around a function of your own, and a
winner put in its place.

For: `optimize`, and `apply` for agent files. Not for: anything a config can't do; the runs made
here are runs like any other (runs/run.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.search import prompts_given
from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.files import make_private_folder, write_whole
from opro_local.programs.identity import code_digest
from opro_local.runs import applying
from opro_local.runs.events import Event, Listener
from opro_local.runs.naming import RUNS, run_folder
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.run import run as start_run
from opro_local.runs.run_result import RunResult
from opro_local.tasks.in_memory import json_lines
from opro_local.tasks.task import SPLITS

SCORER_TOKENS = 256


def optimize(
    data: Any,
    *,
    input: str | None = None,
    target: str | None = None,
    model: str | None = None,
    prompt: str | Sequence[str] | None = None,
    metric: Callable[..., Any] | None = None,
    run: str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] = (),
    report: Callable[[Event], None] = lambda event: None,
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
            or None for an answer that could not be read. None leaves it to task.rule.
        run: the run's folder; None is one in runs/ that the same call finds again.
        set: any settings, as {"section.key": value} or ["section.key=value"].
        report: called with the events of the run, see runs/events.py.

    Returns:
        the result: attributes as in runs/run_result.py, and keys as docs/result.md describes them.

    Raises:
        OproError: see errors.py; UsageError also where a whole Config comes with more settings.
    """
    prompts = [] if prompt is None else prompts_given(prompt)
    if isinstance(data, Config):
        if input or target or model or set or prompts:
            raise UsageError(
                "a Config is whole: input, target, model, prompt and set change nothing of it",
                "build it with them",
            )
        config = data
    else:
        tables, changes = _with_settings(_tables(data, run), set)
        _give(tables, "task", input=input, target=target)
        _give(tables, "scorer", model=model)
        _give(tables, "search", seeds=prompts)
        config = reading.build(tables, changes)
    if metric is not None and not callable(metric):
        raise UsageError(
            f"metric is {metric!r:.60}, no function",
            'a metric by its name is a setting: set={"task.metric": "macro_f1"}',
        )
    digest = "" if metric is None else code_digest(metric)
    folder = run_folder(config, None if run is None else Path(run), metric=digest)
    work = config if metric is None else prompt_plan(config, metric=metric)
    return start_run(work, folder, Listener(report))


def _tables(data: Any, run: str | Path | None) -> dict[str, Any]:
    """A config's tables for data of any kind; rows in memory are written beside the run."""
    if isinstance(data, (str, Path)):
        return {"task": {"data": str(data)}, "run": {"name": Path(data).stem}}
    is_config = isinstance(data, Mapping) and all(
        name == "models" or name in reading.SECTIONS for name in data
    )
    if is_config:
        return {name: dict(table) for name, table in data.items()}
    folder = RUNS if run is None else Path(run).parent
    parts = {split: _kept(lines, folder) for split, lines in json_lines(data).items()}
    unknown = parts.keys() - {"", *SPLITS}
    if unknown:
        raise DataError(f"a split called {min(unknown)!r}", f"accepted: {', '.join(SPLITS)}")
    return {"task": {split or "data": path for split, path in parts.items()}}


def _kept(lines: str, folder: Path) -> str:
    """The path of the rows as a file that is named by what it holds."""
    place = folder / "data" / f"{hashlib.sha256(lines.encode()).hexdigest()[:16]}.jsonl"
    if not place.exists():
        make_private_folder(place.parent)
        write_whole(place, lines)
    return str(place)


def _with_settings(
    tables: dict[str, Any], given: Mapping[str, Any] | Sequence[str]
) -> tuple[dict[str, Any], Sequence[str]]:
    """The tables with the settings of a mapping in them, and settings that are texts already."""
    if not isinstance(given, Mapping):
        return tables, given
    for name, value in given.items():
        section, dot, key = name.rpartition(".")
        if not (section and dot and key):
            raise UsageError(f"set: {name!r} is no setting", 'for example {"search.steps": 10}')
        _give(tables, section, **{key: value})
    return tables, ()


def _give(tables: dict[str, Any], section: str, **settings: Any) -> None:
    """Add what is given to a section's table; `section` may name a table in [models]."""
    given = {key: value for key, value in settings.items() if value not in (None, [])}
    if not given:
        return
    for name in section.split("."):
        tables[name] = dict(tables.get(name, {}))
        tables = tables[name]
    tables.update(given)


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
    replacement = applying.prepare(Path(run), Path(target), None if suite is None else Path(suite))
    replacement.make()
    return replacement.file
