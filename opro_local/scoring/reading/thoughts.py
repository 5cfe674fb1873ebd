r"""What a model says once it has thought: the text after its thoughts, whoever reads it.

For: the marks that reasoning models put around their thoughts, with and without the opening one,
OpenAI's harmony channels (also as they read when special tokens are skipped), and a model's own
marks. Not for: whether a model thinks (models/thinking.py), or what an answer says (numbers.py and
its neighbours).

    spoken("<think>2 + 2 is 4</think>\n\n4")        # "\n\n4"
    spoken("2 + 2 is 4</think>4")                   # "4": the prompt opened the thought
    spoken("<think>2 + 2 is")                       # None: the thought did not end
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from opro_local.types import Completion, Thinking

PLAIN = Thinking()
# A thought that did not end, as every reader reads it: what stands in place of such a reply.
UNFINISHED = "<think>"

# The names of marks such as <name> and </name>: DeepSeek-R1, Qwen3, QwQ and most others; EXAONE;
# Seed-OSS; LongCat; and what prompts ask for.
_THINKING = r"""(?:
    (?: seed: | longcat_ )? think (?: ing )? | think (?: ing )? [_-]? aloud
  | thoughts? | (?: thought | thinking | reasoning ) [_-]? (?: process | steps? | trace )
  | inner [_-]? (?: monologue | thoughts? ) | internal [_-]? (?: monologue | thoughts? | reasoning )
)"""
_WORKING = r"""(?:
    reason (?: ing | s )? | reflect (?: ion | ions | ing )? | self [_-]? reflection
  | analysis | analy [sz] (?: e | ing ) | cot | chain [_-]? of [_-]? thoughts?
  | step [_-]? by [_-]? step
  | scratch (?: [_-]? pad )? | monologue | deliberat (?: e | ion | ing ) | ponder (?: ing )?
  | brainstorm (?: ing )? | contemplat (?: e | ion | ing ) | meditat (?: e | ion | ing )
  | rationale | working | workings | plan (?: ning )? | consider (?: ation | ations | ing )
  | introspection | self [_-]? critique | critique
)"""
# How such a mark is written: <think>, <|think|>, < think type="x" >, <|begin_of_think|>, [THINK].
_OPENING = rf"""
    <\|? [ ]? (?: (?: start | begin ) (?: [_-] of )? [_-] )?
    (?: {_THINKING} | (?P<worked> {_WORKING} ) )
    (?: \s [^<>]{{0,200}} )? \s{{0,4}} \|?>
  | \[ (?: {_THINKING} | (?P<listed> {_WORKING} ) ) \]
  | <\|im_start\|> [ ]? (?: {_THINKING} | {_WORKING} ) \b
"""
_CLOSING = rf"""
    <\|? [ ]? (?: / [ ]? | end (?: [_-] of )? [_-] )
    (?: {_THINKING} | {_WORKING} ) \s{{0,4}} \|?>
  | \[/ (?: {_THINKING} | {_WORKING} ) \]
  | (?: <\|im_end\|> \s* )? <\|im_start\|> [ ]? (?: answer | assistant | final ) \b
"""
# Marks of other forms, opening and closing.
_PAIRS = (
    ("◁think▷", "◁/think▷"),  # Kimi
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker, Sky-T1
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A Reasoning
    ("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    ("<unused94>", "<unused95>"),  # MedGemma
    ("<|channel>thought", "<channel|>"),  # Gemma
    ("Thinking...\n", "...done thinking."),  # Ollama's command line
)
# A text with none of these holds no mark of ours. Plain text is found faster than an expression.
_SIGNS = ("<", "[", "◁", "assistantfinal", "...done thinking.", "Thinking...")
# What a thinking model may put around what it says: the whole of it, or up to the end.
ENCLOSED = re.compile(
    r"""
    \s*
    (?:
        < (?P<tag> answer | response | solution | final_answer | final ) >
        (?P<tagged> .*? ) (?: </ (?P=tag) > | \Z )
      | <\|begin_of_solution\|> (?P<solution> .*? ) (?: <\|end_of_solution\|> | \Z )
      | <\|START_RESPONSE\|> (?P<response> .*? ) (?: <\|END_RESPONSE\|> | \Z )
    )
    \s* \Z
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
# One message of OpenAI's harmony format.
MESSAGE = re.compile(
    r"""
    <\|channel\|> \s* (?P<channel> \w+ ) [^<]{0,200} (?: <\|constrain\|> [^<]{0,80} )?
    <\|message\|>
    (?P<text> .*? )
    (?= <\| (?: end | return | start | call | channel ) \|> | \Z )
    """,
    re.DOTALL | re.VERBOSE,
)
CHANNEL = "<|channel|>"
# The same once its special tokens are skipped: "analysisWe need ...assistantfinalParis".
FINAL = "assistantfinal"
ANALYSIS = re.compile(r"\s*analysis(?=[A-Z\d\"“'(*])")
FINAL_ALONE = re.compile(r"\s*final(?=[A-Z\d\"“(\[{*$#-])")


