"""Running engines that several runs share.

For: the same engines for all runs that ask for the same. Not for: starting them, or planning their
memory; the first run does both, and what it planned holds for those that join it.
"""

from __future__ import annotations

from collections.abc import Mapping

from opro_local.engines.settings import EngineSettings
from opro_local.errors import OproError
from opro_local.protocols import Engine
from opro_local.types import Role

# What a run asks for in each role: ((the engine's settings, the adapter), "auto" or a name).
RoleRequests = Mapping[Role, tuple[tuple[EngineSettings, str], str]]


class EnginePool:
    """Engines by what was asked for. Whoever made the pool closes it; runs only use it."""

    def __init__(self) -> None:
        self._running: list[tuple[RoleRequests, dict[Role, Engine]]] = []
        self._failed: list[tuple[RoleRequests, OproError]] = []

    def find(self, asked: RoleRequests) -> dict[Role, Engine]:
        """The engines of a run that asked for the same settings in each of these roles; empty if
        there is none.

        Args:
            asked: the settings and the adapter of each role, and the engine it names; "auto" takes
                what runs.

        Raises:
            OproError: what the start of just these ended with. It would end so again, and a start
                that fails may take minutes.
        """
        for refused, error in self._failed:
            if refused == asked:
                raise error
        for known, engines in self._running:
            if all(_serves(known, engines, role, asked) for role in asked):
                return {role: engines[role] for role in asked}
        return {}

    def add(self, asked: RoleRequests, engines: Mapping[Role, Engine]) -> None:
        """Take over engines that a run has started."""
        self._running.append((asked, dict(engines)))

    def add_failure(self, asked: RoleRequests, error: OproError) -> None:
        """Remember that engines for this did not start."""
        self._failed.append((asked, error))

    @property
    def has_failures(self) -> bool:
        """Whether some engines did not start."""
        return bool(self._failed)

    def close(self) -> None:
        """Stop all engines. Safe to call twice."""
        while self._running:
            _, engines = self._running.pop()
            for engine in engines.values():
                engine.close()


def _serves(
    known: RoleRequests, engines: Mapping[Role, Engine], role: Role, asked: RoleRequests
) -> bool:
    """Whether what runs in a role is what is asked for in it."""
    if role not in known:
        return False
    (settings, choice), (known_settings, known_choice) = asked[role], known[role]
    running = engines[role].fingerprint["engine"]
    return settings == known_settings and choice in ("auto", known_choice, running)
