"""A result as a notebook shows it: its figures in a table, the chosen prompt, and the verdict.

For: `_repr_html_` of a RunResult and of what OPRO found. Not for: a page of its own. Every text is
escaped, and nothing is fetched or run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.figures import Figures
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.visible import visible

if TYPE_CHECKING:
    from opro_local.runs.objective import Optimized
    from opro_local.runs.run_result import RunResult

LONGEST = 2000  # characters of a prompt
MOST = 10  # texts of a function's search


def result_html(result: RunResult) -> str:
    """The result as HTML without scripts, styles or references."""
    alarms = [line for alarm in result.alarms for line in alarm.lines]
    if isinstance(result.outcome, SearchOutcome):
        parts = _search(result, result.outcome)
    else:
        parts = _evaluation(result, result.outcome)
    kept = [] if result.folder is None else [_paragraph(f"Kept in {result.folder}")]
    heading = f"<strong>{_shown(result.name)}</strong>: {_shown(result.reason)}"
    warned = [f"<p><strong>{_shown(line)}</strong></p>" for line in alarms]
    return "".join(["<div>", f"<p>{heading}</p>", *warned, *parts, *kept, "</div>"])


def optimized_html(found: Optimized) -> str:
    """What `OPRO.optimize` found, the same way: the scores, the best texts and why it ended."""
    ranked = sorted(found.history, key=lambda pair: pair[1], reverse=True)[:MOST]
    rows = [[f"{score:.6g}", text[:LONGEST]] for text, score in ranked]
    counts = f"{len(found.history)} texts scored, {len(found.rejections)} replies rejected"
    scores = f"best score {found.score:.6g}, the first text's {found.baseline:.6g}"
    return "".join(
        [
            "<div>",
            _paragraph(f"{scores}; {counts}; {found.reason}"),
            _prompt("Best", found.text),
            _table(["score", "text"], rows),
            "</div>",
        ]
    )


def _search(result: RunResult, search: SearchOutcome) -> list[str]:
    splits = {"train": search.train, "validation": search.validation, "test": search.test}
    rows = [
        [f"{split}, {side}", *_figures(figures, result.shares)]
        for split, own in splits.items()
        if own is not None
        for side, figures in (("baseline", own.baseline), ("best", own.best))
    ]
    count = len(search.best.demonstrations)
    with_examples = f"with {count} worked examples" if count else ""
    return [
        _table(["", "score", "interval", "rows", "unread"], rows),
        _prompt("Baseline", search.baseline),
        _prompt("Best", search.best.text, with_examples),
        *map(_paragraph, result.summary),
    ]


def _evaluation(result: RunResult, outcome: EvaluationOutcome) -> list[str]:
    rows = [
        [str(prompt.number), *_figures(prompt.figures, result.shares)] for prompt in outcome.prompts
    ]
    return [
        _paragraph(f"{len(outcome.prompts)} prompts on {outcome.split}, rule {result.rule}"),
        _table(["prompt", "score", "interval", "rows", "unread"], rows),
        *(_prompt(str(prompt.number), prompt.text) for prompt in outcome.prompts),
        *map(_paragraph, outcome.summary),
    ]


def _figures(figures: Figures, shares: bool) -> list[str]:
    """Score, interval, rows and answers that were not read."""

    def value(number: float) -> str:
        return f"{100 * number:.1f} %" if shares else f"{number:.6g}"

    interval = ""
    if figures.interval is not None:
        interval = " to ".join(map(value, figures.interval))
    return [value(figures.accuracy), interval, str(figures.n), str(figures.extraction_failures)]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_shown(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_shown(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _prompt(name: str, text: str, more: str = "") -> str:
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    said = f" ({_shown(more)})" if more else ""
    return f"<p>{_shown(name)}{said}:</p><pre>{_shown(cut)}</pre>"


def _paragraph(text: str) -> str:
    return f"<p>{_shown(text)}</p>"


def _shown(text: str) -> str:
    """A text of anybody's as HTML: no markup, no character that turns the order of reading."""
    return escape(visible(text))
