"""Plans of problems that a user's program scores.

For: checking the command that a config names, and wiring it. Not for: running it
(programs/program.py), or the problem itself (problems/function.py).
"""

from __future__ import annotations

from opro_local.config.problem import CommandSettings
from opro_local.config.settings import Config
from opro_local.problems.command import check_command, check_folder, command_digest, printed
from opro_local.programs.program import Program, ProgramEngine
from opro_local.runs.plans.function import plan_scored_by
from opro_local.runs.plans.plan import Plan, problem_settings
from opro_local.runs.secret_values import VARIABLES, seal


def command_plan(config: Config) -> Plan:
    """A search for the text that a program scores highest. Raises UsageError, DataError,
    ModelError.
    """
    settings = problem_settings(config, CommandSettings)
    folder = check_folder(settings.folder, "problem.folder")
    check_command(settings.command, folder, "problem.command")
    environment = {name: value.get_secret_value() for name, value in settings.environment.items()}
    program = Program(
        settings.command,
        str(folder),
        place=settings.file_name,
        environment=environment,
        pass_environment=settings.pass_environment,
        timeout=settings.timeout,
        output_limit=settings.output_limit,
    )
    engine = ProgramEngine({"": program}, settings.parallel)
    identity = {"program": command_digest(settings.command, folder)}
    if environment:
        identity[VARIABLES] = seal(environment)
    return plan_scored_by(config, settings, engine, printed, identity)
