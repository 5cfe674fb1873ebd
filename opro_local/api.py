"""What Python users call: a search over data or a config, OPRO around a function of your own, and a
winner put in its place.

For: `optimize`, `OPRO` for those who know it as `OPRO(objective_fn, optimizer_llm).optimize(text)`,
and `apply` for agent files. Not for: anything a config can't do; the runs made here are runs like
any other (runs/run.py).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opro_local.config import reading
from opro_local.config.problem import FunctionSettings
from opro_local.config.search import prompts_given
from opro_local.config.settings import Config
from opro_local.engines.callable import CallableEngine
from opro_local.engines.start import start_engine
from opro_local.errors import DataError, UsageError
from opro_local.files import make_private_folder, write_whole
from opro_local.models import offline
from opro_local.problems.function import returned
from opro_local.programs.function import FunctionEngine
from opro_local.programs.identity import code_digest
from opro_local.runs import applying, hosting
from opro_local.runs.events import Event, Listener
from opro_local.runs.hosting import Hosting
from opro_local.runs.naming import RUNS, run_folder
from opro_local.runs.plans.function import form_for, plan_scored_by
from opro_local.runs.plans.plan import Plan, cards_of, problem_settings
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.run import run as start_run
from opro_local.runs.run_result import RunResult
from opro_local.runs.store import read_store
from opro_local.tasks.in_memory import json_lines
from opro_local.tasks.task import SPLITS
from opro_local.types import Completion, Engine, Progress, Prompt, Request, Role, Sampling

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


@dataclass(frozen=True, slots=True)
class Optimized:
    """What `OPRO.optimize` found.

    Attributes:
        text: the text with the highest score.
        score: its score.
        baseline: the score of the instruction it started from.
        history: (text, score) of every scored text, in order.
        rejections: (text, reason) of every reply that was not scored, in order.
        reason: why the search ended.
    """

    text: str
    score: float
    baseline: float
    history: tuple[tuple[str, float], ...]
    rejections: tuple[tuple[str, str], ...]
    reason: str


class OPRO:
    """OPRO around your own function.

        opro = OPRO(objective_fn=lambda text: -abs(len(text) - 40), optimizer_llm="./my-model")
        best = opro.optimize("Buy now.")
        print(best.text, best.score)

    Args:
        objective_fn: takes a text, or a text and `scorer` where there is a `scorer_llm`; returns a
            finite number, larger is better. A text it raises on is rejected and listed in the
            result; the run goes on.
        optimizer_llm: a model (folder, imported name, repository id on disk) or a callable, see
            engines.callable.CallableEngine for what it may look like.
        scorer_llm: the same for `scorer`, which takes a list of prompts and returns the answers,
            greedily drawn in one batch. One model given for both is loaded once.
        n_iterations: steps.
        batch_size: proposals per step.
        run: folder to keep the run in; the same call there resumes it. None keeps nothing.
        set: any setting, as "section.key=value", such as "run.seed=3" or "scorer.max_tokens=64".
    """

    def __init__(
        self,
        objective_fn: Callable[..., float],
        optimizer_llm: Any,
        scorer_llm: Any = None,
        n_iterations: int = 8,
        batch_size: int = 8,
        run: str | Path | None = None,
        set: Sequence[str] = (),
    ) -> None:
        self._objective, self._optimizer, self._scorer = objective_fn, optimizer_llm, scorer_llm
        self._steps, self._candidates = n_iterations, batch_size
        self._run, self._set = run, tuple(set)

    def optimize(self, instruction: str) -> Optimized:
        """Search from an instruction.

        Raises:
            OproError: see errors.py. EngineError if a callable model raised; the same call with
            `run` resumes.
        """
        plan = self._plan(instruction)
        if self._run is not None:
            return _found(plan, Path(self._run))
        with tempfile.TemporaryDirectory(prefix="opro-local-") as folder:
            return _found(plan, Path(folder) / "run")

    def _plan(self, instruction: str) -> Plan:
        config = self._config(instruction)
        engines = self._engines(config)
        objective = self._objective
        if "scorer" in engines:
            objective = self._with_scorer(config, engines["scorer"])
        identity = {"objective": code_digest(self._objective)}
        for role, model in self._models().items():
            # The run itself says what the models are that it starts.
            if role in engines:
                identity[f"model {model}"] = offline.model_digest(offline.find_model(model))
        return plan_scored_by(
            config,
            problem_settings(config, FunctionSettings),
            FunctionEngine(objective),
            returned,
            identity,
            engines,
            self._form(config) if "optimizer" in engines else "",
        )

    def _models(self) -> dict[Role, str]:
        """The roles that a model on disk was given for."""
        given: dict[Role, Any] = {"optimizer": self._optimizer, "scorer": self._scorer}
        return {role: str(model) for role, model in given.items() if isinstance(model, (str, Path))}

    def _config(self, instruction: str) -> Config:
        (text,) = prompts_given([instruction])
        tables: dict[str, Any] = {
            "problem": {
                "kind": "function",
                "function": getattr(self._objective, "__qualname__", "objective_fn"),
            },
            "search": {
                "seeds": [text],
                "steps": self._steps,
                "candidates": self._candidates,
            },
            "run": {"name": "opro"},
        }
        tables |= {role: {"model": model} for role, model in self._models().items()}
        return reading.build(tables, self._set)

    def _engines(self, config: Config) -> dict[Role, Engine]:
        """What this process answers with itself: callables, and the models of a run that has a
        scorer.

        The run would start an optimizer on its own, without regard to a scorer that it does not
        ask.
        """
        given: dict[Role, Any] = {"optimizer": self._optimizer, "scorer": self._scorer}
        models = list(self._models())
        engines: dict[Role, Engine] = {
            role: CallableEngine(model, f"{role}_llm")
            for role, model in given.items()
            if role not in models and model is not None
        }
        if "scorer" not in models:
            return engines
        folders = {role: hosting.folder_of(hosting.settings_of(config, role)) for role in models}
        hostings = hosting.hostings(config, cards_of(config, models), folders)
        lazy: dict[Role, Engine] = {role: LazyEngine(own) for role, own in hostings.items()}
        if hostings.get("optimizer") == hostings["scorer"]:
            lazy["optimizer"] = lazy["scorer"]
        engines.update(lazy)
        return engines

    def _form(self, config: Config) -> str:
        """Of a callable nothing is known; it is asked as a chat model is."""
        if "optimizer" not in self._models():
            return "text"
        return form_for(cards_of(config, ("optimizer",))["optimizer"], "text")

    def _with_scorer(self, config: Config, engine: Engine) -> Callable[[str], float]:
        """The objective with `scorer` as its second argument."""
        sampling = Sampling(config.scorer.max_tokens or SCORER_TOKENS)

        def scorer(prompts: Sequence[str]) -> list[str]:
            requests = [Request(Prompt(prompt), sampling) for prompt in prompts]
            return [completion.text for completion in engine.generate(requests)]

        return lambda text: self._objective(text, scorer)


class LazyEngine(Engine):
    """A model that is loaded when it is first asked, and serves whoever shares this object.

    `fingerprint` and `max_model_len` are set when it is loaded, not before.
    """

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._engine: Engine | None = None

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol."""
        return self._loaded().generate(requests, progress)

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Prompt tokens each would take, chat template and special tokens included."""
        return self._loaded().count_tokens(prompts)

    def close(self) -> None:
        """Free the model. Safe to call twice."""
        if self._engine is not None:
            self._engine.close()

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine, _ = start_engine(self._hosting.settings, self._hosting.engine)
            self.fingerprint = self._engine.fingerprint
            self.max_model_len = self._engine.max_model_len
        return self._engine


def _found(plan: Plan, folder: Path) -> Optimized:
    result = start_run(plan, folder)
    kept = read_store(folder)
    try:
        history = tuple((row["text"], row["score"]) for row in kept.solutions("train"))
        rejections = tuple((row["text"], row["reason"]) for row in kept.rejections())
    finally:
        kept.close()
    train = result.train
    # Whatever a function scores is scored whole, so that baseline and best are always there.
    assert train is not None
    return Optimized(
        text=result.best.text,
        score=train.best.accuracy,
        baseline=train.baseline.accuracy,
        history=history,
        rejections=rejections,
        reason=result.reason,
    )


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
