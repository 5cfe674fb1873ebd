"""What `--slurm key=value` asks of Slurm for each job.

For: reading and checking it, and the parameters that submitit makes an sbatch file of. Not for:
submitting (slurm.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opro_local.errors import UsageError

DEFAULT_MINUTES = 240
# How often a job that comes to its time limit is requeued.
DEFAULT_TIMEOUTS = 20
# What submitit writes itself; all else goes to sbatch as it is, which refuses what it can't take.
NATIVE = {
    *("partition", "account", "qos", "constraint", "nodelist", "exclude", "dependency", "comment"),
    *("gres", "gpus_per_node", "gpus_per_task", "cpus_per_gpu", "cpus_per_task", "exclusive"),
    *("mem", "mem_per_gpu", "mem_per_cpu", "mail_type", "mail_user", "job_name"),
}
LISTS = ("setup", "srun_args")  # may be given several times
NUMBERS = ("gpus_per_node", "gpus_per_task", "cpus_per_gpu", "cpus_per_task", "signal_delay_s")
GPU_KEYS = {"gres", "gpus_per_node", "gpus_per_task", "gpus"}
CLUSTERS = ("slurm", "local")
# A group is one process on one node, and how jobs are signalled and logged is the sweep's business.
OWN = {
    "nodes",
    "ntasks",
    "ntasks_per_node",
    "array",
    "output",
    "error",
    "signal",
    "wrap",
    "requeue",
}
NAME = re.compile(r"[a-z][a-z0-9_]*")
TIME = re.compile(
    r"""
    (?: (?P<days> \d{1,4}) - )?
    (?P<first> \d{1,6})
    (?: : (?P<second> \d{1,2}) )?
    (?: : (?P<third> \d{1,2}) )?
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class SlurmOptions:
    """What each job asks for.

    Attributes:
        cluster: "slurm", or "local": processes of this machine in its place, to try things out.
        minutes: the time limit.
        timeouts: how often a job is requeued at its time limit.
        values: further parameters of sbatch, with "_" for "-".
    """

    cluster: str = "slurm"
    minutes: int = DEFAULT_MINUTES
    timeouts: int = DEFAULT_TIMEOUTS
    values: Mapping[str, Any] = field(default_factory=dict)

    def parameters(self, name: str, gpus: int) -> dict[str, Any]:
        """As the executor of submitit takes them.

        Args:
            name: of the group.
            gpus: that it needs, where the options say nothing of GPUs.
        """
        if self.cluster == "local":
            return {"timeout_min": self.minutes}
        own = {key: value for key, value in self.values.items() if _is_native(key)}
        others = {key: value for key, value in self.values.items() if not _is_native(key)}
        if not GPU_KEYS & self.values.keys():
            own["gpus_per_node"] = gpus
        own.setdefault("job_name", f"opro-{name}")
        own["additional_parameters"] = {"requeue": True, **others}
        return {**own, "time": self.minutes}


def read_slurm_options(given: Sequence[str]) -> SlurmOptions:
    """The options of `--slurm`, each "key=value".

    Raises:
        UsageError: one that can't be meant, in one line.
    """
    values: dict[str, Any] = {}
    for text in given:
        written, equals, value = text.partition("=")
        key = written.strip().lstrip("-").replace("-", "_")
        _check(text, key, equals, value, values)
        if key in LISTS:
            values.setdefault(key, []).append(value)
        else:
            values[key] = _number(text, value) if key in NUMBERS else value.strip()
    cluster = values.pop("cluster", "slurm")
    if cluster not in CLUSTERS:
        raise UsageError(f"--slurm cluster={cluster}: is one of {', '.join(CLUSTERS)}")
    minutes = _minutes(values.pop("time", str(DEFAULT_MINUTES)))
    timeouts = _number("max_num_timeout", values.pop("max_num_timeout", str(DEFAULT_TIMEOUTS)))
    return SlurmOptions(cluster, minutes, timeouts, values)


def _check(text: str, key: str, equals: str, value: str, before: Mapping[str, Any]) -> None:
    """Refuse what is no option. Raises UsageError."""
    if not equals or not NAME.fullmatch(key) or not value.strip():
        raise UsageError(
            f"--slurm {text!r:.80}: wants key=value", "for example --slurm partition=gpu"
        )
    if not value.isprintable():
        raise UsageError(f"--slurm {text!r:.80}: a value is one line of text")
    if key in OWN:
        raise UsageError(f"--slurm {key}: the sweep sets that itself", "leave it out")
    if key in before and key not in LISTS:
        raise UsageError(f"--slurm {key} is given twice", "give it once")


def _number(text: str, value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise UsageError(f"--slurm {text}: a whole number is wanted, got {value!r:.40}")
    return int(value)


def _minutes(text: str) -> int:
    """A time limit as sbatch takes it: minutes, minutes:seconds, hours:minutes:seconds, or
    days-hours and so on. Raises UsageError.
    """
    match = TIME.fullmatch(text)
    if not match:
        raise UsageError(f"--slurm time={text!r:.40}: is no time", "minutes, H:MM:SS or D-HH:MM:SS")
    parts = [int(one) for one in match.group("first", "second", "third") if one is not None]
    if match["days"] is not None:
        units = (3600, 60, 1)
        days = int(match["days"])
    else:
        units = (3600, 60, 1) if len(parts) == 3 else (60, 1, 1)
        days = 0
    seconds = 86400 * days + sum(one * unit for one, unit in zip(parts, units, strict=False))
    if seconds < 60:
        raise UsageError(f"--slurm time={text}: less than a minute", "give more")
    return -(-seconds // 60)


def _is_native(key: str) -> bool:
    return key in NATIVE or key in LISTS or key == "signal_delay_s"
