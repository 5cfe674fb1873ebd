"""A prompt with all that is needed to ask with it: what best.json holds.

For: the frozen structure, its JSON, and putting a row in its place. Not for: making one of a run
(runs/whole_prompt.py), or the forms that other programs take (its neighbours).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opro_local.errors import DataError
from opro_local.types import Prompt

# Half of a character, which a model's reply may hold; no UTF-8 has it.
SURROGATE = re.compile("[\ud800-\udfff]")
FORMAT, VERSION = "opro-local prompt", 1


@dataclass(frozen=True, slots=True)
class SecondRound:
    """What is asked after the first answer, whose place `answer` holds; the reply to it counts.

    Attributes:
        prompt: as `WholePrompt.prompt`, with the first answer's marker in it, too.
        answer: the marker that the first answer replaces.
        max_tokens: new tokens.
    """

    prompt: Prompt
    answer: str
    max_tokens: int

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        asked = {**asked_to_json(self.prompt), "prefill": self.prompt.prefill}
        return {**asked, "answer": self.answer, "max_tokens": self.max_tokens}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> SecondRound:
        """What `to_json` wrote."""
        return cls(_asked_from_json(record), record["answer"], record["max_tokens"])


@dataclass(frozen=True, slots=True)
class Voter:
    """One of several prompts that choose a row's label together.

    Attributes:
        text, demonstrations, label_bias: as of `WholePrompt`.
    """

    text: str
    demonstrations: tuple[Mapping[str, str], ...]
    label_bias: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        shown = [dict(one) for one in self.demonstrations]
        return {
            "text": self.text,
            "demonstrations": shown,
            "label_bias": dict(self.label_bias),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Voter:
        """What `to_json` wrote. Raises ValueError where its bias is none."""
        bias = _bias_from_json(record["label_bias"])
        if bias is None:
            raise ValueError("a vote has a prompt without label_bias")
        return cls(record["text"], tuple(record["demonstrations"]), bias)


@dataclass(frozen=True, slots=True)
class WholePrompt:
    """A prompt, how it is asked, and what is known of it.

    Attributes:
        text: the instruction.
        demonstrations: the worked examples, in order: id, input and answer of each.
        prompt: what the model is shown, with markers where the row goes.
        input: the marker that what is asked replaces. It is in no text of the prompt and in no row
            of the run's data.
        column: the column that holds what is asked.
        columns: the markers of other columns that the prompt shows, by column.
        max_tokens: new tokens of a reply, a thought's among them.
        thinking_tokens: those of them that are for a thought; 0 where none is expected.
        stop: strings that end an answer. They must not end a thought.
        choices: the only replies there are; () where a reply is free.
        template_args: switches of the model's chat template.
        model: name, repository, digest and more of the model that was asked.
        rule: how answers are scored: name, labels, metric and more.
        data: task, columns, rows by split and digest of what it was found with.
        scores: baseline and best by split, with intervals; the difference on test.
        run: name and digest of the run, its verdict and what it started from.
        checked: rows of the run whose request this prompt gives (`equal`), of those that were
            compared (`rows`).
        second_round: what is asked after the first answer; None where nothing is.
        label_bias: where the most probable label is chosen and no answer is written, what is added
            to the log-probability of each first (`bias`, by label), and by what the sum is
            multiplied for probabilities (`scale`); None where an answer is written.
        continues: whether a server that continues a chat's last message gives the run's prompt;
            true where no reply is begun.
        vote: the prompts that may be asked together, this one first; () where none were.
    """

    text: str
    demonstrations: tuple[Mapping[str, str], ...]
    prompt: Prompt
    input: str
    column: str
    columns: Mapping[str, str]
    max_tokens: int
    thinking_tokens: int = 0
    stop: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    template_args: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    rule: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    checked: Mapping[str, int] = field(default_factory=dict)
    second_round: SecondRound | None = None
    continues: bool = True
    label_bias: Mapping[str, Any] | None = None
    vote: tuple[Voter, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As docs/result.md shows it."""
        second = self.second_round
        vote = {"vote": [one.to_json() for one in self.vote]} if self.vote else {}
        return {
            "format": FORMAT,
            "version": VERSION,
            "text": self.text,
            "demonstrations": [dict(shown) for shown in self.demonstrations],
            **asked_to_json(self.prompt),
            "input": self.input,
            "column": self.column,
            "columns": dict(self.columns),
            "system": self.prompt.system,
            "prefill": self.prompt.prefill,
            "continues": self.continues,
            "stop": list(self.stop),
            "max_tokens": self.max_tokens,
            "thinking_tokens": self.thinking_tokens,
            "temperature": 0.0,
            "choices": list(self.choices),
            "template_args": dict(self.template_args),
            "label_bias": None if self.label_bias is None else dict(self.label_bias),
            "second_round": None if second is None else second.to_json(),
            **vote,
            "model": dict(self.model),
            "rule": dict(self.rule),
            "data": dict(self.data),
            "scores": dict(self.scores),
            "run": dict(self.run),
            "checked": dict(self.checked),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> WholePrompt:
        """What `to_json` wrote.

        Raises:
            DataError: it is none, or one of a later version.
        """
        if record.get("format") != FORMAT or record.get("version") != VERSION:
            raise DataError(f"not version {VERSION} of {FORMAT!r}", "use the version that wrote it")
        second = record["second_round"]
        return cls(
            text=record["text"],
            demonstrations=tuple(record["demonstrations"]),
            prompt=_asked_from_json(record),
            input=record["input"],
            column=record["column"],
            columns=record["columns"],
            max_tokens=record["max_tokens"],
            thinking_tokens=record["thinking_tokens"],
            stop=tuple(record["stop"]),
            choices=tuple(record["choices"]),
            template_args=record["template_args"],
            model=record["model"],
            rule=record["rule"],
            data=record["data"],
            scores=record["scores"],
            run=record["run"],
            checked=record["checked"],
            second_round=None if second is None else SecondRound.from_json(second),
            continues=record["continues"],
            label_bias=_bias_from_json(record["label_bias"]),
            vote=tuple(map(Voter.from_json, record.get("vote", ()))),
        )

    @property
    def markers(self) -> dict[str, str]:
        """The markers by the name that a value of theirs goes by: "input", and other columns."""
        return {"input": self.input, **self.columns}

    @property
    def may_lose_system(self) -> bool:
        """Whether the system message is nothing but values of a row, which may be empty; then it
        is left out.
        """
        rest = self.prompt.system or ""
        for marker in self.markers.values():
            rest = rest.replace(marker, "")
        return bool(self.prompt.chat and self.prompt.system) and not rest

    def filled(self, input: str, columns: Mapping[str, str] | None = None) -> Prompt:
        """The prompt for a row.

        Args:
            input: what is asked.
            columns: the values of `self.columns`, by column.

        Raises:
            KeyError: a column's value is missing.
        """
        values = {self.input: input}
        for name, marker in self.columns.items():
            values[marker] = (columns or {})[name]
        return fill(self.prompt, values)


def is_later(record: Mapping[str, Any]) -> bool:
    """Whether a later version of the program wrote a record, which `from_json` can't read."""
    version = record.get("version")
    return record.get("format") == FORMAT and isinstance(version, int) and version > VERSION


def fill(prompt: Prompt, values: Mapping[str, str]) -> Prompt:
    """The prompt with values in the place of markers, in one pass: a value that looks like a marker
    stays as it is. A system message of which nothing is left is none.
    """
    places = re.compile("|".join(re.escape(marker) for marker in values))

    def filled(text: str) -> str:
        return places.sub(lambda place: values[place[0]], text)

    return Prompt(
        filled(prompt.text),
        None if prompt.system is None else filled(prompt.system) or None,
        filled(prompt.prefill),
        prompt.chat,
        tuple((filled(user), filled(answer)) for user, answer in prompt.turns),
    )


def messages(prompt: Prompt) -> list[dict[str, str]]:
    """A chat's messages. One of the assistant at the end is the beginning of the reply."""
    turns = [] if prompt.system is None else [("system", prompt.system)]
    for user, answer in prompt.turns:
        turns += [("user", user), ("assistant", answer)]
    turns.append(("user", prompt.text))
    if prompt.prefill:
        turns.append(("assistant", prompt.prefill))
    return [{"role": role, "content": text} for role, text in turns]


def asked_to_json(prompt: Prompt) -> dict[str, Any]:
    """A prompt as `messages` of a chat, or as `prompt`, a text that is continued."""
    if prompt.chat:
        return {"messages": messages(prompt)}
    return {"prompt": prompt.text + prompt.prefill}


def _bias_from_json(record: Any) -> Mapping[str, Any] | None:
    """What `label_bias` holds. Raises ValueError where it is something else."""
    if record is None:
        return None
    values = [record["scale"], *record["bias"].values()]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise ValueError("label_bias holds no numbers")
    kept: Mapping[str, Any] = record
    return kept


def _asked_from_json(record: Mapping[str, Any]) -> Prompt:
    """The prompt that `asked_to_json` wrote, in a record with its `prefill`."""
    start = record["prefill"]
    if "prompt" in record:
        return Prompt(record["prompt"].removesuffix(start), prefill=start, chat=False)
    said = list(record["messages"])
    system = said.pop(0)["content"] if said[0]["role"] == "system" else None
    if start:
        said.pop()
    *before, last = said
    turns = tuple(
        (user["content"], answer["content"])
        for user, answer in zip(before[::2], before[1::2], strict=True)
    )
    return Prompt(last["content"], system, start, True, turns)


def json_text(value: Any, indent: int | None = None) -> str:
    """A value as JSON that is read by people: letters of any script stay what they are, and only
    half characters are escaped.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
