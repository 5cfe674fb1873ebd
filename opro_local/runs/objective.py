"""OPRO around a function of the calling program.

For: those who know it as `OPRO(objective_fn, optimizer_llm).optimize(text)`, and anything that
Python can score. Not for: functions in files (plans/function.py), or prompts with rows (api.py).
"""

from __future__ import annotations

import inspect
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
from opro_local.engines.kinds import reads_folder
from opro_local.errors import UsageError
from opro_local.files import given_path
from opro_local.models import offline
from opro_local.problems.function import returned
from opro_local.programs.function import FunctionEngine
from opro_local.programs.identity import function_name, identity_of
from opro_local.protocols import Engine
from opro_local.runs import hosting
from opro_local.runs.given_config import with_settings
from opro_local.runs.lazy_engine import LazyEngine
from opro_local.runs.plans.function import form_for, plan_scored_by
from opro_local.runs.plans.plan import Plan, cards_of, problem_settings
from opro_local.runs.result_html import optimized_html
from opro_local.runs.run import run as start_run
from opro_local.runs.store import read_store
from opro_local.types import Prompt, Request, Role, Sampling

SCORER_TOKENS = 256


def check_function(function: Any, name: str, hint: str) -> None:
    """Refuse what can't be called, and what would have to be awaited.

    Args:
        function: what the user gave.
        name: what the call names it.
        hint: what to give where it is no function.

    Raises:
        UsageError: says which it is.
    """
    if not callable(function):
        raise UsageError(f"{name} is {function!r:.60}, no function", hint)
    call = getattr(function, "__call__", None)  # noqa: B004  a class may define it as async
    inner = getattr(function, "func", function)
    if any(map(_is_async, (function, inner, call))):
        raise UsageError(
            f"{name} is async: {function_name(function)}",
            "give a plain function, such as lambda text: asyncio.run(score(text))",
        )


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _check_model(model: Any, name: str) -> None:
    """Refuse what is no model on disk and can't be called. Raises UsageError."""
    is_given = model is not None and not isinstance(model, (str, Path))
    if is_given and not callable(getattr(model, "generate", model)):
        raise UsageError(
            f"{name} is {model!r:.60}, no model",
            "give a model's folder or name, or a function that takes a prompt and returns a text",
        )


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

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return optimized_html(self)


class OPRO:
    """OPRO around your own function.

        opro = OPRO(objective_fn=lambda text: -abs(len(text) - 40), optimizer_llm="./my-model")
        best = opro.optimize("Buy now.")
        print(best.text, best.score)

    Args:
        objective_fn: takes a text, or a text and `scorer` where there is a `scorer_llm`; returns a
            finite number, larger is better; or (number, feedback), where the feedback is shown to
            the optimizer; or a list of either, one for each row of your own, of which the mean is
            the score. A text it raises on is rejected and listed in the result; the run goes on.
        optimizer_llm: a model (folder, imported name, repository id on disk) or a callable, see
            engines.callable.CallableEngine for what it may look like.
        scorer_llm: the same for `scorer`, which takes a list of prompts and returns the answers,
            greedily drawn in one batch. One model given for both is loaded once.
        n_iterations: steps.
        batch_size: proposals per step.
        run: folder to keep the run in; the same call there resumes it, with the same function and
            equal values in all that it uses. None keeps nothing.
        set: any settings, as {"section.key": value} or ["section.key=value"], such as
            {"run.seed": 3} or ["scorer.max_tokens=64"].
        batched: objective_fn takes a list of texts, and returns a list with as many scores.

    Raises:
        UsageError: objective_fn is no function, or async; a model is no model, or `run` no path.
    """

    def __init__(
        self,
        objective_fn: Callable[..., Any],
        optimizer_llm: Any,
        scorer_llm: Any = None,
        n_iterations: int = 8,
        batch_size: int = 8,
        run: str | Path | None = None,
        set: Mapping[str, Any] | Sequence[str] = (),
        *,
        batched: bool = False,
    ) -> None:
        check_function(objective_fn, "objective_fn", "give a function of a text")
        for name, model in (("optimizer_llm", optimizer_llm), ("scorer_llm", scorer_llm)):
            _check_model(model, name)
        if run is not None:
            given_path(run, "run")
        self._objective, self._optimizer, self._scorer = objective_fn, optimizer_llm, scorer_llm
        self._steps, self._candidates = n_iterations, batch_size
        self._run, self._set, self._batched = run, set, batched

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
        self._require_optimizer(config)
        engines = self._engines(config)
        objective = self._objective
        if "scorer" in engines:
            objective = self._with_scorer(config, engines["scorer"])
        identity = identity_of("objective", self._objective)
        if self._batched:
            identity["batched"] = "1"
        for role, model in self._models().items():
            # The run itself says what the models are that it starts.
            if role in engines:
                identity[f"model {model}"] = offline.model_digest(offline.find_model(model))
        return plan_scored_by(
            config,
            problem_settings(config, FunctionSettings),
            FunctionEngine(objective, self._batched),
            returned,
            identity,
            engines,
            self._form(config) if "optimizer" in engines else "",
        )

    def _require_optimizer(self, config: Config) -> None:
        """Refuse a call that names no optimizer in the words of the call; later a model's folder is
        looked for, in those of the command line. Raises UsageError.
        """
        if self._optimizer not in (None, ""):
            return
        named = hosting.settings_of(config, "optimizer")
        if not named.model and reads_folder(named.engine):
            raise UsageError(
                f"optimizer_llm is {self._optimizer!r}, no model",
                "give a model's folder or name, or a function that takes a prompt and returns a "
                "text",
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
                "function": function_name(self._objective),
            },
            "search": {
                "seeds": [text],
                "steps": self._steps,
                "candidates": self._candidates,
            },
            "run": {"name": "opro"},
        }
        tables |= {role: {"model": model} for role, model in self._models().items()}
        return reading.build(*with_settings(tables, self._set))

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

    def _with_scorer(self, config: Config, engine: Engine) -> Callable[[Any], Any]:
        """The objective with `scorer` as its second argument."""
        sampling = Sampling(config.scorer.max_tokens or SCORER_TOKENS)

        def scorer(prompts: Sequence[str]) -> list[str]:
            requests = [Request(Prompt(prompt), sampling) for prompt in prompts]
            return [completion.text for completion in engine.generate(requests)]

        return lambda text: self._objective(text, scorer)


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
