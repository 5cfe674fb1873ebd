"""What a search of prompts starts from where the user did not say, and columns that a prompt names.

For: settling both on the config before a problem is made of it. Not for: generic and written
starting instructions (problems/prompt/seeding.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opro_local.config.search import PAPERS_LONGEST
from opro_local.config.settings import Config
from opro_local.errors import UsageError
from opro_local.models.cards import Card, continues
from opro_local.problems.filters import filters, first_reason
from opro_local.problems.prompt.generic import first_seed
from opro_local.problems.prompt.layout import INPUT, PLACE
from opro_local.scoring.rule import Rule
from opro_local.search.required import asked_for, check_start
from opro_local.tasks.task import Task

LONGEST = 4000  # characters of a proposal by a chat model


def check_scale(config: Config) -> None:
    """Scores are shares: settings that are compared with them lie in [0, 1]. Raises UsageError."""
    for name in ("target_score", "threshold", "min_gain"):
        value = getattr(config.search, name)
        if value is not None and value > 1:
            raise UsageError(
                f"search.{name} = {value:g}: scores are shares, from 0 to 1",
                f"{value:g} % is {value / 100:g}",
            )


def with_first_seed(config: Config, task: Task, rule: Rule) -> tuple[Config, Sequence[str]]:
    """The config with a first seed made from the labels of the user's own table where it names
    none, and what the user hears of that.
    """
    search = config.search
    if search.revision < 2 or config.task.name != "table" or "seeds" in search.model_fields_set:
        return config, ()
    labels = config.task.labels or task.labels
    targets = labels or [row.target for rows in task.splits.values() for row in rows]
    seed = first_seed(targets, rule.name)
    if search.required:
        seed = " ".join((seed, *search.required))
    line = f"the baseline is {seed!r}; give your own prompt with search.seeds"
    return config.starting_from([seed]), (line,)


def check_required(config: Config) -> None:
    """The texts of `search.required` must stand in every starting solution, and fit into a
    proposal. Raises UsageError.
    """
    search = config.search
    if search.revision < 2:
        return
    for seed in search.starts:
        check_start(search, seed.text)
    together = " ".join(asked_for(search))
    reason = first_reason(filters(config, numeric=False), together) if together else None
    if reason:
        raise UsageError(
            f"search.required: no proposal can hold all of it ({reason})",
            "raise search.max_characters, search.max_words or the limit in search.constraint",
        )


def with_longest(config: Config, card: Card) -> Config:
    """The config with the most characters of a proposal, where it says nothing of them.

    Args:
        config: `search` is read.
        card: of the optimizer. Chat models may write long prompts. The paper's loop keeps the
            paper's limit, as do small and base models, whose forms end after a line.
    """
    search = config.search
    if search.max_characters is not None:
        return config
    is_long = config.tells_limits and not continues(card)
    most = LONGEST if is_long else PAPERS_LONGEST
    update = {"search": search.model_copy(update={"max_characters": most})}
    return config.model_copy(update=update)


def columns_named(config: Config, task: Task) -> frozenset[str]:
    """The columns that starting solutions name in braces, and that their rows are put in for.

    Raises:
        UsageError: one names what is no column.
    """
    if config.search.revision < 2:
        return frozenset()
    columns = {INPUT, *next(iter(task.splits.values()))[0].columns}
    named: set[str] = set()
    for seed in config.search.starts:
        named.update(place["name"] for place in PLACE.finditer(seed.text))
    unknown = sorted(named - columns)
    if unknown:
        raise UsageError(
            f"the prompt names {{{unknown[0]}}}, and there is no column {unknown[0]!r}",
            f"columns: {', '.join(sorted(columns))}; {{{{{unknown[0]}}}}} stays as it is",
        )
    check_no_answer(named - {INPUT, config.task.input}, task, "the prompt")
    return frozenset(named)


def check_no_answer(names: Iterable[str], task: Task, place: str) -> None:
    """No column that is put into a prompt may say what is right for the row: scores would be of
    copying. Raises UsageError.

    Args:
        names: the columns.
        task: whose rows have them.
        place: what names them, for the message.
    """
    rows = [row for split in task.splits.values() for row in split]
    for name in sorted(names):
        if rows and all(row.columns.get(name, "").strip() == row.target.strip() for row in rows):
            raise UsageError(
                f"{place} names {{{name}}}, which is every row's right answer: "
                "the model would only have to copy it",
                f"leave {{{name}}} out",
            )
