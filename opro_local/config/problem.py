"""`[problem]` of a config: one class of settings per kind of problem.

For: names, types, ranges and defaults. Not for: reading a config (reading.py).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from opro_local.config.facts import Facts, facts_of
from opro_local.config.numbers import no_truth_for_a_number

LARGEST = (1 << 63) - 1


class Section(BaseModel):
    """A part of a config: frozen, without unknown settings."""

    # No setting means anything by a NaN or an infinity, and neither is JSON.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    _numbers = model_validator(mode="before")(no_truth_for_a_number)

    @field_validator("*")
    @classmethod
    def _within_reach(cls, value: Any) -> Any:
        """No number of a setting is larger than SQLite's or a C library's largest."""
        if isinstance(value, (int, float)) and abs(value) > LARGEST:
            raise ValueError(f"a number of at most {LARGEST:,}")
        return value

    @field_validator("*")
    @classmethod
    def _paths_without_nul(cls, value: Any, info: ValidationInfo) -> Any:
        """No path has a NUL: no system call takes one."""
        is_path = bool(info.field_name and facts_of(cls.model_fields[info.field_name]).path)
        texts = (value,) if isinstance(value, str) else value
        if is_path and isinstance(texts, tuple) and any("\0" in str(text) for text in texts):
            raise ValueError("a path without a NUL")
        return value


def _words(words: tuple[str, ...]) -> tuple[str, ...]:
    if any("\0" in word for word in words):
        raise ValueError("words without a NUL")
    return words


def _variables(variables: dict[str, SecretStr]) -> dict[str, SecretStr]:
    # No value is part of the message: it may be a key.
    for name, value in variables.items():
        if not name or "=" in name or "\0" in name:
            raise ValueError("names that are not empty and have no '=' and no NUL")
        if "\0" in value.get_secret_value():
            raise ValueError("values without a NUL")
    return variables


# A program's name and arguments, and its environment, as the system takes them.
Words = Annotated[tuple[str, ...], AfterValidator(_words)]
Variables = Annotated[dict[str, SecretStr], AfterValidator(_variables)]


def _shares(split: tuple[float, float, float]) -> tuple[float, float, float]:
    if min(split) < 0 or split[0] == 0 or sum(split) > 1 + 1e-9:
        raise ValueError(
            "three fractions for train, validation and test, train above 0, their sum at most 1"
        )
    return split


Shares = Annotated[tuple[float, float, float], AfterValidator(_shares)]


class PromptSettings(Section):
    """`[problem]` for instructions scored on a task."""

    kind: Literal["prompt"] = Field(
        "prompt", description="What is optimized: an instruction for a task."
    )


class LinearRegressionSettings(Section):
    """`[problem]` for w and b of a line (paper section 4.1); `range` bounds what may be proposed
    for either.
    """

    kind: Literal["linear_regression"] = Field(description="What is optimized: w and b of a line.")
    w: float = Field(15.0, description="The slope of the true line.")
    b: float = Field(14.0, description="The intercept of the true line.")
    points: int = Field(50, ge=2, le=10_000, description="How many points are drawn.")
    noise: float = Field(1.0, ge=0, description="Standard deviation of the points' noise.")
    decimals: int = Field(0, ge=0, le=3, description="Digits after the point in a proposal.")
    range: tuple[float, float] = Field(
        (-50.0, 50.0), description="What may be proposed for w and for b."
    )
    starts: int = Field(5, ge=1, le=10_000, description="How many starting pairs are drawn.")
    start_range: tuple[float, float] = Field(
        (10.0, 20.0), description="Where the starting pairs are drawn from."
    )
    decoding: Literal["auto", "free", "constrained"] = Field(
        "auto", description="Whether replies are free text or held to the form of a pair."
    )

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
    """`[problem]` for the shortest tour through points (paper section 4.2), drawn or read."""

    kind: Literal["tsp"] = Field(description="What is optimized: a tour through points.")
    nodes: int = Field(10, ge=3, le=500, description="How many points are drawn.")
    data_file: Annotated[str | None, Facts(free=True, path="any")] = Field(
        None, description="A CSV, JSON or TSPLIB file with the points; none draws them."
    )
    span: tuple[float, float] = Field(
        (-100.0, 100.0), description="The lower and upper bound of both coordinates."
    )
    decimals: int = Field(0, ge=0, le=3, description="Digits after the point in a coordinate.")
    starts: int = Field(5, ge=1, le=10_000, description="How many starting tours there are.")
    start: Literal["random", "nearest_neighbour", "farthest_insertion"] = Field(
        "random", description="How starting tours are made."
    )
    decoding: Literal["auto", "free", "constrained"] = Field(
        "auto", description="Whether replies are free text or held to the form of a tour."
    )
    attempts: int = Field(
        3, ge=1, le=20, description="How often a step without a valid tour asks again."
    )

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

    kind: Literal["function"] = Field(
        description="What is optimized: a text that a Python function scores."
    )
    function: Annotated[str, Facts(path="function")] = Field(
        description="The function, as file.py:name; it takes the text and returns its score."
    )
    description: str = Field("", description="What the text is for, in words for the optimizer.")


class CommandSettings(Section):
    """`[problem]` for a program that scores the text; see engines.program.Program."""

    kind: Literal["command"] = Field(description="What is optimized: a text that a program scores.")
    command: Words = Field(min_length=1, description="The program and its arguments.")
    description: str = Field("", description="What the text is for, in words for the optimizer.")
    folder: Annotated[str, Facts(free=True, path="any")] = Field(
        "", description="Where the program runs; a copy of it for each text."
    )
    file_name: str = Field(
        "solution.txt", pattern=r"^[^/]+$", description="The file the text is put in."
    )
    environment: Annotated[Variables, Facts(secret=True)] = Field(
        {}, description="Variables of the program's environment; runs keep their names alone."
    )
    pass_environment: Annotated[tuple[str, ...], Facts(free=True)] = Field(
        (),
        description="Variables of your shell that the program gets too, beside PATH and the like.",
    )
    timeout: float = Field(60.0, gt=0, description="Seconds that one run of the program may take.")
    parallel: Annotated[int | None, Facts(free=True)] = Field(
        None,
        ge=1,
        le=1024,
        description="How many runs of the program go at once; none: one a core.",
    )
    output_limit: int = Field(
        1_000_000, ge=1, description="Bytes of output that one run may write."
    )


class AgentFileSettings(Section):
    """`[problem]` for an agent's instruction file and a suite of tasks."""

    kind: Literal["agent_file"] = Field(
        description="What is optimized: an agent's instruction file."
    )
    file: Annotated[str, Facts(free=True, path="any")] = Field(description="The Markdown file.")
    suite: Annotated[str, Facts(free=True, path="any")] = Field(description="The agent's tasks.")
    description: str = Field("", description="What the file is for, in words for the optimizer.")
    edit: Literal["file", "section"] = Field(
        "file", description="Whether a proposal rewrites the file or one section."
    )
    sections: tuple[str, ...] = Field((), description="The sections that may change; none: all.")
    agent: Words = Field(
        (), description="The command that is the agent for tasks that are prompts."
    )
    pass_environment: Annotated[tuple[str, ...], Facts(free=True)] = Field(
        (),
        description="Variables of your shell that programs get too, beside PATH and the like.",
    )
    split: Shares = Field(
        (0.4, 0.2, 0.4), description="Parts of the tasks for train, validation and test."
    )
    split_seed: int = Field(0, ge=0, description="Decides which task is in which part.")
    max_characters: int = Field(20_000, ge=1, description="The most characters the file may have.")
    max_growth: float = Field(
        1.5, ge=1, description="The most the file may grow, as a multiple of the original."
    )
    timeout: float = Field(300.0, gt=0, description="Seconds that one task may take.")
    parallel: Annotated[int | None, Facts(free=True)] = Field(
        None, ge=1, le=1024, description="How many tasks run at once; none: one a core."
    )
    output_limit: int = Field(
        1_000_000, ge=1, description="Bytes of output that one task may write."
    )


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
