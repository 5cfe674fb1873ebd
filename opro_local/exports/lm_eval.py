"""A task of lm-evaluation-harness: its YAML with the prompt, to be scored on further rows there.

For: `lm_eval --include_path FOLDER --tasks NAME`, for a chat with `--apply_chat_template` and, with
worked examples, `--fewshot_as_multiturn`. Not for: the run's own rule. The harness compares texts
(`exact_match` without case and punctuation), so its figures differ where a rule reads an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from opro_local.errors import UsageError
from opro_local.exports.pieces import jinja_lines
from opro_local.exports.whole_prompt import WholePrompt
from opro_local.exports.yaml_text import yaml_text

VARIABLE = re.compile(r"[A-Za-z_]\w*")
KINDS = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}

HEAD = """\
# From opro-local, for {model}. Put this file in a folder of its own and name the rows below:
#   lm_eval --include_path FOLDER --tasks {task}{switches} ...
"""


def lm_eval(whole: WholePrompt) -> str:
    """The YAML.

    Raises:
        UsageError: a column's name is no variable of Jinja's, or a worked example's answer is one
            that the harness would read as Python.
    """
    task = "opro_" + re.sub(r"\W+", "_", str(whole.run.get("name", "prompt")))
    variables = _variables(whole)
    switches = " --apply_chat_template" if whole.prompt.chat else ""
    if whole.prompt.turns:
        switches += " --fewshot_as_multiturn"
    model = " ".join(str(whole.model.get("name", "")).split())
    head = HEAD.format(model=model, task=task, switches=switches)
    settings = {
        "task": task,
        **_rows(whole),
        "output_type": "generate_until",
        **_asked(whole, variables),
        "doc_to_target": f"{{{{ {variables['target']} }}}}",
        "target_delimiter": "",
        "fewshot_delimiter": "",
        "generation_kwargs": {
            "until": [] if whole.thinking_tokens else list(whole.stop),
            "do_sample": False,
            "temperature": 0.0,
            "max_gen_toks": whole.max_tokens,
        },
        "metric_list": [
            {
                "metric": "exact_match",
                "aggregation": "mean",
                "higher_is_better": True,
                "ignore_case": True,
                "ignore_punctuation": True,
            }
        ],
        "metadata": {"version": 1.0},
    }
    return head + yaml_text(settings)


def _variables(whole: WholePrompt) -> dict[str, str]:
    """The variable for each value that a row gives, and for its target: a column's own name."""
    target = str(whole.data.get("target", "target"))
    named = {"input": whole.column, **{name: name for name in whole.columns}, "target": target}
    for column in named.values():
        if not VARIABLE.fullmatch(column):
            raise UsageError(
                f"lm-eval: the column {column!r} can't be named in a template of Jinja's",
                "rename it to letters, digits and underscores, and search again",
            )
    return named


def _rows(whole: WholePrompt) -> dict[str, Any]:
    """Where the rows come from: a file of the run's, by its name."""
    file = next(reversed(whole.data.get("files") or ["rows.jsonl"]))
    suffix = PurePath(file).suffix.lower()
    separated = {"sep": "\t"} if suffix == ".tsv" else {}
    return {
        "dataset_path": KINDS.get(suffix, "json"),
        "dataset_kwargs": {"data_files": {"test": file}, **separated},
        "test_split": "test",
    }


def _asked(whole: WholePrompt, variables: Mapping[str, str]) -> dict[str, Any]:
    """The fields that make the prompt."""
    prompt = whole.prompt

    def template(text: str) -> str:
        return jinja_lines(text, whole.markers, variables)

    if not prompt.chat:
        return {"doc_to_text": template(prompt.text + prompt.prefill), "num_fewshot": 0}
    fields: dict[str, Any] = {"doc_to_text": template(prompt.text), "num_fewshot": 0}
    if prompt.system:
        fields["description"] = template(prompt.system)
    if prompt.prefill:
        fields["gen_prefix"] = template(prompt.prefill)
    if prompt.turns:
        fields["num_fewshot"] = len(prompt.turns)
        fields["fewshot_config"] = {
            "sampler": "first_n",
            "samples": [_turn(user, answer) for user, answer in prompt.turns],
            "doc_to_text": "{{user}}",
            "doc_to_target": "{{assistant}}",
            "gen_prefix": "",
        }
    return fields


def _turn(user: str, answer: str) -> dict[str, str]:
    if not answer or (answer[0] == "[" and answer[-1] == "]"):
        raise UsageError(
            f"lm-eval: the harness takes the worked answer {answer[:40]!r} for no text",
            "use another format",
        )
    return {"user": user, "assistant": answer}
