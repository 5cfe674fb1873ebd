"""Messages and sampling as the OpenAI API takes them, for `vllm serve` and its like.

For: one JSON object whose parts go into a request as they are. Not for: asking a server.

Fields that are vLLM's own stand in `extra_body`, as the openai client wants them. The repetition
penalty is among them because a server takes its default from the model's generation_config.json,
and the run took none.
"""

from __future__ import annotations

from typing import Any

from opro_local.exports.whole_prompt import WholePrompt, asked_to_json, json_text


def openai(whole: WholePrompt) -> str:
    """The JSON: `model`, `messages` or `prompt`, `sampling`, `extra_body`, and in `input` the
    marker that a row's text replaces.
    """
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
    fields = {"temperature": 0.0, "max_tokens": whole.max_tokens}
    # In a thought they would end it.
    is_ended = bool(whole.stop) and not whole.thinking_tokens
    return {**fields, **({"stop": list(whole.stop)} if is_ended else {})}


def extra_body(whole: WholePrompt) -> dict[str, Any]:
    """What vLLM takes beside the API's own fields."""
    body: dict[str, Any] = {"repetition_penalty": 1.0}
    if whole.prompt.chat and whole.template_args:
        body["chat_template_kwargs"] = dict(whole.template_args)
    if whole.prompt.chat and whole.prompt.prefill:
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    if whole.choices:
        body["structured_outputs"] = {"choice": list(whole.choices)}
    return body
