"""How the model of each role is hosted: its folder, its engine's settings, its adapter.

For: from a config to what an engine is started with, and how the models of a config would share
GPUs. Not for: starting engines (run_engines.py), or dividing a GPU (placement/).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

from opro_local.config.facts import settings_with_facts
from opro_local.config.settings import Config, ModelSettings
from opro_local.engines import lora, trusted
from opro_local.engines.chat_template import try_chat_templates
from opro_local.engines.gpus import Gpu
from opro_local.engines.kinds import AUTO, asks_server, reads_folder
from opro_local.engines.settings import EngineSettings
from opro_local.models import completeness, offline, templates, trust
from opro_local.models.cards import Card, card_for
from opro_local.models.footprint import header_bytes
from opro_local.placement.choose import Placement
from opro_local.placement.plan import plan_for
from opro_local.runs.thinking import thinker_of
from opro_local.types import Role

# How several engines must share a GPU; see config.RunSettings.
Sharing = Literal["auto", "split", "swap", "off"]

# Of the GPU, what engines that share it without a plan may take together.
SHARED_MEMORY = 0.9


@dataclass(frozen=True, slots=True)
class Hosting:
    """How the model of one role is hosted.

    Attributes:
        engine: the engine asked for, "auto" or a name (see engines/kinds.py).
        settings: of its worker. Without a plan their `gpu_memory` may be a share that `hostings`
            gave.
        gpu_share: the share of the GPU that the config asks for, in (0, 1]; None asks for none.
        placement: how it may share a GPU with others, see config.RunSettings.
        adapter: the folder of the role's LoRA adapter; "" for none.
    """

    engine: str
    settings: EngineSettings
    gpu_share: float | None = None
    placement: Sharing = "off"
    adapter: str = ""


def settings_of(config: Config, role: Role) -> ModelSettings:
    """How a role is hosted; see `Config.hosted_as`."""
    return config.hosted_as(role)


def folder_of(settings: ModelSettings) -> Path:
    """The model's folder; an empty path for an engine that reads none.

    Raises:
        ModelError: there is no such model on this machine, it is not whole, or loading it would
            run code that the settings do not trust.
        UsageError: so would an argument for the engine.
    """
    folder = _trusted_folder(settings)
    if folder != Path():
        completeness.check_writer(folder)
        for file in sorted(folder.glob(completeness.SAFETENSORS)):
            header_bytes(file)  # names a file that is cut off
    return folder


def _trusted_folder(settings: ModelSettings) -> Path:
    """The model's folder, looked into for code only: a plan needs no more. Raises as `folder_of`
    does.
    """
    if not reads_folder(settings.engine):
        return Path()
    folder = offline.find_model(settings.model)
    trust.check(folder, settings.trusted_code, settings.allow_pickle)
    trust.check_arguments(settings.engine_args, settings.trusted_code, settings.allow_pickle)
    return folder


def model_identity(models: Mapping[Role, Hosting]) -> dict[str, str]:
    """Digests of what each role's model is: its folder, and the chat template where one was chosen.

    A run is held to them.
    """
    identity: dict[str, str] = {}
    for role, hosting in models.items():
        if hosting.settings.model:
            identity[role] = offline.model_digest(Path(hosting.settings.model))
        if hosting.settings.served_model:
            identity[role] = f"served as {hosting.settings.served_model}"
        if hosting.settings.chat_template:
            source = hosting.settings.chat_template.encode()
            identity[f"{role} chat_template"] = hashlib.sha256(source).hexdigest()[:16]
    return identity


def model_notices(config: Config, models: Mapping[Role, Hosting]) -> list[str]:
    """What the user should hear of the models: a name that a folder here has too, and code and
    pickles that the config lets in. Each line once.
    """
    lines = []
    for role, hosting in models.items():
        own = settings_of(config, role)
        if role != "embedder" and own.model and reads_folder(own.engine):
            lines.append(offline.ambiguity(own.model))
        if hosting.settings.base_url:
            lines.append(
                f"{role}: {hosting.settings.base_url} answers, and may answer differently another "
                "time: this run does not repeat bit by bit"
            )
        if hosting.settings.model:
            for name, what in trusted.marks(hosting.settings).items():
                lines.append(f"{hosting.settings.model}: {name}: {_listed(what)}")
    return [line for line in dict.fromkeys(lines) if line]


def _listed(what: Any) -> str:
    return ", ".join(what) if isinstance(what, list) else "yes"


def hostings(
    config: Config, cards: Mapping[Role, Card], folders: Mapping[Role, Path]
) -> dict[Role, Hosting]:
    """How each of these roles is hosted.

    Two different engines get under half of the GPU each, three a third, unless the config says
    otherwise; one gets what it wants. On a GPU a run plans better, from what there is and what the
    models need (placement/).
    """
    alone = {role: _hosting(config, role, folders[role], card) for role, card in cards.items()}
    by_role = {
        role: replace(hosting, settings=_with_adapters(hosting, alone.values()))
        for role, hosting in alone.items()
    }
    distinct: list[
        EngineSettings
    ] = []  # a list, because settings hold mappings and can't be hashed
    for hosting in by_role.values():
        if hosting.settings not in distinct:
            distinct.append(hosting.settings)
    if len(distinct) < 2:
        return by_role
    share = round(SHARED_MEMORY / len(distinct), 2)
    return {role: _with_share(hosting, share) for role, hosting in by_role.items()}


def _engine_settings(settings: ModelSettings) -> dict[str, Any]:
    """The settings of a model that its engine takes as they are."""
    facts = settings_with_facts(ModelSettings)
    return {name: getattr(settings, name) for name, known in facts if known.to_engine}


def _with_share(hosting: Hosting, share: float) -> Hosting:
    """The hosting with this share of the GPU, unless its config asks for another."""
    memory = hosting.settings.gpu_memory or share
    return replace(hosting, settings=replace(hosting.settings, gpu_memory=memory))


def _adapter(settings: ModelSettings) -> str:
    """The adapter's folder, checked; "" where there is none. Raises ModelError."""
    if not settings.adapter:
        return ""
    path = Path(settings.adapter).expanduser().resolve()
    lora.rank(path)
    trust.check(path, settings.trusted_code, settings.allow_pickle)
    return str(path)