def spoken(reply: str, thinking: Thinking = PLAIN) -> str | None:
    """The text after a reply's thoughts; None where a thought did not end.

    What stands before a thought is part of it. A reply without marks is returned as it is, unless
    the prompt left a thought open: then it is a thought that did not end.

    Args:
        reply: a model's whole reply.
        thinking: how this model thinks, where that is known.
    """
    if not thinking.marks and not _may_think(reply):
        return None if thinking.opened else reply
    if CHANNEL in reply or FINAL in reply:
        return _last_channel(reply)
    if ANALYSIS.match(reply):
        return None
    if alone := FINAL_ALONE.match(reply):
        return reply[alone.end() :]
    marks = list(_marks(thinking.marks).finditer(reply))
    if "[/" not in reply:
        # "[Analysis]" without an end is a heading.
        marks = [mark for mark in marks if not mark["listed"]]
    if not marks:
        return None if thinking.opened else reply
    if _open_marks(reply, marks):
        return None
    rest = reply[marks[-1].end() :]
    first = marks[0]
    if not rest.strip() and (first["worked"] or first["listed"]):
        # "positive <reason>it praises the food</reason>" gives its reason after the answer.
        return reply[: first.start()]
    return _enclosed(rest)


def without_thoughts(completion: Completion, thinking: Thinking = PLAIN) -> Completion:
    """The completion with what it says as its text; one with a thought that did not end counts as
    cut, and says `UNFINISHED`. Its tokens stay those that were written.
    """
    if completion.finish_reason in ("too_long", "failed"):
        return completion
    text = spoken(completion.text, thinking)
    if text is None:
        return replace(completion, text=UNFINISHED, finish_reason="length")
    return completion if text == completion.text else replace(completion, text=text)


def _may_think(reply: str) -> bool:
    """Whether a reply may hold a mark."""
    # A plain loop: every answer passes here, and a generator takes three times as long.
    for sign in _SIGNS:
        if sign in reply:
            return True
    start = reply[:20].lstrip()
    return start.startswith(("analysis", "final"))


def _open_marks(reply: str, marks: Sequence[re.Match[str]]) -> int:
    """How many thoughts are open at the end of a reply: one within another closes by itself.

    A mark that repeats the one right before it, as the template and then the model write it, is
    the same one.
    """
    depth, end = 0, -1
    for mark in marks:
        if mark["closing"]:
            depth = max(0, depth - 1)
        elif not (depth and end >= 0 and not reply[end : mark.start()].strip()):
            depth += 1
        end = mark.end() if mark["opening"] else -1
    return depth


def _last_channel(reply: str) -> str | None:
    """The last message to the user; None where there is none yet."""
    messages = [match for match in MESSAGE.finditer(reply) if match["channel"] == "final"]
    if messages:
        return messages[-1]["text"]
    _, final, text = reply.rpartition(FINAL)
    return text if final else None


def _enclosed(text: str) -> str:
    """What a model says without the tags that it put around it."""
    match = ENCLOSED.fullmatch(text)
    if not match:
        return text
    return next(part for part in match.group("tagged", "solution", "response") if part is not None)


@lru_cache(maxsize=64)
def _marks(own: tuple[tuple[str, str], ...]) -> re.Pattern[str]:
    """Finds opening and closing marks, a model's own among them."""
    pairs = (*own, *_PAIRS)
    opening = "|".join(re.escape(first) for first, _ in pairs)
    closing = "|".join(re.escape(last) for _, last in pairs)
    return re.compile(
        rf"(?P<opening>(?x:{_OPENING})|{opening})|(?P<closing>(?x:{_CLOSING})|{closing})",
        re.IGNORECASE,
    )
