"""The words of a verdict, when each is said, and that each is written down once."""

import ast

import pytest
from running import ROOT

from opro_local.scoring import verdicts
from opro_local.scoring.verdicts import GAIN, LOSS, NO_GAIN, NOT_TESTED, is_more, verdict
from opro_local.stats import Difference

# But "not tested", which is said of models, too.
WORDS = {getattr(verdicts, name) for name in vars(verdicts) if name.isupper()} - {NOT_TESTED}


def literals(text: str) -> set[str]:
    """The texts in a module that are the whole of a literal."""
    nodes = ast.walk(ast.parse(text))
    return {one.value for one in nodes if isinstance(one, ast.Constant)}


def test_no_module_but_one_writes_a_verdict_down():
    assert "reliable gain" in WORDS and len(WORDS) == 5
    again = []
    for file in sorted((ROOT / "opro_local").rglob("*.py")):
        text = file.read_text("utf-8")
        if any(word in text for word in WORDS) and WORDS & literals(text):
            again.append(file.relative_to(ROOT).as_posix())
    assert again == ["opro_local/scoring/verdicts.py"]


@pytest.mark.parametrize(
    ("interval", "p_value", "word"),
    [
        ((0.01, 0.2), 0.04, GAIN),
        ((0.01, 0.2), 0.05, NO_GAIN),
        ((0.0, 0.2), 0.04, NO_GAIN),
        ((-0.2, -0.01), 0.04, LOSS),
        ((-0.2, -0.01), 0.05, NO_GAIN),
    ],
)
def test_a_word_needs_the_p_value_and_the_interval(interval, p_value, word):
    difference = Difference(sum(interval) / 2, interval, p_value)
    assert verdict(difference, 0.05) == word
    assert is_more(difference, 0.05) == (word == GAIN)
    assert is_more(None, 0.05)
