"""Rules for generated text: how much of the target an answer has, in words, n-grams or characters.

For: `rouge`, `token_f1`, `bleu` and `chrf`, graded from 0 to 1; rouge and sacrebleu are the
packages of the extra `text`. Not for: short answers that are right or wrong (rules.py), meaning (a
judge, judge.py). An empty answer is a failed extraction.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from importlib import import_module
from typing import Any

from opro_local.errors import UsageError
from opro_local.scoring.reading.normal import folded, typed
from opro_local.scoring.reading.words import is_unspaced
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example

ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
# SQuAD's evaluation leaves these out (Rajpurkar et al. 2016, arXiv 1606.05250).
ARTICLES = frozenset(("a", "an", "the"))
WORD = re.compile(r"\w+")


def token_f1() -> Rule:
    """F1 of the answer's words and the target's, as SQuAD counts it: case, punctuation and English
    articles aside, each word as often as it occurs. Chinese, Japanese and Thai by sign.
    """

    def verdict(answer: str, gold: Counter[str]) -> float:
        words = _words(answer)
        if not words:
            return FAILED
        shared = (Counter(words) & gold).total()
        return 2 * shared / (len(words) + gold.total()) if shared else 0.0

    return Rule("token_f1", _said, lambda example: Counter(_words(example.target)), verdict)


def rouge(kind: str | None = None) -> Rule:
    """F-measure of ROUGE (Lin 2004), by the package rouge-score, without stemming.

    Args:
        kind: one of `ROUGES`; None is "rougeL".

    Raises:
        UsageError: another kind, or the package is not installed.
    """
    kind = kind or "rougeL"
    if kind not in ROUGES:
        raise UsageError(f"the rule rouge has no kind {kind!r}", f"accepted: {', '.join(ROUGES)}")
    module = _package("rouge_score.rouge_scorer", "rouge")
    scorer = module.RougeScorer([kind], tokenizer=_Tokenizer())

    def measure(answer: str, target: str) -> float:
        return float(scorer.score(target, answer)[kind].fmeasure)

    return _graded("rouge", measure)


def bleu() -> Rule:
    """Sentence BLEU (Papineni et al. 2002) by sacrebleu, with its smoothing and its tokenizer for
    the target's script; divided by 100.

    Raises:
        UsageError: the package is not installed.
    """
    module = _package("sacrebleu.metrics", "bleu")
    spaced = module.BLEU(effective_order=True)
    signs = module.BLEU(effective_order=True, tokenize="char")

    def measure(answer: str, target: str) -> float:
        metric = signs if any(map(is_unspaced, target)) else spaced
        return float(metric.sentence_score(answer, [target]).score) / 100

    return _graded("bleu", measure)


def chrf() -> Rule:
    """Sentence chrF (Popovic 2015), F2 of character 6-grams, by sacrebleu; divided by 100.

    Raises:
        UsageError: the package is not installed.
    """
    metric = _package("sacrebleu.metrics", "chrf").CHRF()

    def measure(answer: str, target: str) -> float:
        return float(metric.sentence_score(answer, [target]).score) / 100

    return _graded("chrf", measure)


def _graded(name: str, measure: Callable[[str, str], float]) -> Rule:
    def verdict(answer: str, gold: str) -> float:
        # Scores come a hair above 1.
        return min(1.0, measure(answer, gold)) if answer.strip() else FAILED

    return Rule(name, _said, _target, verdict)


def _target(example: Example) -> str:
    return example.target


def _said(answer: str) -> str | None:
    return folded(answer) or None


def _words(text: str) -> list[str]:
    """The words of a text without English articles, where anything else is left."""
    words = tokens(text)
    return [word for word in words if word not in ARTICLES] or words


def tokens(text: str) -> list[str]:
    """The words of a text in folded case; the signs of scripts without spaces."""
    words = []
    for word in WORD.findall(typed(text).casefold()):
        words += list(word) if is_unspaced(word[0]) else [word]
    return words


class _Tokenizer:
    """rouge-score's own tokenizer drops all but a-z and 0-9."""

    def tokenize(self, text: str) -> list[str]:
        """See `tokens`."""
        return tokens(text)


def _package(place: str, rule: str) -> Any:
    """A module of the extra `text`."""
    try:
        return import_module(place)
    except ImportError:
        package = place.partition(".")[0].replace("_", "-")
        raise UsageError(
            f"the rule {rule} needs the package {package}, which is not installed",
            "pip install 'opro-local[text]'",
        ) from None
