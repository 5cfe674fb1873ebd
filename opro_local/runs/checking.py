"""A config looked at before a run: its rows, rule and models, and one real answer.

For: `check`, from Python and the command line. Not for: figures over rows (evaluation.py), or
whether there is anything to gain (headroom.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from opro_local.config.settings import Config
from opro_local.engines.chat_template import text_change
from opro_local.models.templates import asked_template
from opro_local.runs.headroom import Headroom
from opro_local.runs.hosting import Hosting, settings_of
from opro_local.runs.one_answer import OneAnswer, one_answer
from opro_local.runs.plans import make_plan
from opro_local.runs.plans.prompt import prompt_plan
from opro_local.runs.visible import visible
from opro_local.scoring.function import Function
from opro_local.types import Role


@dataclass(frozen=True, slots=True)
class Checked:
    """What a run would be made of.

    Attributes:
        rows: how many rows each split has; empty where the problem has none.
        rule: how answers are scored; "" where nothing has a rule.
        models: the folder of each role's model; None where a script or function answers.
        notices: what to know before the run.
        answer: one real answer with what was read from it; None where none was asked for.
        headroom: whether the wording of an instruction makes a difference; None where that was not
            asked for.
    """

    rows: Mapping[str, int]
    rule: str
    models: Mapping[str, str | None]
    notices: tuple[str, ...]
    answer: OneAnswer | None = None
    headroom: Headroom | None = None

    @property
    def lines(self) -> list[str]:
        """All of it in words."""
        rows = ", ".join(f"{split} {count}" for split, count in self.rows.items())
        lines = [
            *self.notices,
            f"rows: {rows or 'none'}",
            f"rule: {self.rule or 'none'}; every target scores 1 under it",
            *(f"{role}: {folder or 'scripted'}" for role, folder in self.models.items()),
        ]
        if self.answer is not None:
            lines += answer_lines(self.answer)
        return lines if self.headroom is None else [*lines, *self.headroom.words]

    def to_json(self) -> dict[str, Any]:
        """The attributes by name."""
        probe = {} if self.headroom is None else {"headroom": self.headroom.to_json()}
        return {
            "rows": dict(self.rows),
            "rule": self.rule,
            "models": dict(self.models),
            "notices": list(self.notices),
            "answer": None if self.answer is None else self.answer.to_json(),
            **probe,
        }

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return "".join(f"<div>{escape(visible(line))}</div>" for line in self.lines)


def checked(config: Config, answer: bool = True, metric: Function | None = None) -> Checked:
    """Look at a config.

    Args:
        config: of any problem.
        answer: whether the scorer is started for one answer; only prompts have one.
        metric: see prompt_plan.

    Raises:
        OproError: what would stop the run.
    """
    is_prompt = config.problem.kind == "prompt"
    plan = prompt_plan(config, training=False, metric=metric) if is_prompt else make_plan(config)
    rows = {split: len(rows) for split, rows in getattr(plan.problem, "rows", {}).items()}
    return Checked(
        rows=rows,
        rule=plan.rule,
        models={role: hosting.settings.model for role, hosting in plan.models.items()},
        notices=(*plan.notices, *template_notices(config, plan.models)),
        answer=one_answer(plan) if answer and is_prompt else None,
    )


def template_notices(config: Config, models: Mapping[Role, Hosting]) -> Iterator[str]:
    """What the models' chat templates do to a text, where they are asked with one: a line each.

    Args:
        config: of the run.
        models: its roles that read a model's folder.
    """
    for role, hosting in models.items():
        asked = hosting.settings
        if asked.model and settings_of(config, role).chat is not False:
            source = asked.chat_template or asked_template(Path(asked.model))
            if change := text_change(source, asked.template_args):
                yield f"{role}: of the chat template of {Path(asked.model).name}: {change}"


def answer_lines(one: OneAnswer) -> list[str]:
    """One answer with what was read from it."""
    read = "nothing" if one.parsed is None else repr(one.parsed[:200])
    cut = ", cut at the token limit" if one.finish_reason == "length" else ""
    earned = "" if one.correct is None else f"; it earns {one.correct:g}"
    return [
        f"one answer, to {one.where} with {one.instruction[:100]!r}:",
        f"  asked: {one.input[:300]!r}",
        f"  answered: {one.answer[-400:]!r} ({one.completion_tokens} tokens{cut})",
        f"  read: {read}; target {one.target[:100]!r}{earned}",
    ]
