"""The options that several verbs share, and the config they make.

For: one wording per option. Not for: verbs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opro_local.engines.kinds import CHOICES
from opro_local.errors import UsageError

if TYPE_CHECKING:
    from opro_local.config.settings import Config

RunOption = Annotated[
    Path | None,
    typer.Option("--run", help="The run's folder (default: in runs/, by its name and settings)."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="The run's seed.")]
# The scripted engine is for tests of one's own setup; docs/engines.md names it.
ENGINES = f"One of {', '.join(name for name in CHOICES if name != 'scripted')}."
EngineOption = Annotated[str | None, typer.Option("--engine", help=ENGINES)]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting: section.key=value. Repeatable.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
REPORT = "report.html"  # what `report` writes in a run's folder
CONFIG = "A TOML file (docs/config.md), or a recipe's name: opro-local run gsm8k."
ConfigArgument = Annotated[Path | None, typer.Argument(help=CONFIG)]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="CSV, JSONL, Parquet or a datasets folder.")
]
InputOption = Annotated[str | None, typer.Option("--input", help="The column that is asked.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="The column with the right answer.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="A folder (./x), an imported model or a repository id."),
]


def overrides(seed: int | None, engine: str | None, set_: Sequence[str] | None) -> list[str]:
    """The named options as overrides; `--set` comes after them and wins."""
    given = [] if seed is None else [f"run.seed={seed}"]
    if engine is not None:
        given += [f"{role}.engine={json.dumps(engine)}" for role in ("scorer", "optimizer")]
    return [*given, *(set_ or ())]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How and where something is run."""

    run: RunOption = None
    seed: SeedOption = None
    engine: EngineOption = None
    set_: SetOption = None
    as_json: JsonOption = False
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Tell every scored solution, not only steps.")
    ] = False

    def overrides(self, changes: Sequence[str] = ()) -> list[str]:
        """The options as overrides, then a verb's own changes; `--set` comes last and wins."""
        return overrides(self.seed, self.engine, [*changes, *(self.set_ or ())])


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """One model for both roles, or another one to write the prompts."""

    model: Annotated[
        str,
        typer.Option(
            "--model", help="A folder (./x), an imported model or a repository id on disk."
        ),
    ]
    optimizer: Annotated[
        str | None, typer.Option("--optimizer", help="Another model to write the prompts.")
    ] = None

    @property
    def optimizer_table(self) -> dict[str, dict[str, Any]]:
        """The config's section of the optimizer; an empty name stands for the scorer's model."""
        return {"optimizer": {"model": self.optimizer or ""}}


@dataclass(frozen=True, slots=True)
class ConfigOptions:
    """What is asked: a config file, or the user's own rows and one model."""

    config: ConfigArgument = None
    data: DataOption = None
    input_: InputOption = None
    target: TargetOption = None
    model: ModelOption = None

    @property
    def named(self) -> dict[str, Path | str | None]:
        """The options that stand for a config, by their names."""
        return {
            "--data": self.data,
            "--input": self.input_,
            "--target": self.target,
            "--model": self.model,
        }

    def read(self, changes: Sequence[str], trust_code: bool = False) -> Config:
        """The config in the file, that of a run's folder, or the one that --data, --input, --target
        and --model make.

        Args:
            changes: as "section.key=value".
            trust_code: whether code that a run's config names may run.

        Raises:
            UsageError: neither is there, or both are; or see run_config.config_of_run.
        """
        from opro_local.config import reading
        from opro_local.runs.run_config import config_of_run, is_run

        given = [name for name, value in self.named.items() if value is not None]
        if self.config is not None:
            if given:
                raise UsageError(
                    f"a config file and {given[0]} exclude each other",
                    "use --set to change a setting",
                )
            if is_run(self.config):
                return config_of_run(self.config, changes, trust_code)
            return read_config(self.config, changes)
        data, input_, target, model = self.data, self.input_, self.target, self.model
        if data is None or input_ is None or target is None or model is None:
            missing = [name for name, value in self.named.items() if value is None]
            raise UsageError(
                f"{missing[0]} is missing", f"give a config file, or {', '.join(self.named)}"
            )
        return reading.build(tables(data, input_, target, model), changes)


def tables(data: Path, input_: str, target: str, model: str) -> dict[str, dict[str, Any]]:
    """The config's tables for the user's own data and one model."""
    return {
        "task": {"data": str(data), "input": input_, "target": target},
        "scorer": {"model": model},
        "run": {"name": data.stem},
    }


def read_config(config: Path, changes: Sequence[str]) -> Config:
    """The config in a file, or the recipe of that name. Raises UsageError."""
    from opro_local import recipes
    from opro_local.config import reading

    if not config.suffix and not config.exists():
        return recipes.read(str(config), changes)
    return reading.read(config, changes)
