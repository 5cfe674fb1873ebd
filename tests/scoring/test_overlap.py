"""Rules for generated text: values worked out by hand or known, and what is refused."""

from __future__ import annotations

import pytest

from opro_local.errors import UsageError
from opro_local.scoring.choosing import make_rule
from opro_local.types import Example

TARGET = "the cat sat on the mat"
NAMES = ("rouge", "token_f1", "bleu", "chrf")


def earned(name, answer, target=TARGET, pattern=None):
    rule = make_rule(name, pattern=pattern)
    values, failed = rule.score([answer], [Example("train:0", {}, "x", target, "f.csv:2")])
    return None if failed[0] else float(values[0])


@pytest.mark.parametrize(
    ("name", "pattern", "answer", "value"),
    [
        # Of six words each, in order: the, cat, on, the, mat.
        ("rouge", None, "the cat lay on the mat", 5 / 6),
        ("rouge", "rouge1", "mat the on sat cat the", 1),
        # Of five pairs each: the cat, on the, the mat.
        ("rouge", "rouge2", "the cat lay on the mat", 3 / 5),
        ("rouge", None, "nothing else", 0),
        # Without articles: cat, on, mat of four each.
        ("token_f1", None, "The cat lay on a mat.", 3 / 4),
        ("token_f1", None, "cat cat", 2 * 1 / (2 + 4)),
        ("token_f1", None, "dogs", 0),
        ("bleu", None, "nothing else here at all", 0),
        ("chrf", None, "xyz", 0),
    ],
)
def test_what_a_text_earns(name, pattern, answer, value):
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    assert earned(name, answer, pattern=pattern) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "target", [TARGET, "Der Bär läuft heute", "東京は日本の首都です", "Да, это так"]
)
def test_the_target_earns_all_and_an_empty_answer_fails(name, target):
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    assert earned(name, target, target) == pytest.approx(1, abs=1e-6)
    assert earned(name, " \n", target) is None
    assert 0 <= earned(name, "something else", target) < 0.5


def test_more_of_the_target_earns_more():
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    for name in NAMES:
        values = [earned(name, answer) for answer in ("a dog", "the cat sat down", TARGET)]
        assert values == sorted(values) and values[0] < values[1] < values[2], name


def test_a_kind_of_rouge_that_is_none():
    with pytest.raises(UsageError, match="no kind 'rouge9'; accepted: rouge1, rouge2, rougeL"):
        make_rule("rouge", pattern="rouge9")


@pytest.mark.parametrize(
    ("name", "package"),
    [("rouge", "rouge-score"), ("bleu", "sacrebleu"), ("chrf", "sacrebleu")],
)
def test_a_package_that_is_not_installed_is_named(name, package, monkeypatch):

    def absent(place, *rest):
        raise ImportError(place)

    monkeypatch.setattr("opro_local.scoring.overlap.import_module", absent)
    message = (
        rf"needs the package {package}, which is not installed; pip install 'opro-local\[text\]'"
    )
    with pytest.raises(UsageError, match=message):
        make_rule(name)
