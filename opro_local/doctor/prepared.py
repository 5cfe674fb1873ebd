"""A config looked at before a run, as findings: its rows, rule, models, and one real answer.

For: `check CONFIG`. Not for: the look itself (runs/checking.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from opro_local.config.settings import Config
from opro_local.doctor.finding import Finding, State, failed, fine, warning
from opro_local.errors import OproError
from opro_local.runs.checking import Checked, answer_lines, checked


def config_findings(config: Config, answer: bool) -> tuple[list[Finding], OproError | None]:
    """What a run of a config would be made of.

    Args:
        config: of any problem.
        answer: whether the scorer is started for one real answer.

    Returns:
        the findings, and the error that would end the run, if there is one.
    """
    try:
        return list(_findings(checked(config, answer))), None
    except OproError as error:
        return [failed("config", error)], error


def _findings(looked: Checked) -> Iterator[Finding]:
    yield from (warning("notice", notice) for notice in looked.notices)
    rows = ", ".join(f"{split} {count}" for split, count in looked.rows.items())
    yield fine("rows", rows or "none", dict(looked.rows))
    yield fine("rule", f"{looked.rule or 'none'}; every target scores 1 under it", looked.rule)
    for role, folder in looked.models.items():
        yield fine(role, folder or "scripted", folder)
    if looked.answer is not None:
        text = "\n".join(answer_lines(looked.answer))
        state: State = "ok" if looked.answer.parsed is not None else "warning"
        yield Finding("answer", state, text, value=looked.answer.to_json())
