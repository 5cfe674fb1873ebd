"""`[problem]` of a config: one class of settings per kind of problem.

For: names, types, ranges and defaults. Not for: reading a config (config.py).
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from opro_local.config.facts import Facts


class Section(BaseModel):
    """A part of a config: frozen, without unknown settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


def _shares(split: tuple[float, float, float]) -> tuple[float, float, float]:
    if min(split) < 0 or split[0] == 0 or sum(split) > 1 + 1e-9:
        raise ValueError(
            "three fractions for train, validation and test, train above 0, their sum at most 1"
        )
    return split


Shares = Annotated[tuple[float, float, float], AfterValidator(_shares)]


class PromptSettings(Section):
    """`[problem]` for instructions scored on a task."""

    kind: Literal["prompt"] = "prompt"


class LinearRegressionSettings(Section):
    """`[problem]` for w and b of a line (paper section 4.1); `range` bounds what may be proposed
    for either.
    """

    kind: Literal["linear_regression"]
    w: float = 15.0
    b: float = 14.0
    points: int = Field(50, ge=2, le=10_000)
    noise: float = Field(1.0, ge=0, allow_inf_nan=False)
    decimals: int = Field(0, ge=0, le=3)
    range: tuple[float, float] = (-50.0, 50.0)
    starts: int = Field(5, ge=1)
    start_range: tuple[float, float] = (10.0, 20.0)
    decoding: Literal["auto", "free", "constrained"] = "auto"

    @model_validator(mode="after")
    def _inside(self) -> LinearRegressionSettings:
        low, high = self.range
        if not -1000 <= low < high <= 1000:
            raise ValueError("range: two bounds, the lower first, between -1000 and 1000")
        for name, value in (
            ("w", self.w),
            ("b", self.b),
            *(("start_range", end) for end in self.start_range),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name} = {value:g} lies outside range, {low:g} to {high:g}")
        if self.start_range[0] > self.start_range[1]:
            raise ValueError("start_range: the lower bound comes first")
        return self


class TspSettings(Section):
    """`[problem]` for the shortest tour through points (paper section 4.2), drawn or from a file."""

    kind: Literal["tsp"]
    nodes: int = Field(10, ge=3, le=500)
    data_file: Annotated[str | None, Facts(free=True, path="any")] = None
    span: tuple[float, float] = (-100.0, 100.0)
    decimals: int = Field(0, ge=0, le=3)
    starts: int = Field(5, ge=1)
    start: Literal["random", "nearest_neighbour", "farthest_insertion"] = "random"
    decoding: Literal["auto", "free", "constrained"] = "auto"
    attempts: int = Field(3, ge=1, le=20)

    @field_validator("span")
    @classmethod
    def _wide(cls, span: tuple[float, float]) -> tuple[float, float]:
        if not -1e6 <= span[0] < span[1] <= 1e6 or span[1] - span[0] < 25:
            raise ValueError(
                "two bounds, the lower first, at least 25 apart, between -1,000,000 and 1,000,000"
            )
        return span


class FunctionSettings(Section):
    """`[problem]` for a Python function of the text, "file.py:function"; larger is better."""

    kind: Literal["function"]
    function: Annotated[str, Facts(path="function")]
    description: str = ""


class CommandSettings(Section):
    """`[problem]` for a program that scores the text; see engines.program.Program."""

    kind: Literal["command"]
    command: tuple[str, ...] = Field(min_length=1)
    description: str = ""
    folder: Annotated[str, Facts(free=True, path="any")] = ""
    file_name: str = Field("solution.txt", pattern=r"^[^/]+$")
    environment: dict[str, str] = {}
    timeout: float = Field(60.0, gt=0)
    parallel: Annotated[int | None, Facts(free=True)] = Field(None, ge=1)
    output_limit: int = Field(1_000_000, ge=1)


class AgentFileSettings(Section):
    """`[problem]` for an agent's instruction file and a suite of tasks."""

    kind: Literal["agent_file"]
    file: Annotated[str, Facts(free=True, path="any")]
    suite: Annotated[str, Facts(free=True, path="any")]
    description: str = ""
    edit: Literal["file", "section"] = "file"
    sections: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    split: Shares = (0.4, 0.2, 0.4)
    split_seed: int = Field(0, ge=0)
    max_characters: int = Field(20_000, ge=1)
    max_growth: float = Field(1.5, ge=1)
    timeout: float = Field(300.0, gt=0)
    parallel: Annotated[int | None, Facts(free=True)] = Field(None, ge=1)
    output_limit: int = Field(1_000_000, ge=1)


ProblemSettings = Annotated[
    PromptSettings
    | LinearRegressionSettings
    | TspSettings
    | FunctionSettings
    | CommandSettings
    | AgentFileSettings,
    Field(discriminator="kind"),
]


PROBLEMS = {
    get_args(kind.model_fields["kind"].annotation)[0]: kind
    for kind in get_args(get_args(ProblemSettings)[0])
}
