"""`opro-local check`: will it run here, and with a config, is it ready to run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opro_local.cli.evaluating import evaluated, print_evaluation
from opro_local.cli.grouping import grouped
from opro_local.cli.options import ConfigOptions, RunOptions
from opro_local.cli.visible import say, say_json
from opro_local.errors import OproError

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
    if headroom:
        _probe(asked.read(options.overrides()), options)
        return
    answers = answer and not no_model
    if is_prepared:
        _examine(lambda: _of_config(asked, answers, options), options)
    else:
        _examine(lambda: _of_model(asked.model, answers, options), options)


# What is found beside the machine, and the error that would end a run, if there is one.
_More = tuple[list["Finding"], OproError | None]


def _of_config(asked: ConfigOptions, answers: bool, options: RunOptions) -> _More:
    """What a run of the config would be made of. Raises OproError where it can't be read."""
    from opro_local.doctor.prepared import config_findings

    return config_findings(asked.read(options.overrides()), answers)


def _of_model(model: str | None, answers: bool, options: RunOptions) -> _More:
    """A short answer of a model, by default of the embedded one if it is there. Raises OproError
    where the settings can't be read.
    """
    from opro_local.doctor.trial import trial_config, try_model

    config = trial_config(model, options.engine, options.set_ or ())
    if not answers or config is None:
        return [], None
    return [try_model(config)], None


def _examine(look_further: Callable[[], _More], options: RunOptions) -> None:
    """Print what is found here, line by line as it is found.

    Args:
        look_further: finds more, once the machine's lines are there.
        options: the verb's.

    Raises:
        OproError: what would end the config's run, once all is printed.
        typer.Exit: there is another failure.
    """
    from opro_local.doctor.checks import examine
    from opro_local.doctor.finding import failed
    from opro_local.doctor.machine import look

    findings = examine(look(options.run or RUNS))
    if not options.as_json:
        _print(findings)
    try:
        more, error = look_further()
    except OproError as unreadable:
        more, error = [failed("config", unreadable)], unreadable
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
