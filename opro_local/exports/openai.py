"""Messages and sampling as the OpenAI API takes them, for `vllm serve` and its like.

For: one JSON object whose parts go into a request as they are. Not for: asking a server.

Fields that are vLLM's own stand in `extra_body`, as the openai client wants them. The repetition
penalty is among them because a server takes its default from the model's generation_config.json,
and the run took none.
"""

from __future__ import annotations

from typing import Any

from opro_local.errors import UsageError
from opro_local.exports.whole_prompt import WholePrompt, asked_to_json, json_text


def openai(whole: WholePrompt) -> str:
    """The JSON: `model`, `messages` or `prompt`, `sampling`, `extra_body`, and in `input` the
    marker that a row's text replaces.
    """
    if whole.label_bias and not logit_bias(whole):
        raise UsageError(
            "openai: two labels begin with the same token, or their tokens are not known, so that "
            "no logit_bias can hold the bias per label",
            "use the format python, whose function chooses by the labels' log-probabilities, or "
            "opro-local predict",
        )
    record = {
        "model": whole.model.get("name", ""),
        **asked_to_json(whole.prompt),
        "input": whole.input,
        **({"columns": dict(whole.columns)} if whole.columns else {}),
        "sampling": sampling(whole),
        "extra_body": extra_body(whole),
    }
    return json_text(record, indent=2) + "\n"


def sampling(whole: WholePrompt) -> dict[str, Any]:
    """The fields of a request that say how a reply is drawn."""
    fields: dict[str, Any] = {"temperature": 0.0, "max_tokens": whole.max_tokens}
    if whole.label_bias:
        fields["logit_bias"] = logit_bias(whole)
    # In a thought they would end it.
    is_ended = bool(whole.stop) and not whole.thinking_tokens
    return {**fields, **({"stop": list(whole.stop)} if is_ended else {})}


def logit_bias(whole: WholePrompt) -> dict[str, float]:
    """What is added to the first token of each label, by its id; {} where that is not known.

    With labels of one token it chooses as the run did. Of longer ones the first token alone is
    weighed, and the run weighed the whole label.
    """
    known = whole.label_bias or {}
    tokens = known.get("first_tokens", {})
    return {str(token): known["bias"][label] for label, token in tokens.items()}


def extra_body(whole: WholePrompt) -> dict[str, Any]:
    """What vLLM takes beside the API's own fields."""
    body: dict[str, Any] = {"repetition_penalty": 1.0}
    if whole.prompt.chat and whole.template_args:
        body["chat_template_kwargs"] = dict(whole.template_args)
    if whole.prompt.chat and whole.prompt.prefill:
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    choices = list(whole.choices or (whole.label_bias or {}).get("bias", ()))
    if choices:
        body["structured_outputs"] = {"choice": choices}
    return body
