"""Instructions that give away the rows the optimizer was shown."""

import pytest

from opro_local.problems.prompt.leaks import leak

SHOWN = [
    {"question": "The bank import wizard closes without any message.", "target": "technical"},
    {"question": "How many apples are left in the basket?", "target": "seventeen"},
]
LABELS = ["technical", "billing"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Is this billing or technical?", None),
        ("Say whether the wizard of an import closes.", None),
        ('For "the bank import wizard closes without any warning" say technical.', "copied"),
        ("How many apples are left in the basket?", "copied"),
        ("Count them; there are seventeen.", "leaked"),
        ("Answer: technical", "echo"),
        ("Accuracy: 90", "echo"),
        ("Answer with one word.", None),
    ],
)
def test_reasons(text, reason):
    found = leak(text, SHOWN, LABELS)
    assert found is None if reason is None else found.startswith(reason + ":")


def test_a_number_that_stands_in_a_longer_one_is_no_leak():
    shown = [{"question": "2+2", "target": "42"}]
    assert leak("Use 420 words.", shown, []) is None and leak("It is 42.", shown, []).startswith(
        "leaked"
    )