def _with_adapters(hosting: Hosting, others: Iterable[Hosting]) -> EngineSettings:
    """The hosting's settings with the adapters of all roles that share its base model and hosting:
    one engine serves them all.
    """
    adapters = {
        other.adapter for other in others if other.adapter and other.settings == hosting.settings
    }
    return replace(hosting.settings, adapters=tuple(sorted(adapters)))


def embedder(folder: str) -> Hosting:
    """How a sentence-embedding model is hosted. Raises ModelError if its folder is not there, or
    would run code.
    """
    place = offline.find_model(folder)
    trust.check(place)
    return Hosting("embedding", EngineSettings(model=str(place), kind="embedding"))


def _hosting(config: Config, role: Role, folder: Path, card: Card) -> Hosting:
    settings = settings_of(config, role)
    # "auto" is settled when the engine starts; until then its settings name the fall-back.
    kind = AUTO[-1] if settings.engine == "auto" else settings.engine
    template_args = {**card.template_args, **settings.template_args}
    template = _template(settings, folder, card) if reads_folder(kind) else ""
    if reads_folder(kind):
        own = templates.chat_templates(folder)
        try_chat_templates(folder, template_args, own if template in own else [*own, template])
    if asks_server(kind):
        from opro_local.engines.openai_server import check_inside

        check_inside(settings.base_url, config.run.allowed_hosts)
    thinker = thinker_of(settings, folder, card)
    return Hosting(
        settings.engine,
        EngineSettings(
            model=str(folder) if reads_folder(kind) else "",
            served_model=settings.model if asks_server(kind) else "",
            allowed_hosts=config.run.allowed_hosts if asks_server(kind) else (),
            kind=kind,
            **_engine_settings(settings),
            template_args=template_args,
            chat_template=template if settings.chat_template else "",
            date=date.today().isoformat() if templates.writes_date(template) else "",
            thinking_tokens=thinker.tokens if thinker else 0,
        ),
        gpu_share=settings.gpu_memory,
        placement=config.run.placement,
        adapter=_adapter(getattr(config, role)),
    )


def _template(settings: ModelSettings, folder: Path, card: Card) -> str:
    """The chat template that the model is asked with; "" where it has none.

    Raises:
        ModelError, UsageError: the one that is asked for is not there, or none is and there is no
            default.
    """
    is_chat = card.chat if settings.chat is None else settings.chat
    if is_chat and not settings.chat_template:
        templates.check_default(folder)
    return templates.asked_template(folder, settings.chat_template)


def asked_of(models: Mapping[Role, Hosting]) -> dict[Role, EngineSettings]:
    """Each role's settings as the config has them, without the shares of `hostings`."""
    return {
        role: replace(hosting.settings, gpu_memory=hosting.gpu_share)
        for role, hosting in models.items()
    }


def placement_of(config: Config, gpus: Sequence[Gpu], alike: bool = False) -> Placement:
    """How the optimizer and the scorer would share these GPUs.

    Args:
        config: names the models and their hosting; data and task play no part.
        gpus: the GPUs that are there, at least one.
        alike: as many more GPUs like the first as the settings ask for are there, too.

    Raises:
        ModelError: a model is not on this machine, or its folder does not tell what it needs.
    """
    roles: tuple[Role, ...] = ("scorer", "optimizer")
    folders = {role: _trusted_folder(settings_of(config, role)) for role in roles}
    cards = {role: card_for(folder) for role, folder in folders.items()}
    asked = asked_of(hostings(config, cards, folders))
    if alike:
        most = max(one.tensor_parallel * one.pipeline_parallel for one in asked.values())
        gpus = (gpus[0],) * most
    wanted = config.run.placement
    return plan_for(asked, gpus, "auto" if wanted == "off" else wanted)
