"""The second prompting round of the paper's reference code: "So the final answer is".

For: what is asked again, and one answer made of both rounds. Not for: when there is a second round
(problem.py), or how its answers are scored (scoring/opro.py).
"""

from __future__ import annotations

from dataclasses import replace

from opro_local.scoring import opro
from opro_local.scoring.reading.thoughts import UNFINISHED, spoken
from opro_local.types import Completion, Prompt, Sampling

# It states an answer only; the reference asks for so few tokens.
SAMPLING = Sampling(opro.SECOND_ROUND_TOKENS, 0.0)


def asked_again(prompt: Prompt, answer: Completion) -> Prompt:
    """The first prompt, its answer, and "So the final answer is" (see scoring/opro.py).

    The answer becomes the beginning of the reply, so that a chat model goes on with its own words.
    """
    said = spoken(answer.text) or ""
    continued = opro.second_prompt("", said).lstrip()
    before = f"{prompt.prefill} " if prompt.prefill else ""
    if not prompt.chat:
        before = before or " "
    return replace(prompt, prefill=before + continued)


def combined(first: Completion, second: Completion) -> Completion:
    """The second round's answer with the tokens of both; truncated means that the first was cut."""
    # The reference's trimming: what stands after a colon, to the end of the line or the next
    # question.
    text = second.text if spoken(first.text) is not None else UNFINISHED
    text = text.strip(":").strip().partition("\n")[0].partition("Q:")[0]
    return Completion(
        text,
        first.finish_reason,
        first.prompt_tokens + second.prompt_tokens,
        first.cached_tokens + second.cached_tokens,
        first.completion_tokens + second.completion_tokens,
    )
