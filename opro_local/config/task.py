"""`[task]` of a config: the examples, how they are split, shown and scored.

For: names, types, ranges and defaults. Not for: reading a config (reading.py), or the rows
themselves (tasks/).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from opro_local.config.facts import Facts
from opro_local.config.problem import Section, Shares

StopText = Annotated[str, Field(min_length=1)]
Position = Literal["before_Q", "Q_begin", "Q_end", "A_begin", "system", "template"]


class TaskSettings(Section):
    """`[task]`: the examples, how they are split, shown and scored."""

    name: str = Field("table", description="The task: your own table, or a benchmark.")
    data: Annotated[str | None, Facts(free=True, path="any")] = Field(
        None, description="One file or folder, divided by `split`."
    )
    train: Annotated[str | None, Facts(free=True, path="any")] = Field(
        None, description="A file with the train rows."
    )
    validation: Annotated[str | None, Facts(free=True, path="any")] = Field(
        None, description="A file with the validation rows."
    )
    test: Annotated[str | None, Facts(free=True, path="any")] = Field(
        None, description="A file with the test rows."
    )
    data_dir: Annotated[str | None, Facts(free=True, path="any")] = Field(
        None, description="The folder with a benchmark's files."
    )
    harness_code: bool = Field(
        False, description="Whether the Python code that a harness task's YAML names may run."
    )
    input: str | None = Field(None, description="The column with what is asked.")
    target: str | None = Field(None, description="The column with what counts as right.")
    delimiter: Annotated[str | None, Facts(free=True)] = Field(
        None, description="What divides a text file's fields; none: the file shows it."
    )
    encoding: Annotated[str | None, Facts(free=True)] = Field(
        None, description="A text file's encoding; none: UTF-8."
    )
    bad_rows: Literal["stop", "skip"] = Field(
        "stop", description="What a row does that can't be used: end the command or be left out."
    )
    split: Shares = Field(
        (0.4, 0.2, 0.4), description="Parts of the rows for train, validation and test."
    )
    split_seed: int = Field(0, ge=0, description="Decides which row is in which part.")
    train_rows: int | None = Field(None, ge=1, description="The most train rows, a seeded subset.")
    validation_rows: int | None = Field(
        None, ge=0, description="The most validation rows, a seeded subset."
    )
    test_rows: int | None = Field(None, ge=0, description="The most test rows, a seeded subset.")
    rule: Annotated[str, Facts(path="function")] = Field(
        "auto", description="How answers are scored."
    )
    labels: tuple[str, ...] = Field(
        (), description="The labels there are; none: the distinct targets."
    )
    metric: Annotated[str, Facts(added=True)] = Field(
        "accuracy", description="What is optimized: accuracy, or a figure of the classes."
    )
    pattern: Annotated[str | None, Facts(path="function")] = Field(
        None, description="What a rule needs: an expression, a function or a field's path."
    )
    marks: Annotated[tuple[str, ...], Facts(added=True)] = Field(
        (), description='Your own words that announce an answer, as "Answer:" does.'
    )
    kind: Literal["auto", "number", "boolean", "choice", "text"] = Field(
        "auto", description="What answers are, for the rule `opro`."
    )
    second_round: bool = Field(
        False, description="Ask again with the first answer, and score that."
    )
    description: str = Field("", description="The task in a few words, for meta-prompts.")
    position: Position = Field("Q_begin", description="Where in the prompt the instruction stands.")
    template: str | None = Field(
        None, description="Your own prompt with {instruction} and columns in braces."
    )
    qa: bool | None = Field(
        None, description="Whether rows are written with Q: and A:; none: not for chat models."
    )
    absolute: Annotated[float | None, Facts(added=True)] = Field(
        None, gt=0, description="Rule `number`: how far from the target an answer may be."
    )
    relative: Annotated[float | None, Facts(added=True)] = Field(
        None, gt=0, description="Rule `number`: the same as a share of the target."
    )
    graded: Annotated[bool, Facts(added=True)] = Field(
        False, description="Rule `number`: less is earned the nearer an error is to the tolerance."
    )
    stop: Annotated[tuple[StopText, ...] | None, Facts(added=True)] = Field(
        None, description="Texts that end an answer; none: what the form of the prompt needs."
    )
    answer: Annotated[
        Literal["auto", "text", "label_probability"], Facts(before="text", added=True)
    ] = Field(
        "auto",
        description="What is scored: a written answer, or the most probable of the labels.",
    )
    revision: Annotated[int, Facts(before=1, added=True)] = Field(
        4, ge=1, le=4, description="How rows are split, answers end and biases are fitted."
    )

    @model_validator(mode="after")
    def _template_has_its_place(self) -> TaskSettings:
        if self.position == "template" and self.template is None:
            raise ValueError('position = "template" needs task.template')
        if self.graded and not (self.absolute or self.relative):
            raise ValueError("task.graded needs task.absolute or task.relative")
        if self.template is not None and "{instruction}" not in self.template:
            raise ValueError("task.template has no {instruction}")
        return self
