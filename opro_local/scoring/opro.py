"""The paper's scoring rule: the verdicts of google-deepmind/opro's evaluation code, to repeat the
paper's numbers.

For: what an answer earns under the rule of arXiv 2309.03409, and its second prompting round. Not
for: users' own data, where the default rules (rules.py) judge better: here "not sure" is
a right "no", because that is what the paper's accuracies rest on. How answers are read is in
reading/paper.py; docs/scoring-opro.md has the rule in prose.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from opro_local.errors import UsageError
from opro_local.scoring.reading import numbers
from opro_local.scoring.reading.paper import BITS, BOOLEANS, read, read_second, without_punctuation
from opro_local.scoring.rule import FAILED, Rule
from opro_local.types import Example

KINDS = ("number", "boolean", "choice", "text")

SECOND_ROUND = "So the final answer is"
SECOND_ROUND_TOKENS = 50

# What divides a prompt into its options: "(A)" or "A:", anywhere.
OPTION = re.compile(r"\([A-Z]\)|A:")
SYMBOL = re.compile(r"\([A-Z]\)")
# A letter in small type, as a target or a reading is: "(b)" or "b".
LETTER = re.compile(r"\((?P<enclosed>[a-z])\)|(?P<bare>[a-z])")
# These are spelled out ("<PERIOD>") where an option's text is compared, so that they never equal
# it.
SENTENCE_ENDS = re.compile("[!?.]")
CHOICE_TARGET = re.compile(r"\([A-Za-z]\)|[A-Z]")


def of_kind(kind: str, targets: Sequence[str]) -> Rule:
    """The paper's rule for this kind of answer; for "auto" the targets decide."""
    return opro(kind_of(targets) if kind == "auto" else kind)


def opro(kind: str, rounds: int = 1) -> Rule:
    """The paper's rule for one kind of answer.

    An answer earns 1 or 0. `extract` gives the reading in lower case, never None; an empty reading
    that earns nothing is a failed extraction. The kind choice reads the options from the example's
    input, which should be the prompt as the scorer saw it; without any input it is scored like
    text.

    Args:
        kind: number, boolean, choice or text ("auto" is `kind_of`'s business).
        rounds: 2 if the answers are those to `second_prompt`.

    Raises:
        UsageError: there is no such kind.
    """
    if kind not in KINDS:
        raise UsageError(f"the rule opro has no kind {kind!r}", f"accepted: {', '.join(KINDS)}")
    reading = partial(read if rounds == 1 else read_second, kind)
    contained = kind != "number"

    def gold(example: Example) -> Gold | Options | None:
        if kind == "choice" and example.input:
            return options(example.input, example.target)
        return plain_gold(example.target, contained)

    def verdict(answer: str, gold: Gold | Options | None) -> float:
        said = reading(answer)
        if gold is not None and gold.accepts(said):
            return 1.0
        return 0.0 if said else FAILED

    return Rule("opro", reading, gold, verdict)


@dataclass(frozen=True, slots=True)
class Gold:
    """What a number, a Boolean or a text is compared with.

    Attributes:
        target: the target in lower case.
        bare: the target without punctuation.
        truth: "true" or "false" where the target is a Boolean word, else None.
        contained: whether a reading that holds the target anywhere is right.
    """

    target: str
    bare: str
    truth: str | None
    contained: bool

    def accepts(self, said: str) -> bool:
        """Whether a reading is right: holds the target, equals it but for punctuation, or is as
        true ("1" is yes).
        """
        if self.contained and self.target in said:
            return True
        if without_punctuation(said) == self.bare:
            return True
        return self.truth is not None and BITS.get(said, said).strip() == self.truth


def plain_gold(target: str, contained: bool) -> Gold:
    """The gold of a target that is no choice."""
    target = target.lower()
    return Gold(target, without_punctuation(target), BOOLEANS.get(target), contained)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a choice, seen from the right one. Everything is in lower case.

    Attributes:
        target: the target as it is written, "b" or "(b)".
        letter: its letter.
        text: the right option's text, to the end of its line.
        others: the texts of the other options, as far as the letters follow each other from A.
        distinct: whether no other option's text holds the right one's.
    """

    target: str
    letter: str
    text: str
    others: tuple[str, ...]
    distinct: bool

    def accepts(self, said: str) -> bool:
        """Whether a reading is right: it holds the target, is its letter or its text, or holds its
        text alone.

        "b" as a target is held by every answer with a b in it.
        """
        if self.target in said or without_punctuation(said) == self.letter:
            return True
        if LETTER.fullmatch(said):
            said = said.strip("()")
        elif said in string.ascii_lowercase:
            # Any stretch of the alphabet passes for a letter in the paper's code: "no", "hi", and
            # the empty reading.
            said = f"({said})"
        return self._is_text(said) or self._holds_text_alone(said)

    def _is_text(self, said: str) -> bool:
        if said == self.text:
            return True
        return SENTENCE_ENDS.search(said) is None and without_punctuation(said) == self.text

    def _holds_text_alone(self, said: str) -> bool:
        """Whether the right text is in the reading and no other is in the rest, or anywhere if the
        texts overlap.
        """
        if self.text not in said:
            return False
        rest = said.replace(self.text, "") if self.distinct else said
        return not any(other in rest for other in self.others)


def options(prompt: str, target: str) -> Options | None:
    """The options a prompt shows, seen from the target; None if the target is no letter or has no
    option.

    An option reaches from its "(A)" to the next such mark or "A:" and to the end of the line. They
    are counted, not read: the second mark in the prompt starts option B, whatever its letter. The
    paper's code scores 0 where the target is no letter, and fails with an IndexError where the
    target has no option; here that scores 0 as well.
    """
    target = target.lower()
    match = LETTER.fullmatch(target)
    if not match:
        return None
    letter = match["enclosed"] or match["bare"]
    index = ord(letter) - ord("a")
    texts = [part.strip().lower().partition("\n")[0] for part in OPTION.split(prompt)[1:]]
    if index >= len(texts):
        return None
    shown = set(SYMBOL.findall(prompt))
    # The paper's code counts letters from A on until one is missing.
    last = 0
    while last < 26 and f"({string.ascii_uppercase[last]})" in shown:
        last += 1
    right = texts[index]
    others = tuple(text for at, text in enumerate(texts[:last]) if at != index)
    distinct = not any(right in other for other in others)
    return Options(target, letter, right, others, distinct)


def kind_of(targets: Sequence[str]) -> str:
    """The kind of answers that these targets have: numbers, Boolean words, choice letters, or else
    text.

    It gives what the paper's code sets by hand for each of its tasks. A lone small letter is no
    choice: "a" is text.
    """
    if not targets:
        return "text"
    if all(is_number(target) for target in targets):
        return "number"
    if all(target.strip().lower() in BOOLEANS for target in targets):
        return "boolean"
    if all(CHOICE_TARGET.fullmatch(target.strip()) for target in targets):
        return "choice"
    return "text"


def is_number(target: str) -> bool:
    """Whether a target is one finite number, thousands separators and currencies allowed."""
    if any(map(str.isdigit, target)) and numbers.is_number(target):
        return True
    try:
        return math.isfinite(float(target))
    except ValueError:
        return False


def second_prompt(prompt: str, answer: str) -> str:
    """The prompt of the second round, in which the scorer states its answer in a few tokens.

    Args:
        prompt: the prompt of the first round.
        answer: the raw answer to it; a question that the model goes on with ("Q:") is left out.
    """
    return f"{prompt} {answer.partition('Q:')[0].strip()} {SECOND_ROUND}"
