"""What one run does, checked and ready to start, and how a plan with a search is put together.

For: the type `Plan` and the part that every kind of problem shares. Not for: any one kind (its
neighbours), running a plan (run.py) or hosting models (hosting.py).

    plan = search_plan(config, problem, cards_of(config, ("optimizer", "scorer")))
    result = run(plan, folder)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from opro_local import network
from opro_local.config.settings import Config
from opro_local.engines.kinds import asks_server
from opro_local.exports.whole_prompt import WholePrompt
from opro_local.models.cards import Card, card_for, named_card
from opro_local.problems.prompt.alarms import Alarm
from opro_local.protocols import Engine, Problem
from opro_local.runs import hosting, result, thinking
from opro_local.runs.evaluation import EvaluationOutcome
from opro_local.runs.hosting import Hosting
from opro_local.runs.run_result import RunResult
from opro_local.runs.search_outcome import SearchOutcome
from opro_local.runs.thinking import Thinker, Thinkers
from opro_local.search import similarity
from opro_local.search.loop import SearchResult, search
from opro_local.search.metaprompts import metaprompt
from opro_local.search.proposing import Opro, Proposer
from opro_local.search.required import check_form
from opro_local.search.state import SearchState
from opro_local.search.trajectory import Trajectory
from opro_local.types import Batch, BatchResult, Role, Split

# Over an empty trajectory, which the generator fills.
Search = Callable[[Trajectory], Generator[Batch, BatchResult, SearchResult]]


# What a run came to, from its trajectory, its end and alpha.
Summarize = Callable[[Trajectory, SearchResult, float], SearchOutcome | EvaluationOutcome]


def _best_text(result: RunResult) -> dict[str, str]:
    """The best solution's text as a file."""
    return {"best.txt": result.best.text + "\n"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run does.

    Attributes:
        config: what was asked for.
        problem: what is optimized.
        search: makes the generator to drive, over an empty trajectory.
        models: the roles that models answer, and how each is hosted.
        others: the roles that this process answers itself.
        identity: digests of what the config only names (data, programs); a run continues only while
        they stay.
        thinkers: the roles whose models think before they answer; see `heard`.
        notices: lines for the user.
        skipped: what is wrong with each row of the data that is left out, with its place.
        held_out: how many rows each split beside train has; empty where there is none.
        rule: the scoring rule's name, "" where there is none.
        shares: whether scores are shares of rows that are right, and read as percent.
        check: called with the engines before the first request of a new run; raises when something
        can't fit.
        summarize: makes the outcome of what was driven, with what only the problem knows.
        remarks: lines for the user once it was driven.
        alarms: what is wrong with how answers are asked for or read, once the first are scored.
        whole_prompt: the chosen prompt with all that is needed to ask with it, of the result; None
        where there is none.
        files: what is left in the folder beside result.json, by file name, made from the result.
    """

    config: Config
    problem: Problem
    search: Search
    models: Mapping[Role, Hosting]
    others: Mapping[Role, Engine] = field(default_factory=dict)
    identity: Mapping[str, str] = field(default_factory=dict)
    thinkers: Thinkers = field(default_factory=dict)
    notices: Sequence[str] = ()
    skipped: Sequence[str] = ()
    held_out: Mapping[Split, int] = field(default_factory=dict)
    rule: str = ""
    shares: bool = True
    check: Callable[[Mapping[Role, Engine]], None] = lambda engines: None
    summarize: Summarize = result.summarize
    remarks: Callable[[], Sequence[str]] = tuple
    alarms: Callable[[], Sequence[Alarm]] = tuple
    whole_prompt: Callable[[RunResult], WholePrompt | None] = lambda result: None
    files: Callable[[RunResult], Mapping[str, str]] = _best_text


OwnSettings = TypeVar("OwnSettings", bound=BaseModel)


def problem_settings(config: Config, kind: type[OwnSettings]) -> OwnSettings:
    """`config.problem` as the settings of its own kind, for a plan that was chosen by that kind."""
    if not isinstance(config.problem, kind):
        raise TypeError(f"{type(config.problem).__name__} is not {kind.__name__}")
    return config.problem


def guard_as_set(config: Config) -> None:
    """Put the guard up where the config asks for it; before users' code and libraries load."""
    if not config.run.guard:
        return
    models = (config.optimizer, config.scorer, config.judge)
    servers = [urlsplit(model.base_url).hostname for model in models if model.base_url]
    network.guard([*config.run.allowed_hosts, *filter(None, servers)])


def search_plan(
    config: Config,
    problem: Problem,
    cards: Mapping[Role, Card],
    form: str = "",
    propose: Callable[[Trajectory], Proposer] | None = None,
) -> Plan:
    """A plan that searches. What else a problem's plan says, it adds with `replace`.

    Args:
        config: what was asked for.
        problem: what is optimized.
        cards: the card of each role that a model answers; see `cards_of`.
        form: the problem's own meta-prompt form; "" leaves the choice to the optimizer's card.
        propose: makes the proposer over a trajectory; the paper's own where there is none.
    """
    folders = {role: hosting.folder_of(hosting.settings_of(config, role)) for role in cards}
    name = config.search.metaprompt
    if name == "auto":
        name = form or cards["optimizer"].metaprompt
    chosen = metaprompt.load(name)
    if not propose:
        check_form(config.search, chosen, problem.prompt_variables())

    def start(trajectory: Trajectory) -> Generator[Batch, BatchResult, SearchResult]:
        state = SearchState(problem, config, trajectory)
        proposer = propose(trajectory) if propose else Opro(state, chosen)
        return search(state, proposer)

    models = hosting.hostings(config, cards, folders)
    if config.search.exploration and config.search.similarity != similarity.NGRAMS:
        models["embedder"] = hosting.embedder(config.search.similarity)
    thinkers: dict[Role, Thinker] = {}
    for role, card in cards.items():
        settings = hosting.settings_of(config, role)
        if thinker := thinking.thinker_of(settings, folders[role], card):
            thinkers[role] = thinker
    lines = thinking.notices(thinkers, cards)
    return Plan(config, problem, start, models, thinkers=thinkers, notices=lines)


def cards_of(config: Config, roles: Sequence[Role]) -> dict[Role, Card]:
    """The model card of each role. Raises ModelError for a model that is not on this machine."""
    cards = {}
    for role in roles:
        settings = hosting.settings_of(config, role)
        if asks_server(settings.engine):
            # Its folder is not here; its name may say whose it is.
            cards[role] = named_card([settings.model.rpartition("/")[2]]) or Card(settings.model)
            continue
        card = card_for(hosting.folder_of(settings))
        # A model that comes without a template chats by the one it is given.
        cards[role] = replace(card, chat=True) if settings.chat_template else card
    return cards
