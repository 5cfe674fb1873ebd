"""Which proposed texts are instructions: tidied, and filtered by what config and task forbid.

For: one solution or one reason per text. Not for: what is taken off a reply (wording.py), rows that
are given away (leaks.py), or texts that were there before (admission.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from opro_local.config.settings import Config
from opro_local.problems.filters import filters, first_reason
from opro_local.problems.prompt.wording import is_several, printable, undressed, words_of
from opro_local.search.required import SINCE, lacking, restored
from opro_local.types import Solution

CODE_OFTEN = 3  # rows that share a number on average, where numbers are codes of classes


class Proposals:
    """Makes solutions of proposed texts.

    Args:
        config: `search` and `task` are read.
        targets: those of the train rows.
        rule: how answers are scored.
    """

    def __init__(self, config: Config, targets: Sequence[str], rule: str) -> None:
        self._cleans = config.search.revision >= 2
        # Digits in an instruction may be an answer where targets are numbers (paper, section 5.1),
        # unless they are codes of classes.
        is_coded = config.task.name == "table" and len(targets) >= CODE_OFTEN * len({*targets})
        is_numeric = rule == "number" and not (self._cleans and is_coded)
        self._search = config.search
        self._filters = filters(config, is_numeric)
        self._part_filters = filters(config, is_numeric, part=True)

    def parse(self, text: str, part: bool = False) -> Solution | str:
        """Tidy a proposed instruction (as the paper does: strip, no `**`, capital first letter),
        then filter it. A `part` need not hold what the whole instruction must.
        """
        if self._cleans and is_several(text):
            return "several: a list of proposals, where one was asked for"
        if self._cleans:
            text = restored(self._search, text)
            text = self._keeping(printable(text).strip(), undressed(text))
        else:
            text = text.replace("**", "").strip().strip('"“”').strip()
        text = self._keeping(text, text[:1].upper() + text[1:])
        if not text or (self._cleans and not words_of(text)):
            return "empty"
        checks = self._part_filters if part else self._filters
        return first_reason(checks, text) or Solution(text)

    def _keeping(self, before: str, after: str) -> str:
        """The tidied text, or the one before where tidying took away what a text must hold."""
        if self._search.revision < SINCE or not self._search.required:
            return after
        lost = set(lacking(self._search, after)) - set(lacking(self._search, before))
        return before if lost else after
