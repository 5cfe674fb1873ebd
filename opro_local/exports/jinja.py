"""A Jinja2 template of the prompt: a text, or the messages of a chat as JSON.

For: whoever renders prompts with Jinja2. Its variables are `input` and, where the prompt shows
other columns, `columns`. Not for: environments that escape HTML; autoescape has to be off.
"""

from __future__ import annotations

from collections.abc import Mapping

from opro_local.exports.pieces import jinja_expression, jinja_lines, literal
from opro_local.exports.whole_prompt import WholePrompt, messages

NOTE = "{{#- From opro-local, for {model}. Variables: {names}; autoescape off. -#}}\n"


def jinja(whole: WholePrompt) -> str:
    """The template. A chat's renders to a JSON array of messages."""
    variables = variables_of(whole)
    # Both end the comment.
    model = str(whole.model.get("name", "")).replace("#}", "").replace("-#", "")
    names = "input, columns" if whole.columns else "input"
    head = NOTE.format(model=model, names=names)
    if not whole.prompt.chat:
        text = whole.prompt.text + whole.prompt.prefill
        return head + jinja_lines(text, whole.markers, variables) + "\n"
    return head + _chat(whole, variables) + "\n"


def variables_of(whole: WholePrompt) -> dict[str, str]:
    """The expression for each value that a row gives."""
    others = {name: f"columns[{literal(name)}]" for name in whole.columns}
    return {"input": "input", **others}


def _chat(whole: WholePrompt, variables: Mapping[str, str]) -> str:
    """The array. A system message of which a row leaves nothing is left out."""
    entries = []
    for one in messages(whole.prompt):
        content = jinja_expression(one["content"], whole.markers, variables)
        entries.append(f'{{"role": "{one["role"]}", "content": {{{{ ({content}) | tojson }}}}}}')
    if not whole.may_lose_system:
        return "[\n" + ",\n".join(entries) + "\n]"
    system = jinja_expression(whole.prompt.system or "", whole.markers, variables)
    first = f"{{% if {system} %}}{entries[0]},\n{{% endif %}}"
    return f"[\n{first}" + ",\n".join(entries[1:]) + "\n]"
