"""Groups on the nodes of a Ray cluster: an actor each, with the GPUs that it needs.

For: one execution of a sweep (execution.py). Not for: what a group does in there (group.py), or
models that are larger than a node, which vLLM itself spreads.

An actor is a small process that watches the group's own one (local.py); both end with this process.
What it is told is the path of the group's work and nothing else, for a work may hold secrets, and
Ray keeps what is sent.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opro_local import __version__
from opro_local.errors import EngineError, UsageError
from opro_local.files import make_private_folder, read_text, write_whole
from opro_local.network import switch_off_network
from opro_local.sweeps.group import GroupWork, read_work, write_work
from opro_local.sweeps.journal import JournalWriter, Notice
from opro_local.sweeps.local import LocalGroup

# How often a group is started at most, where its actor or node is lost.
TRIES = 3
# What every node must show of the sweep's folder.
SHARED = "shared"
NODE_SECONDS = 120.0
# What a group on another node gets of this process's environment, by the beginning of its names.
PASSED = ("OPRO_", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
MOST_OF_LINE = 300


class RayCluster:
    """Groups on the nodes of a Ray cluster.

    Args:
        address: of a cluster that is there ("auto", HOST:PORT); "" to start one on this machine,
            which ends with this process.
        workers: how many groups at once at most; None: as many as the cluster has GPUs for, and one
            a node where it has none.

    Raises:
        UsageError: Ray is not installed.
        EngineError: there is no cluster at the address, or none can be started.
    """

    when_stopped = "nothing is lost, the same command goes on"

    def __init__(self, address: str = "", workers: int | None = None) -> None:
        # Before Ray is imported, which reads them then: it reports its use otherwise.
        switch_off_network()
        # What happens on the cluster would be told on stdout, before a result as JSON.
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
        if not address and "ray" not in sys.modules:
            # Ray listens on every interface: whoever comes must know this.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            # 15 otherwise: groups would get what every other process leaves of the processor.
            os.environ.setdefault("RAY_worker_niceness", "0")
        self._ray = _ray()
        self._workers = workers
        _connect(self._ray, address, workers or 1)
        self._nodes = [node for node in self._ray.nodes() if node["Alive"]]
        self._groups: list[RayGroup] = []

    def rejoin(self, folder: Path) -> Sequence[tuple[GroupWork, RayGroup]]:
        """See Execution.rejoin: groups end with their command, and none is there. Each node must
        see the folder.
        """
        make_private_folder(folder)
        token = secrets.token_hex(8)
        path = folder / SHARED
        write_whole(path, token)
        try:
            for node, words in self._looked(path):
                _check_node(node, words, token, folder)
        finally:
            path.unlink(missing_ok=True)
        return ()

    def places(self, gpus: Sequence[int]) -> int:
        """See Execution.places."""
        if self._workers:
            return self._workers
        wanted = max(gpus, default=1)
        return max(1, sum(count // wanted for count in self._gpu_counts()) or len(self._nodes))

    def start(self, work: GroupWork) -> RayGroup | None:
        """See Execution.start. Raises EngineError where no node has as many GPUs."""
        self._groups = [group for group in self._groups if group.poll() is None]
        counts = self._gpu_counts()
        # With GPUs Ray itself makes groups wait.
        most = self._workers or (None if any(counts) else len(self._nodes))
        if most and len(self._groups) >= most:
            return None
        if any(counts) and work.gpus > max(counts):
            raise EngineError(
                f"{work.name}: wants {work.gpus} GPUs, and no node of the cluster has more than "
                f"{max(counts)}",
                "set tensor_parallel and the like lower",
            )
        self._groups.append(RayGroup(self._ray, work, work.gpus if any(counts) else 0))
        return self._groups[-1]

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        self._ray.shutdown()

    def _gpu_counts(self) -> list[int]:
        return [int(node["Resources"].get("GPU", 0)) for node in self._nodes]

    def _looked(self, path: Path) -> list[tuple[str, tuple[str, str]]]:
        """What each node says of a file: by its address, see `_look`. Raises EngineError."""
        strategy = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        look = self._ray.remote(_look)
        asked = {
            node["NodeManagerAddress"]: look.options(
                num_cpus=0, scheduling_strategy=strategy(node["NodeID"], soft=False)
            ).remote(str(path))
            for node in self._nodes
        }
        answers = []
        for address, reply in asked.items():
            try:
                answers.append((address, self._ray.get(reply, timeout=NODE_SECONDS)))
            except self._ray.exceptions.RayError as error:
                raise EngineError(
                    f"node {address} of the Ray cluster runs nothing: {_last_line(error)}",
                    "opro-local must be installed in the Python that Ray runs there",
                ) from None
        return answers


class RayGroup:
    """A group that an actor watches. A lost actor is replaced, `TRIES - 1` times; the cells then go
    on from their stores.
    """

    def __init__(self, ray: Any, work: GroupWork, gpus: int) -> None:
        self._ray, self._work, self._gpus = ray, work, gpus
        self._work_file = write_work(work)
        self._tries = 0
        self._end: str | None = None
        self._begin()

    def poll(self) -> str | None:
        """See Running.poll."""
        if self._end is None:
            ready, _ = self._ray.wait([self._reply], timeout=0)
            if ready:
                self._take()
        return self._end

    def stop(self) -> None:
        """See Running.stop."""
        self._actor.stop.remote()

    def interrupt(self) -> None:
        """See Running.interrupt."""
        self._actor.interrupt.remote()

    def kill(self) -> None:
        """See Running.kill: the group's process and its engines end with the actor."""
        self._finish("its actor was killed")

    def _begin(self) -> None:
        self._tries += 1
        kind = self._ray.remote(GroupActor)
        self._actor = kind.options(
            num_cpus=1, num_gpus=self._gpus, max_restarts=0, scheduling_strategy="SPREAD"
        ).remote(str(self._work_file), _passed_environment())
        self._reply = self._actor.poll.remote()

    def _take(self) -> None:
        """The actor's reply, or that there is none any more."""
        exceptions = self._ray.exceptions
        try:
            how = self._ray.get(self._reply)
        except exceptions.ActorUnavailableError:
            how = None  # its node does not answer for the moment
        except exceptions.RayError as error:
            self._take_loss(error)
            return
        if how is None:
            self._reply = self._actor.poll.remote()
        else:
            self._finish(how)

    def _take_loss(self, error: Exception) -> None:
        why = f"its actor was lost ({_last_line(error)})"
        if self._tries >= TRIES:
            self._finish(f"{why}, {TRIES} times")
            return
        line = f"{self._work.name}: {why}; it is started again, try {self._tries + 1} of {TRIES}"
        journal = JournalWriter(self._work.journal)
        journal.write(Notice(self._work.cells[0].id, line))
        journal.close()
        self._begin()

    def _finish(self, how: str) -> None:
        if self._end is not None:
            return
        self._end = how
        # Its place and its GPUs are free then.
        self._ray.kill(self._actor)
        with contextlib.suppress(OSError):
            self._work_file.unlink(missing_ok=True)


