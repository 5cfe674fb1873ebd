"""`opro-local check`: will it run here, and with a config, is it ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.evaluating import evaluated, print_evaluation
from opro_local.cli.grouping import grouped
from opro_local.cli.options import ConfigOptions, RunOptions
from opro_local.cli.visible import say, say_json

if TYPE_CHECKING:
    from opro_local.config.settings import Config
    from opro_local.doctor.finding import Finding

RUNS = Path("runs")  # where runs are written without --run


@grouped
def check(
    *,
    asked: ConfigOptions,
    headroom: Annotated[
        bool, typer.Option("--headroom", help="Is there anything to gain from wording here?")
    ] = False,
    answer: Annotated[
        bool, typer.Option(help="Start the scorer and show one real answer with what is read.")
    ] = True,
    no_model: Annotated[bool, typer.Option("--no-model", help="Start no model at all.")] = False,
    options: RunOptions,
) -> None:
    """Check whether it will run here: GPU, driver, packages, memory, disks, clock, network, models
    and a short answer. With a config or data, also rows, rule, models and one real answer of the
    scorer; with --headroom, only a probe on train rows. Exit code 0 unless a line is a failure.

    Example: opro-local check

    Example: opro-local check --headroom --data mails.csv --input text --target label --model
    ./Qwen2.5-7B-Instruct
    """
    is_prepared = asked.config is not None or any(
        value is not None for name, value in asked.named.items() if name != "--model"
    )
    settings = asked.read(options.overrides()) if is_prepared or headroom else None
    if headroom and settings is not None:
        _probe(settings, options)
        return
    answers = answer and not no_model
    _examine(settings, asked.model if answers else "", answers, options)


def _examine(
    settings: Config | None, model: str | None, answers: bool, options: RunOptions
) -> None:
    """Print what is found here, line by line as it is found.

    Args:
        settings: of a config, if there is one.
        model: that gives a short answer; None is the embedded one, if it is there.
        answers: whether a model is started at all.
        options: the verb's.

    Raises:
        OproError: what would end the config's run, once all is printed.
        typer.Exit: there is another failure.
    """
    from opro_local.doctor.checks import examine
    from opro_local.doctor.machine import look
    from opro_local.doctor.prepared import config_findings
    from opro_local.doctor.trial import embedded_is_there, try_model
    from opro_local.models.offline import EMBEDDED

    findings, error = examine(look(options.run or RUNS)), None
    if not options.as_json:
        _print(findings)
    more: list[Finding] = []
    if settings is not None:
        more, error = config_findings(settings, answers)
    elif answers and (model or embedded_is_there()):
        more = [try_model(model or EMBEDDED, options.engine or "auto")]
    findings += more
    if options.as_json:
        say_json([finding.to_json() for finding in findings])
    else:
        _print(more)
    if error is not None:
        raise error
    failures = [finding.exit_code for finding in findings if finding.state == "failure"]
    if failures:
        raise typer.Exit(failures[0])


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        say(f"{finding.state:8} {finding.name}: {finding.text}")


def _probe(settings: Config, options: RunOptions) -> None:
    """Score a handful of instructions on train rows, and say whether wording matters."""
    from opro_local.runs import headroom as probe
    from opro_local.runs.plans import make_plan
    from opro_local.runs.plans.evaluation import probed

    settings = probed(settings, make_plan(settings))
    _, folder, result = evaluated(settings, options.run, "headroom")
    verdict = probe.headroom(result)
    if options.as_json:
        say_json({**result.to_json(), "headroom": verdict.to_json()})
        return
    print_evaluation(result, folder, None)
    for line in verdict.words:
        say(line)
