"""Plans of searches for an agent's instruction file.

For: checking the file, the suite of tasks and the programs that it names, and wiring them. Not for:
running anything, or the problem itself (problems/agent/).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from opro_local.config.problem import AgentFileSettings
from opro_local.config.settings import Config
from opro_local.errors import DataError, UsageError
from opro_local.problems.agent.agent_file import AgentFileProblem, diff
from opro_local.problems.agent.suite import Suite, read_suite, read_text
from opro_local.problems.command import check_command, command_digest, folder_digest
from opro_local.problems.function import file_digest
from opro_local.programs.program import Program, ProgramEngine
from opro_local.protocols import Engine
from opro_local.runs import result
from opro_local.runs.plans.function import form_for
from opro_local.runs.plans.plan import Plan, cards_of, problem_settings, search_plan
from opro_local.search.metaprompts import metaprompt


def agent_file_plan(config: Config) -> Plan:
    """A search for the file an agent does most tasks with. Raises UsageError, DataError,
    ModelError.
    """
    settings = problem_settings(config, AgentFileSettings)
    file = Path(settings.file)
    original = read_text(file)
    suite = read_suite(Path(settings.suite), settings.split, settings.split_seed)
    if not original.strip():
        raise DataError(f"{file}: the file is empty", "write the instructions to start from")
    if "seeds" in config.search.model_fields_set:
        raise UsageError(
            "search.seeds: the search starts from problem.file", "leave search.seeds out"
        )
    programs = _programs(settings, suite, file.name)
    # The scorer does the tasks that no program does.
    asks_scorer = any(task.name not in programs for tasks in suite.values() for task in tasks)
    cards = cards_of(config, ("optimizer", "scorer") if asks_scorer else ("optimizer",))
    form = config.search.metaprompt
    if form == "auto":
        form = form_for(cards["optimizer"], f"agent_{settings.edit}")

    def changed(text: str) -> str:
        return diff(original, text, file.name)

    problem = AgentFileProblem(original, suite, settings, config.search, metaprompt.load(form))
    return replace(
        search_plan(config, problem, cards, form),
        others={"program": ProgramEngine(programs, settings.parallel)} if programs else {},
        held_out={split: len(tasks) for split, tasks in suite.items() if split != "train"},
        identity=agent_identity(file, Path(settings.suite), programs, suite),
        check=lambda engines: _check_fit(problem, engines["scorer"]) if asks_scorer else None,
        summarize=lambda trajectory, ended, alpha: replace(
            result.summarize(trajectory, ended, alpha), diff=changed(ended.best.text)
        ),
        files=lambda whole: {
            "best.txt": whole.best.text,
            "best.diff": changed(whole.best.text),
        },
    )


def _programs(settings: AgentFileSettings, suite: Suite, name: str) -> dict[str, Program]:
    """The program of every task that one does, by the task's name.

    Args:
        settings: name the agent, the program that does tasks that are prompts, if there is one.
        suite: the tasks, of which some bring their own command.
        name: what the instruction file is called where a task does not say.
    """
    if settings.agent and not any("{prompt}" in part for part in settings.agent):
        raise UsageError(
            "problem.agent has no {prompt}",
            'for example ["my-agent", "--rules", "{file}", "{prompt}"]',
        )
    folder = Path(settings.suite).parent
    programs: dict[str, Program] = {}
    for task in (task for tasks in suite.values() for task in tasks):
        command = task.command or settings.agent
        if not command:
            continue
        check_command(command, task.workspace or folder, task.example.where)
        programs[task.name] = Program(
            command,
            str(folder),
            str(task.workspace or ""),
            task.place or name,
            "" if task.command else task.example.input,
            timeout=task.timeout or settings.timeout,
            output_limit=settings.output_limit,
            pass_environment=settings.pass_environment,
        )
    return programs


def agent_identity(
    file: Path, suite_file: Path, programs: Mapping[str, Program], suite: Suite
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
    workspaces = {program.workspace for program in programs.values() if program.workspace}
    commands = [
        command_digest(program.command, Path(program.workspace or program.folder))
        for program in programs.values()
    ]
    identity = {
        "file": file_digest(file),
        "suite": file_digest(suite_file),
        "programs": hashlib.sha256("".join(commands).encode()).hexdigest()[:16],
    }
    for folder in sorted(workspaces):
        identity[f"workspace {Path(folder).name}"] = folder_digest(Path(folder))
    for rule_file in sorted(rules):
        identity[f"rule {rule_file.name}"] = file_digest(rule_file)
    return identity


def _check_fit(problem: AgentFileProblem, engine: Engine) -> None:
    """Every prompt must fit the scorer's context with the file as it is; longer files may fail
    alone.
    """
    (seed,) = problem.seeds()
    tasks = [
        task
        for split_tasks in problem.suite.values()
        for task in split_tasks
        if problem.role(task) == "scorer"
    ]
    prompts = [problem.request(seed.text, task).prompt for task in tasks]
    for task, tokens in zip(tasks, engine.count_tokens(prompts), strict=True):
        if tokens + task.max_tokens > engine.max_model_len:
            raise DataError(
                f"{task.example.where}: {tokens} tokens with the file and {task.max_tokens} for "
                f"the answer, the scorer's context has {engine.max_model_len}",
                "lower the task's max_tokens, shorten the file, or raise scorer.max_model_len",
            )