class GroupActor:
    """What an actor does on its node.

    Args:
        work_file: where the group's work is.
        environment: variables for the group.
    """

    def __init__(self, work_file: str, environment: Mapping[str, str]) -> None:
        self._group: LocalGroup | None = None
        self._refusal = ""
        # Ray sets it to 1, and a model on the CPU would run on one core.
        os.environ.pop("OMP_NUM_THREADS", None)
        os.environ.update(environment)
        try:
            self._group = LocalGroup(read_work(Path(work_file)))
        except OSError as error:
            node = os.uname().nodename
            self._refusal = f"node {node} does not see {work_file} ({error.strerror})"

    def poll(self) -> str | None:
        """See Running.poll."""
        return self._refusal if self._group is None else self._group.poll()

    def stop(self) -> None:
        """See Running.stop."""
        if self._group is not None:
            self._group.stop()

    def interrupt(self) -> None:
        """See Running.interrupt."""
        if self._group is not None:
            self._group.interrupt()


def _look(path: str) -> tuple[str, str]:
    """On a node: what a file says there, "" where there is none, and the version of this code."""
    try:
        return read_text(Path(path)), __version__
    except OSError:
        return "", __version__


def _check_node(address: str, words: tuple[str, str], token: str, folder: Path) -> None:
    """Raises UsageError where a node can't run this sweep."""
    seen, version = words
    if version != __version__:
        raise UsageError(
            f"node {address} has opro-local {version}, and here is {__version__}",
            "install the same version on every node",
        )
    if seen != token:
        raise UsageError(
            f"node {address} of the Ray cluster does not see {folder}",
            "choose a --run folder that all nodes share, at one path",
        )


def _connect(ray: Any, address: str, workers: int) -> None:
    """Join a cluster, or start one. Raises EngineError."""
    options: dict[str, Any] = {"address": address}
    if not address:
        cores = len(os.sched_getaffinity(0))
        options = {"address": "local", "num_cpus": max(workers, cores), "include_dashboard": False}
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **options)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"no Ray cluster at {address}" if address else "Ray does not start"
        raise EngineError(
            f"{where}: {_last_line(error)}", "see docs/ray.md; ray status says what is there"
        ) from None


def _passed_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(PASSED)}


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:MOST_OF_LINE]


def _ray() -> Any:
    """The package. Raises UsageError where it is missing."""
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise UsageError(
            "--on ray needs Ray, which is not installed", "pip install 'opro-local[ray]'"
        ) from None
    return ray
