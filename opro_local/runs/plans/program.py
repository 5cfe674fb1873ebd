"""Plans of the problems that a user's own code scores: functions, commands, agent instruction
files.

For: checking what such a run names (programs, files, suites) and wiring it. Not for: running
anything; see plan.py.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from opro_local.config.problem import AgentFileSettings
from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.models.cards import Card
from opro_local.problems.agent.agent_file import AgentFileProblem, diff
from opro_local.problems.agent.suite import Suite, read_suite, read_text
from opro_local.problems.command import (
    check_command,
    check_folder,
    command_digest,
    folder_digest,
    printed,
)
from opro_local.problems.function import FunctionProblem, file_digest, returned
from opro_local.programs import load
from opro_local.programs.function import FunctionEngine
from opro_local.programs.program import Program, ProgramEngine
from opro_local.runs.plans.plan import Plan, assemble, cards_of
from opro_local.search.metaprompts import metaprompt
from opro_local.types import Completion, Engine, Role


def function_plan(config: Config) -> Plan:
    """A search for the text that a Python function scores highest. Raises UsageError, DataError,
    ModelError.
    """
    settings = config.problem
    function = load.load(settings.function, "problem.function", "text")
    digest = file_digest(load.file_of(settings.function))
    return scored_by(config, FunctionEngine(function), returned, {"function": digest})


def command_plan(config: Config) -> Plan:
    """A search for the text that a program scores highest. Raises UsageError, DataError,
    ModelError.
    """
    settings = config.problem
    folder = check_folder(settings.folder, "problem.folder")
    check_command(settings.command, folder, "problem.command")
    program = Program(
        settings.command,
        str(folder),
        place=settings.file_name,
        environment=settings.environment,
        timeout=settings.timeout,
        output_limit=settings.output_limit,
    )
    engine = ProgramEngine({"": program}, settings.parallel)
    return scored_by(config, engine, printed, {"program": command_digest(settings.command, folder)})


def scored_by(
    config: Config,
    engine: Engine,
    read_score: Callable[[Completion], float | str],
    identity: Mapping[str, str],
    own: Mapping[Role, Engine] | None = None,
    form: str = "",
) -> Plan:
    """A plan whose scores come from the role program, on a scale of their own.

    Args:
        config: kind function or command.
        engine: answers the role program.
        read_score: what its completions say, see FunctionProblem.
        identity: see Plan.
        own: other roles that this process answers itself.
        form: the meta-prompt form of an optimizer among them.
    """
    own = own or {}
    cards = {} if "optimizer" in own else cards_of(config, ("optimizer",))
    problem = FunctionProblem(config, config.problem.description, read_score)
    asked = assemble(
        _unhidden(config),
        problem,
        cards,
        form or form_for(cards["optimizer"], "text"),
        others={"program": engine, **own},
        identity=identity,
        shares=False,
    )
    return replace(asked, config=config)


def form_for(card: Card, form: str) -> str:
    """Models that follow a form's marks get it; small ones and base models continue a list of
    lines.
    """
    return form if card.metaprompt in ("brackets", "tags") else "text_line"


def _unhidden(config: Config) -> Config:
    """A threshold of 0 would hide every negative score, so only one that was asked for holds."""
    if "threshold" in config.search.model_fields_set:
        return config
    return config.model_copy(
        update={"search": config.search.model_copy(update={"threshold": -math.inf})}
    )


def agent_file_plan(config: Config) -> Plan:
    """A search for the file an agent does most tasks with. Raises UsageError, DataError,
    ModelError.
    """
    settings = config.problem
    assert isinstance(settings, AgentFileSettings)
    file = Path(settings.file)
    original = read_text(file)
    suite = read_suite(Path(settings.suite), settings.split, settings.split_seed)
    if not original.strip():
        raise DataError(f"{file}: the file is empty", "write the instructions to start from")
    if "seeds" in config.search.model_fields_set:
        raise UsageError(
            "search.seeds: the search starts from problem.file", "leave search.seeds out"
        )
    programs = _programs(config, suite, file.name)
    asked = not settings.agent and any(
        not task.command for tasks in suite.values() for task in tasks
    )
    cards = cards_of(config, ("optimizer", "scorer") if asked else ("optimizer",))
    chosen = config.search.metaprompt
    form = form_for(cards["optimizer"], f"agent_{settings.edit}") if chosen == "auto" else chosen
    problem = AgentFileProblem(original, suite, settings, config.search, metaprompt.load(form))
    return assemble(
        config,
        problem,
        cards,
        form,
        others={"program": ProgramEngine(programs, settings.parallel)} if programs else {},
        identity=_agent_identity(file, Path(settings.suite), programs, suite),
        check=lambda engines: _check_agent(problem, engines["scorer"]) if asked else None,
        conclude=lambda found, _: {
            **found,
            "diff": diff(original, found["best"]["text"], file.name),
        },
        files=lambda found: {"best.txt": found["best"]["text"], "best.diff": found["diff"]},
    )


def _programs(config: Config, suite: Suite, name: str) -> dict[str, Program]:
    """The program of every task that one does, by the task's name."""
    settings, found = config.problem, {}
    if settings.agent and not any("{prompt}" in part for part in settings.agent):
        raise UsageError(
            "problem.agent has no {prompt}",
            'for example ["my-agent", "--rules", "{file}", "{prompt}"]',
        )
    for task in (
        task for tasks in suite.values() for task in tasks if task.command or settings.agent
    ):
        folder = Path(settings.suite).parent
        command = task.command or settings.agent
        check_command(command, task.workspace or folder, task.example.where)
        found[task.name] = Program(
            command,
            str(folder),
            str(task.workspace or ""),
            task.place or name,
            "" if task.command else task.example.input,
            timeout=task.timeout or settings.timeout,
            output_limit=settings.output_limit,
        )
    return found


def _agent_identity(
    file: Path, path: Path, programs: Mapping[str, Program], suite: Suite
) -> dict[str, str]:
    """Digests of the file, the suite, its rules' and programs' own files and the workspaces they
    copy.
    """
    rules = {
        task.rule.source
        for tasks in suite.values()
        for task in tasks
        if task.rule and task.rule.source
    }
    workspaces = {own.workspace for own in programs.values() if own.workspace}
    commands = [
        command_digest(own.command, Path(own.workspace or own.folder)) for own in programs.values()
    ]
    return {
        "file": file_digest(file),
        "suite": file_digest(path),
        "programs": hashlib.sha256("".join(commands).encode()).hexdigest()[:16],
        **{
            f"workspace {Path(folder).name}": folder_digest(Path(folder))
            for folder in sorted(workspaces)
        },
        **{f"rule {file.name}": file_digest(file) for file in sorted(rules)},
    }


def _check_agent(problem: AgentFileProblem, engine: Engine) -> None:
    """Every prompt must fit the scorer's context with the file as it is; longer files may fail
    alone.
    """
    (seed,) = problem.seeds()
    tasks = [
        task for own in problem.suite.values() for task in own if problem.role(task) == "scorer"
    ]
    prompts = [problem.request(seed.text, task).prompt for task in tasks]
    for task, tokens in zip(tasks, engine.count_tokens(prompts), strict=True):
        if tokens + task.max_tokens > engine.max_model_len:
            raise DataError(
                f"{task.example.where}: {tokens} tokens with the file and {task.max_tokens} for the answer, the "
                f"scorer's context has {engine.max_model_len}",
                "lower the task's max_tokens, shorten the file, or raise scorer.max_model_len",
            )
