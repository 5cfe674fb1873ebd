"""How a sweep's groups come to run somewhere: the contract, which local.py, slurm.py and
ray.py fulfil.

For: what another way to execute a sweep (a cluster, a queue) must do. Not for: what a group does
(group.py), or which groups are left (sweep.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from opro_local.sweeps.group import GroupWork


class Running(Protocol):
    """A group that was started. What it does stands in its journal."""

    def poll(self) -> str | None:
        """None while it runs, "" once it has ended, and else in one line how it died. Asked some
        times a second.
        """

    def stop(self) -> None:
        """Ask it to end after the engine call in flight."""

    def interrupt(self) -> None:
        """Ask it to end at once and leave its cells in order."""

    def kill(self) -> None:
        """End it, whatever it does. Nothing that was answered is lost."""


class Execution(Protocol):
    """Somewhere that groups run.

    Attributes:
        when_stopped: what becomes of a sweep that is stopped, in words for the user.
    """

    when_stopped: str

    def rejoin(self, folder: Path) -> Sequence[tuple[GroupWork, Running]]:
        """Get ready for groups with their journals in this folder; asked once, before all others.

        Returns:
            groups that an earlier command started there and that still run: they are watched, and
            not started again.

        Raises:
            OproError: no group can run there.
        """

    def places(self, gpus: Sequence[int]) -> int:
        """How many groups can run at once, at least 1, where each needs one of these numbers of
        GPUs.
        """

    def start(self, work: GroupWork) -> Running | None:
        """Begin a group: `group.run_group(work)` in a process of its own. None where there is no
        room now; it is asked again then.

        Raises:
            OproError: there will never be.
        """
