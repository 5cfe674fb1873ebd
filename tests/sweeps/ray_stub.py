"""Stands for Ray: a cluster whose actors are objects of this process, and may be lost.

For: what a sweep does with actors and nodes, without the package and without processes. Not for:
how Ray itself behaves (the long tests of test_ray.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any


class RayError(Exception):
    """As Ray's own."""


class ActorDiedError(RayError):
    """As Ray's own."""


class ActorUnavailableError(RayError):
    """As Ray's own."""


class Ray:
    """A cluster.

    Attributes:
        gpus: of each node, by its address.
        started: the options and arguments of each actor.
        replies: for each further call of an actor, an error instead of its answer; None for it.
        looks: what a node says of the sweep's folder instead, by its address.
    """

    util = SimpleNamespace(
        scheduling_strategies=SimpleNamespace(
            NodeAffinitySchedulingStrategy=lambda node, soft: node
        )
    )
    exceptions = SimpleNamespace(
        RayError=RayError,
        ActorUnavailableError=ActorUnavailableError,
        ActorDiedError=ActorDiedError,
    )

    def __init__(self) -> None:
        self.gpus: dict[str, int] = {"10.0.0.1": 0}
        self.started: list[tuple[dict[str, Any], tuple[Any, ...]]] = []
        self.handles: list[Handle] = []
        self.replies: list[Exception | None] = []
        self.looks: dict[str, Any] = {}
        self.init_options: dict[str, Any] = {}
        self.refusal: Exception | None = None

    def init(self, **options: Any) -> None:
        self.init_options = options
        if self.refusal is not None:
            raise self.refusal

    def nodes(self) -> list[dict[str, Any]]:
        dead = {"Alive": False, "NodeManagerAddress": "10.9.9.9", "Resources": {"GPU": 64.0}}
        return [dead] + [
            {
                "Alive": True,
                "NodeID": address,
                "NodeManagerAddress": address,
                "Resources": {"CPU": 8.0, **({"GPU": float(count)} if count else {})},
            }
            for address, count in self.gpus.items()
        ]

    def remote(self, what: Any) -> SimpleNamespace:
        def with_options(**options: Any) -> SimpleNamespace:
            def start(*arguments: Any) -> Any:
                if not isinstance(what, type):
                    return self._look(what, options["scheduling_strategy"], arguments)
                self.started.append((options, arguments))
                self.handles.append(Handle(self, what(*arguments)))
                return self.handles[-1]

            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=with_options)

    def _look(self, what: Any, node: str, arguments: tuple[Any, ...]) -> Callable[[], Any]:
        def answer() -> Any:
            said = self.looks.get(node, None)
            if isinstance(said, Exception):
                raise said
            return what(*arguments) if said is None else said

        return answer

    def wait(self, replies: Sequence[Any], timeout: float) -> tuple[Sequence[Any], list[Any]]:
        return replies, []

    def get(self, reply: Callable[[], Any], timeout: float | None = None) -> Any:
        return reply()

    def kill(self, handle: Handle) -> None:
        handle.is_dead = True


class Handle:
    """An actor from outside."""

    def __init__(self, ray: Ray, actor: Any) -> None:
        self.ray, self.actor, self.is_dead = ray, actor, False

    def __getattr__(self, name: str) -> SimpleNamespace:
        def answer() -> Any:
            error = self.ray.replies.pop(0) if self.ray.replies else None
            if error is not None:
                raise error
            return getattr(self.actor, name)()

        return SimpleNamespace(remote=lambda: answer)
