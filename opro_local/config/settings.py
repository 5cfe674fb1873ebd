"""Every setting of a run but those of the problem and the search: names, types, ranges and
defaults.

For: frozen settings, and their canonical JSON. Not for: reading them from TOML and `--set`
(reading.py), or checks that need data, a model or a disk; those belong to the wing that uses them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticKnownError

from opro_local.config.facts import Facts
from opro_local.config.problem import ProblemSettings, PromptSettings, Section, Shares
from opro_local.config.search import SearchSettings, SeedSettings
from opro_local.engines.kinds import CHOICES
from opro_local.search.schedules.table import SCHEDULES


def _one_of(names: Sequence[str], value: Any) -> Any:
    """The value, if it is one of the names in a table; else pydantic's own complaint about a
    Literal, so that all settings complain alike.
    """
    if value not in names:
        *others, last = map(repr, names)
        raise PydanticKnownError("literal_error", {"expected": f"{', '.join(others)} or {last}"})
    return value


Position = Literal["before_Q", "Q_begin", "Q_end", "A_begin", "system", "template"]


class TaskSettings(Section):
    """`[task]`: the examples, how they are split, shown and scored."""

    name: str = "table"
    data: Annotated[str | None, Facts(free=True, path="any")] = None
    train: Annotated[str | None, Facts(free=True, path="any")] = None
    validation: Annotated[str | None, Facts(free=True, path="any")] = None
    test: Annotated[str | None, Facts(free=True, path="any")] = None
    data_dir: Annotated[str | None, Facts(free=True, path="any")] = None
    input: str | None = None
    target: str | None = None
    split: Shares = (0.4, 0.2, 0.4)
    split_seed: int = Field(0, ge=0)
    train_rows: int | None = Field(None, ge=1)
    validation_rows: int | None = Field(None, ge=0)
    test_rows: int | None = Field(None, ge=0)
    rule: Annotated[str, Facts(path="function")] = "auto"
    labels: tuple[str, ...] = ()
    pattern: Annotated[str | None, Facts(path="function")] = None
    kind: Literal["auto", "number", "boolean", "choice", "text"] = "auto"
    second_round: bool = False
    description: str = ""
    position: Position = "Q_begin"
    template: str | None = None
    qa: bool | None = None

    @model_validator(mode="after")
    def _template_has_its_place(self) -> TaskSettings:
        if self.position == "template" and self.template is None:
            raise ValueError('position = "template" needs task.template')
        if self.template is not None and "{instruction}" not in self.template:
            raise ValueError("task.template has no {instruction}")
        return self


class ModelSettings(Section):
    """`[optimizer]` and `[scorer]`: a model, the engine that hosts it, and how it is sampled."""

    model: Annotated[str, Facts(free=True, path="marked")] = ""
    adapter: Annotated[str, Facts(free=True, path="any")] = ""
    engine: str = "auto"
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    chat: bool | None = None
    dtype: Annotated[str, Facts(to_engine=True)] = "auto"
    max_model_len: Annotated[int | None, Facts(to_engine=True)] = Field(None, ge=16)
    max_num_seqs: Annotated[int | None, Facts(free=True, to_engine=True)] = Field(None, ge=1)
    kv_cache_bytes: Annotated[int | None, Facts(free=True, to_engine=True)] = Field(None, ge=1)
    gpu_memory: Annotated[float | None, Facts(free=True, to_engine=True)] = Field(None, gt=0, le=1)
    tensor_parallel: Annotated[int, Facts(free=True, to_engine=True)] = Field(1, ge=1)
    pipeline_parallel: Annotated[int, Facts(free=True, to_engine=True)] = Field(1, ge=1)
    data_parallel: Annotated[int, Facts(free=True, to_engine=True)] = Field(1, ge=1)
    batch_tokens: Annotated[int, Facts(free=True, to_engine=True)] = Field(8192, ge=64)
    template_args: dict[str, Any] = Field(default_factory=dict)
    engine_args: Annotated[dict[str, Any], Facts(to_engine=True)] = Field(default_factory=dict)
    script: Annotated[str | None, Facts(free=True, path="any", to_engine=True)] = None
    stall_seconds: Annotated[float, Facts(free=True, to_engine=True)] = Field(900.0, gt=0)
    load_seconds: Annotated[float, Facts(free=True, to_engine=True)] = Field(1800.0, gt=0)

    @field_validator("engine", mode="before")
    @classmethod
    def _engine_is_in_the_table(cls, value: Any) -> Any:
        return _one_of(CHOICES, value)


class OptimizerSettings(ModelSettings):
    """The optimizer samples at the form's temperature, 1 in the paper (section 5.1). No model means
    the scorer's.
    """

    # None is the form's; a scorer always has a number.
    temperature: float | None = Field(None, ge=0, le=2)  # type: ignore[assignment]


class JudgeSettings(ModelSettings):
    """`[judge]`: the model of the rule judge. An empty model means the scorer's."""

    rubric: str | None = None


