"""How a prompt's answers come: written in so many tokens, held to classes, or read as the
probabilities of labels.

For: what the settings, the rule and the scorer come to before a model is loaded. Not for: reading a
written answer (scoring/), or the bias of a label (scoring/label_bias.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from opro_local.config.settings import Config
from opro_local.config.task import TaskSettings
from opro_local.engines.kinds import reads_folder
from opro_local.errors import UsageError
from opro_local.models.cards import Card
from opro_local.problems.prompt.alarms import CONSTRAINED_RULES
from opro_local.problems.prompt.layout import Layout
from opro_local.runs import hosting
from opro_local.runs.thinking import thinker_of
from opro_local.scoring.auto import codes
from opro_local.scoring.choosing import labelled_rows
from opro_local.scoring.rule import Rule
from opro_local.search.schedules.choice import LONG_ANSWER
from opro_local.tasks.task import Task
from opro_local.types import Constraint, Sampling

# New tokens per answer where the config doesn't say: a label needs few, worked solutions many
# (paper section 5.1).
ANSWER_TOKENS = {
    "labels": 32,
    "labels_set": 128,
    # Labels that are numbers: they may turn out to be counted or worked out.
    "codes": 256,
    "boolean": 256,
    "exact": 256,
    "exact_strict": 256,
    "contains": 256,
    "regex": 512,
    "json": 512,
    "python": 512,
}
# New tokens per answer under any other rule.
WORKED_SOLUTION_TOKENS = 1024
# The most classes that answers can be held to.
MOST_CLASSES = 1000
# The most whose probabilities are read: fitting a bias takes the cube of their number, half a
# second a solution for so many labels and as many rows (12 labels: 17 ms).
MOST_READ = 200
# Labels that are read without being asked for: so many at least, by the figures in
# docs/benchmarks/2026-11-search.md, and so many rows for each: targets with fewer may be texts.
FEWEST_LABELS, ROWS_A_LABEL = 3, 4


def settled_answer(
    config: Config, task: Task, rule: Rule, card: Card
) -> Literal["text", "label_probability"]:
    """What `task.answer` comes to: as it says, or, for "auto", probabilities where a scorer hosted
    here would write nothing but one of a table's labels.

    Whoever asks for longer answers, a pattern or a second round wants to see them written, and a
    model that thinks is better with its thought.
    """
    if config.task.answer != "auto":
        return config.task.answer
    settings, scorer = config.task, config.scorer
    asks_for_text = (
        settings.second_round
        or settings.pattern
        or scorer.constrain
        or (scorer.max_tokens or 0) > ANSWER_TOKENS["labels"]
    )
    is_table = settings.name == "table" and rule.name == "labels" and task.rule != "judge"
    own = hosting.settings_of(config, "scorer")
    if asks_for_text or not is_table or not reads_folder(own.engine):
        return "text"
    targets = [row.target.strip() for row in labelled_rows(task)]
    labels = _one_spelling(targets, rule)
    are_labels = FEWEST_LABELS <= len(labels) <= min(MOST_READ, len(targets) // ROWS_A_LABEL)
    if not are_labels or codes(targets) or len(labels) < len(set(targets)):
        return "text"
    return "text" if thinker_of(own, hosting.folder_of(own), card) else "label_probability"


def answer_notice(config: Config, answer: str) -> tuple[str, ...]:
    """What the user hears of an answer that nobody asked for."""
    if config.task.answer != "auto" or answer == "text":
        return ()
    return (
        "no answers are written: the scorer's probabilities of the labels decide, with a bias for "
        'each; task.answer = "text" lets it write (docs: label-probability)',
    )


def answer_sampling(config: Config, task: Task, rule: Rule, layout: Layout) -> Sampling:
    """How the scorer's answers are drawn: always greedily, since a score must not be chance.

    Args:
        config: its `task.answer` is settled.
        task: whose rows are asked.
        rule: how answers are scored.
        layout: of the prompts.

    Raises:
        UsageError: answers can't be held to classes, or labels can't be read.
    """
    tokens = _answer_tokens(config, task, rule)
    held_to = _constraint(config, task, rule)
    if labels := _read_labels(config, task, rule):
        return Sampling(tokens, labels=labels)
    return Sampling(
        tokens,
        stop=_stop(config.task, layout, task.stop),
        constraint=held_to,
        ends_loops=config.scorer.end_loops and tokens >= LONG_ANSWER and held_to is None,
    )


def _stop(settings: TaskSettings, layout: Layout, own: tuple[str, ...]) -> tuple[str, ...]:
    """The strings that end every answer, whichever solution it is asked with: a stop is part of the
    form, and must not be what one solution gains by.

    Args:
        settings: those of older runs say which solutions had which.
        layout: of the prompts.
        own: what the task's own files say.
    """
    if settings.stop is not None:
        return settings.stop
    return own if settings.revision < 2 else (*own, *layout.stop)


def _constraint(config: Config, task: Task, rule: Rule) -> Constraint | None:
    """What answers are held to, by `scorer.constrain`: the classes as the targets write them.

    Raises:
        UsageError: the rule knows no classes.
    """
    if not config.scorer.constrain:
        return None
    return Constraint("choice", _classes(config, task, rule, 'scorer.constrain = "labels"'))


def _read_labels(config: Config, task: Task, rule: Rule) -> tuple[str, ...]:
    """The labels whose probabilities are read in the place of an answer; () where answers are.

    Raises:
        UsageError: there is no closed set of labels, or something else reads answers.
    """
    if config.task.answer != "label_probability":
        return ()
    setting = f'task.answer = "{config.task.answer}"'
    _classes(config, task, rule, setting)
    labels = tuple(sorted(_one_spelling(_names(config, task), rule)))
    if not all(labels):
        raise UsageError(f"{setting}: one of task.labels is empty", "give words for all of them")
    if len(labels) > MOST_READ:
        raise UsageError(
            f"{setting} reads at most {MOST_READ} labels, and there are {len(labels)}",
            "leave it out",
        )
    if len(labels) < 2:
        raise UsageError(
            f"{setting} chooses between labels, and there is {len(labels)}",
            "give the others as task.labels",
        )
    others = {
        "scorer.constrain": config.scorer.constrain,
        "task.second_round": config.task.second_round,
    }
    for name, value in others.items():
        if value:
            raise UsageError(
                f"{setting} has no written answer, which {name} is about", f"leave {name} out"
            )
    return labels


def _classes(config: Config, task: Task, rule: Rule, setting: str) -> tuple[str, ...]:
    """The classes as the targets write them. Raises UsageError: `setting` needs some."""
    if task.rule == "judge" or rule.name not in CONSTRAINED_RULES:
        raise UsageError(
            f"{setting} needs classes, which the rule "
            f"{'judge' if task.rule == 'judge' else rule.name} has not",
            f"use it with one of {', '.join(CONSTRAINED_RULES)}, or leave it out",
        )
    distinct = dict.fromkeys(_names(config, task))
    if len(distinct) > MOST_CLASSES:
        raise UsageError(
            f"{setting}: {len(distinct)} different targets are no classes",
            "leave it out, or give task.labels",
        )
    return tuple(sorted(distinct))


def _names(config: Config, task: Task) -> Sequence[str]:
    """The labels that are given, or else the targets of all rows."""
    given = config.task.labels or task.labels
    return given or [row.target.strip() for row in labelled_rows(task)]


def _one_spelling(names: Iterable[str], rule: Rule) -> list[str]:
    """Each label once, as it is spelled most often, of equals as it is spelled first: "Yes" and
    "yes" are one label where the rule takes the one for the other. Read as two, they would share
    what the model gives to the label, and only one of them would be right.
    """
    spellings: dict[str, Counter[str]] = {}
    for name, count in Counter(name.strip() for name in names).items():
        label = rule.extract(name) or name
        spellings.setdefault(label, Counter())[name] += count
    return [counts.most_common(1)[0][0] for counts in spellings.values()]


def _answer_tokens(config: Config, task: Task, rule: Rule) -> int:
    """New tokens per answer: as config or task say, or else what the rule's answers need."""
    given = config.scorer.max_tokens or task.max_tokens
    name = rule.name
    if name == "labels" and codes([row.target for row in labelled_rows(task)]):
        name = "codes"
    return given or ANSWER_TOKENS.get(name, WORKED_SOLUTION_TOKENS)
