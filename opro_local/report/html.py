"""How every page is made safe and readable: templates with autoescape, the policy that a browser
holds a page to, and figures as people read them.

For: all pages, those of a file and those that `view` serves. Not for: what a page says (page.py,
view/).
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from opro_local.runs.visible import visible

TEMPLATES = Path(__file__).parent / "templates"


def policy(style: str, script: str, is_served: bool = False) -> str:
    """The Content-Security-Policy: this style and this script, and nothing else at all.

    Args:
        style, script: the page's own, whole.
        is_served: whether the script may ask the server that the page came from.
    """
    asked = "connect-src 'self'; " if is_served else ""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        f"img-src data:; {asked}base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def source(name: str) -> str:
    """A style or script of ours."""
    return (TEMPLATES / name).read_text("utf-8")


def environment(shares: bool) -> Environment:
    """Jinja with autoescape; whatever is put into a page shows its invisible characters.

    Args:
        shares: whether scores are shares of rows, which are shown in percent.
    """

    def shown(value: Any) -> Any:
        return (
            visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
        )

    templates = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def score(value: float | None) -> str:
        return score_text(value, shares)

    templates.filters |= {
        "score": score,
        "points": lambda value: f"{100 * value:+.1f}" if shares else f"{value:+.4g}",
        "interval": lambda pair: interval_text(pair, shares),
        "percent": lambda share: "" if share is None else f"{100 * share:.0f} %",
        "count": lambda number: f"{number:,}",
        "seconds": lambda number: f"{number:,.1f}",
        "cut": cut,
        "without_folders": without_folders,
    }
    return templates


def score_text(value: float | None, shares: bool) -> str:
    """A score as people read it: a share in percent, anything else with six digits."""
    if value is None:
        return ""
    return f"{100 * value:.1f} %" if shares else f"{value:.6g}"


def interval_text(pair: tuple[float, float] | None, shares: bool) -> str:
    """An interval in few characters, which a table does not break."""
    if pair is None:
        return ""
    low, high = (f"{100 * end:.1f}" if shares else f"{end:.6g}" for end in pair)
    return f"{low}–{high}\u00a0%" if shares else f"{low} to {high}"


def cut(text: str, longest: int) -> str:
    """A text of at most so many characters, with how many more there were."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]} … ({len(text) - longest:,} more characters)"


def without_folders(text: str) -> str:
    """A text that begins with a row's place, "folder/file:line: ...", without this machine's
    folders.
    """
    place, colon, rest = text.partition(": ")
    return place.rpartition("/")[2] + colon + rest
