"""A card for the prompt: what it is for, its data, model, scores with intervals, and its limits.

For: people who decide whether to use it. Not for: programs, which take best.json.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from opro_local.exports.whole_prompt import WholePrompt, messages
from opro_local.scoring.verdicts import GAIN, NO_MORE_THAN_CONSTANT

SPLITS = {
    "train": "the search was steered by it",
    "validation": "the prompt was chosen by it",
    "test": "opened once, for both",
}
SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|!~&]")


def markdown(whole: WholePrompt) -> str:
    """The card."""
    parts = [
        f"# {_plain(whole.run.get('name') or 'A prompt')}",
        _purpose(whole),
        _prompt(whole),
        _scores(whole),
        _facts(whole),
        _limits(whole),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(value: Any) -> str:
    """A value within a line: nothing in it is markup."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(str(value).split()))


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def _purpose(whole: WholePrompt) -> str:
    task, model = whole.data.get("description"), _plain(whole.model.get("name", ""))
    about = f"For: {_plain(task)}. " if task else ""
    read = whole.rule.get("name", "")
    return (
        f"{about}It answers rows of the column {_plain(whole.column)} with the model {model}; "
        f"answers were read by the rule {_plain(read)}."
    )


def _prompt(whole: WholePrompt) -> str:
    place = f"`{whole.input}` stands for the row."
    count = len(whole.demonstrations)
    shown = f" It shows {count} worked example{'s' * (count > 1)}." if count else ""
    prompt = whole.prompt
    if not prompt.chat:
        turns = [_fenced(prompt.text + prompt.prefill)]
    else:
        turns = [f"{one['role']}:\n\n{_fenced(one['content'])}" for one in messages(prompt)]
    return "\n\n".join(("## Prompt", f"{place}{shown}", *turns))


def _scores(whole: WholePrompt) -> str:
    """A table by split, the verdict, and the difference on test."""
    rows = []
    for split, what in SPLITS.items():
        sides = whole.scores.get(split)
        if sides:
            first, best = sides["baseline"], sides["best"]
            rows.append(
                f"| {split} ({what}) | {best['n']} | {_figure(first)} | {_figure(best)} | "
                f"{best['extraction_failures']} | {best['truncated']} |"
            )
    head = f"| split | rows | first prompt | this prompt | unread | cut |\n|{'---|' * 6}"
    lines = ["## Scores", "\n".join((head, *rows))] if rows else ["## Scores", "None."]
    alpha = whole.run.get("alpha")
    level = f" Intervals are at the level {100 * (1 - alpha):g} %." if alpha else ""
    lines.append(
        f"Verdict: {whole.run.get('verdict')}.{level}{_difference(whole)}{_one_answer(whole)}"
    )
    return "\n\n".join(lines)


def _figure(side: Mapping[str, Any]) -> str:
    metric = side.get("metric")
    value = side["accuracy"] if metric is None else metric["value"]
    interval = (side if metric is None else metric).get("interval")
    name = "" if metric is None else f"{_plain(metric['name'])} "
    if not interval:
        return f"{name}{value:.3f}"
    return f"{name}{value:.3f} ({interval[0]:.3f} to {interval[1]:.3f})"


def _difference(whole: WholePrompt) -> str:
    found = (whole.scores.get("test") or {}).get("difference")
    if not found:
        return ""
    low, high = found["interval"]
    return (
        f" On test it differs from the first prompt by {found['value']:+.3f} "
        f"({low:+.3f} to {high:+.3f}, p = {found['p_value']:.3g})."
    )


def _one_answer(whole: WholePrompt) -> str:
    """What one answer to every test row would have earned."""
    constant = (whole.scores.get("test") or {}).get("constant")
    if not constant:
        return ""
    return f" Always answering {_plain(constant['answer'])} would have {constant['value']:.3f}."


def _engine(record: Mapping[str, Any]) -> Iterator[str]:
    """What is known of the engine: "dtype float32" and the like."""
    for name, value in record.items():
        if value is not None and value != "none":
            yield f"{name.replace('_', ' ')} {value}"


def _facts(whole: WholePrompt) -> str:
    """How it is asked, and with what it was found."""
    rows = ", ".join(f"{split} {count}" for split, count in whole.data.get("rows", {}).items())
    model, rule = whole.model, whole.rule
    facts = {
        "Model": f"{model.get('name', '')}, digest {model.get('digest', '')}",
        "Licence of the model": model.get("license") or "not known",
        "Engine": ", ".join(_engine(model.get("engine", {}))),
        "Sampling": f"temperature 0, at most {whole.max_tokens} new tokens",
        "Of these for a thought": whole.thinking_tokens or "",
        "Stops at": ", ".join(map(repr, whole.stop)),
        "Chosen by probability, with the bias": ", ".join(_biases(whole)),
        "Held to": ", ".join(whole.choices),
        "Template switches": whole.template_args or "",
        "Rule": rule.get("name", ""),
        "Labels": ", ".join(map(str, rule.get("labels", [])[:20])),
        "Optimized": rule.get("metric", ""),
        "Data": ", ".join(whole.data.get("files", [])) or whole.data.get("task", ""),
        "Rows": rows,
        "Digest of the data": whole.data.get("digest", ""),
        "Run": f"digest {whole.run.get('digest', '')}, step {whole.run.get('step', '')}",
    }
    lines = [f"- {name}: {_plain(value)}" for name, value in facts.items() if value]
    return "\n".join(("## Facts", "", *lines))


def _biases(whole: WholePrompt) -> list[str]:
    """What is added to each label's log-probability; none where answers are written."""
    bias = (whole.label_bias or {}).get("bias", {})
    return [f"{label} {value:+.2f}" for label, value in bias.items()]


def _without_bias(whole: WholePrompt) -> list[str]:
    """What is known of the prompt where its bias is not used."""
    if whole.label_bias is None:
        return []
    lines = ["Its figures hold with the bias per label, and for labels that are read, not written."]
    test = (whole.scores.get("test") or {}).get("best", {})
    if "without_bias" in test:
        lines.append(
            f"Without the bias the most probable label is right on {test['without_bias']:.3f} of "
            "the test rows."
        )
    if "written" in whole.label_bias:
        written = _plain(whole.label_bias["written"])
        lines.append(f"What it does where the model writes its answer: {written}")
    return lines


def _limits(whole: WholePrompt) -> str:
    test = whole.scores.get("test")
    lines = [
        "The figures hold for this model, these settings and rows like those it was scored on.",
        "It was chosen on train and validation rows, so that its figures there are too good.",
    ]
    if not test:
        lines.append("No rows were held out for a test: how good it is on new rows is not known.")
    elif whole.run.get("verdict") == NO_MORE_THAN_CONSTANT:
        lines.append("On test it was not shown to be better than one answer to every row.")
    elif whole.run.get("verdict") != GAIN:
        lines.append("On test it was not shown to be better than the first prompt: keep that one.")
    if whole.demonstrations:
        lines.append("Its worked examples are rows of the data; whoever sees it sees them.")
    lines += _without_bias(whole)
    if whole.second_round:
        lines.append("It is asked in two rounds; best.json has the second.")
    return "\n".join(("## Limits", "", *(f"- {line}" for line in lines)))