class EvaluationSettings(Section):
    """`[evaluation]`: how a winner is chosen and judged, and the split that `evaluate` scores on."""

    split: Literal["train", "validation", "test"] = "test"
    finalists: int = Field(8, ge=1)
    alpha: float = Field(0.05, gt=0, lt=0.5)
    doubt: float = Field(0.5, gt=0, le=1)
    mode: str = "auto"
    block: int = Field(256, ge=1)
    drop_alpha: float = Field(0.01, gt=0, lt=0.5)
    subset_rows: int = Field(50, ge=1)
    subset_draw: Literal["fixed", "fresh"] = "fixed"

    @field_validator("mode", mode="before")
    @classmethod
    def _mode_is_in_the_table(cls, value: Any) -> Any:
        return _one_of(("auto", *SCHEDULES), value)


class RunSettings(Section):
    """`[run]`: name and seed, and the cache that all runs share."""

    name: Annotated[str, Facts(free=True)] = "run"
    seed: int = Field(0, ge=0)
    cache: Annotated[bool, Facts(free=True)] = True
    cache_bytes: Annotated[int, Facts(free=True)] = Field(1 << 30, ge=1 << 20)
    placement: Annotated[Literal["auto", "split", "swap", "off"], Facts(free=True)] = "auto"


class Config(Section):
    """Everything that decides what a run does."""

    problem: ProblemSettings = PromptSettings()
    task: TaskSettings = TaskSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    scorer: ModelSettings = ModelSettings()
    judge: JudgeSettings = JudgeSettings()
    search: SearchSettings = SearchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="after")
    def _parts_need_rows(self) -> Config:
        schedule = SCHEDULES.get(self.evaluation.mode)
        if schedule and schedule.needs_rows and self.problem.kind != "prompt":
            raise ValueError(
                f'evaluation.mode = "{self.evaluation.mode}" needs problem.kind = "prompt"'
            )
        return self

    @property
    def is_mixed(self) -> bool:
        """Whether a search proposes in several ways. A form that the user names is the only way, as
        in the paper.
        """
        mode, named = self.search.mode, self.search.metaprompt != "auto"
        return self.problem.kind == "prompt" and (mode == "mixed" or (mode == "auto" and not named))

    @property
    def scoring_schedule(self) -> str:
        """How a step's solutions are scored on train: a name in SCHEDULES."""
        if self.evaluation.mode != "auto":
            return self.evaluation.mode
        return "halve" if self.is_mixed else "full"

    def starting_from(self, seeds: Sequence[str | SeedSettings]) -> Config:
        """The same with other starting solutions."""
        return self.model_copy(
            update={"search": self.search.model_copy(update={"seeds": tuple(seeds)})}
        )

    def canonical(self) -> str:
        """Sorted, compact JSON: equal configs give equal text."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True
        )
