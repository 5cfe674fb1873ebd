"""A scripted optimizer that writes as a capable model does, and a scorer on which its instructions
have known effects: for forms, limits, shortening, reflection and context handling end to end. It
proves mechanics only, and says nothing of what any model gains.

A row is of a kind, and the scorer gets it right where the instruction has the kind's clause. The
optimizer writes the clauses of the kinds that it is shown, in well-formed texts of a given length.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from opro_local.types import Request

# What a row says of its kind, and the clause that has rows of the kind answered right.
CLAUSES = {
    "never": "A negated phrase turns the judgement around.",
    "oh great": "Sarcasm means the opposite of its words.",
    "on balance": "Of a mixed review count only what the last sentence says.",
    "stars": "A number of stars decides against all words.",
}
FILLER = (
    "You are an experienced editor who reads customer reviews of small shops every day.",
    "Read the whole review before you decide, and do not stop at the first strong word.",
    "Think of what the writer would tell a friend who asks whether to buy there again.",
    "Spelling, length and politeness say nothing about the judgement, so leave them aside.",
    "If a review speaks of several things, ask which of them mattered most to the writer.",
    "Names of products, towns and people are no sign of praise or of blame by themselves.",
    "Write nothing but the label itself, without a full stop, a reason or a greeting.",
    "Treat every review alike, whether it comes from a new customer or an old one.",
    "When the writer compares with another shop, judge what is said about this one.",
    "Keep to the same standard from the first review of the day to the last one.",
)
TOLD = re.compile(r"at most (?P<count>[\d,]+) characters")
TAGS = re.compile(r"<(?P<tag>\w+)>(?P<text>.*?)</(?P=tag)>", re.DOTALL)


def write_kinds(path: Path, rows: int = 96) -> Path:
    """A table of reviews, every fourth of each kind, half of each positive."""
    lines = ["text,label"]
    for number in range(rows):
        kind = list(CLAUSES)[number % len(CLAUSES)]
        label = ("positive", "negative")[number // len(CLAUSES) % 2]
        lines.append(f"Review {number} of a shop: {kind} it was bought {number} days ago,{label}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def capable(length: int, heeds: bool = True) -> Callable[[Request], str]:
    """A script for both roles.

    Args:
        length: characters of a proposal, a tenth more or less.
        heeds: whether a limit that the meta-prompt tells is kept to.
    """

    def reply(request: Request) -> str:
        if request.sampling.seed is None:
            return answer(request.prompt.text + str(request.prompt.system))
        return _dressed(request, _proposal(request, length, heeds))

    return reply


def answer(prompt: str) -> str:
    """The label, right where the clause of the row's kind is there; else right by chance."""
    row = re.findall(r"Review (\d+) of a shop: (.*?) it was", prompt)[-1]
    number, kind = int(row[0]), row[1]
    right = number // len(CLAUSES) % 2
    if CLAUSES[kind] not in prompt:
        right = zlib.crc32(prompt.encode()) % 2
    return ("positive", "negative")[right]


def _proposal(request: Request, length: int, heeds: bool) -> str:
    prompt, chance = request.prompt.text, random.Random(request.sampling.seed)
    told = TOLD.search(prompt)
    most = int(told["count"].replace(",", "")) if told else 0
    if "is too long: it has" in prompt:
        text = TAGS.search(prompt)["text"]
        return _filled([clause for clause in CLAUSES.values() if clause in text], most, chance)
    wanted = round(length * chance.uniform(0.9, 1.1))
    if heeds and most:
        wanted = min(wanted, most)
    seen = re.findall(r"Input: (?P<row>.*)", prompt)
    kinds = [kind for kind in CLAUSES if any(kind in row for row in seen)]
    known = [clause for clause in CLAUSES.values() if clause in prompt]
    clauses = dict.fromkeys([*known, *(CLAUSES[kind] for kind in kinds)])
    return _filled(list(clauses), wanted, chance)


def _filled(clauses: list[str], length: int, chance: random.Random) -> str:
    """An instruction of about so many characters and no more, with these clauses."""
    sentences = ["Say whether the review is positive or negative.", *clauses]
    spare = [*FILLER, *(f"{line[:-1]}, as was said above." for line in FILLER)]
    chance.shuffle(spare)
    for line in spare:
        if len(" ".join([*sentences, line])) <= length:
            sentences.insert(1, line)
    return " ".join(sentences)


def _dressed(request: Request, text: str) -> str:
    """The text in the marks that the form asks for."""
    constraint = request.sampling.constraint
    if constraint is None:
        return text
    if constraint.kind == "json":
        return json.dumps({"cause": "the wording is misread", "instruction": text})
    if constraint.value.startswith("\\["):
        return f"[{text}]"
    tag = re.findall(r"</(\w+)>", request.prompt.text)[-1]
    return f"<{tag}>{text}</{tag}>"
