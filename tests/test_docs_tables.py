"""What a table of the code lists, the pages list too: a new line there needs a line in docs/."""

from __future__ import annotations

import re

import pytest
from running import ROOT

from opro_local.engines.kinds import CHOICES
from opro_local.problems.prompt.moves import MOVES
from opro_local.scoring.choosing import RULES
from opro_local.search.schedules.table import SCHEDULES
from opro_local.tasks.benchmarks import BENCHMARKS

TABLES = {
    "scoring": RULES,
    "tasks": BENCHMARKS,
    "engines": CHOICES,
    "config": SCHEDULES,
    "search": MOVES,
}


@pytest.mark.parametrize("page", TABLES)
def test_every_line_of_a_table_is_on_its_page(page):
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    codes = " ".join(re.findall(r"`([^`\n]+)`", prose))
    named = set(re.findall(r"\w+", codes))
    assert TABLES[page] and set(TABLES[page]) <= named
