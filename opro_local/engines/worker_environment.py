"""The environment that an engine's child process gets.

For: switches that libraries read when they are imported. Not for: starting the child (worker.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from opro_local.engines.kinds import ENGINES
from opro_local.engines.settings import EngineSettings
from opro_local.network import SWITCHES


def environment(settings: EngineSettings, devices: str | None = None) -> dict[str, str]:
    """The child's environment; what the user has set stays, apart from the offline switches."""
    env = {**os.environ, **SWITCHES}
    # GPUs are planned by nvidia-smi's numbers; CUDA's own begin with the fastest GPU.
    env.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    if devices is not None:
        env["CUDA_VISIBLE_DEVICES"] = devices
    env.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    env.setdefault("VLLM_PLUGINS", "")  # third-party plugins run at import; none is needed
    # vLLM's own default compiles a sampler with nvcc at the start, which a machine with a driver
    # alone has not (vLLM's issue 49497). Greedy and seeded requests never use it.
    env.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
    if not settings.spans_machines:
        # Where it is not given, vLLM finds its address by a socket to a server on the internet.
        env.setdefault("VLLM_HOST_IP", "127.0.0.1")
    if is_one_process(settings):
        # vLLM's core then runs inside the child: its start is four times faster, its schedule
        # repeats, and no process of its own can outlive a kill.
        env.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    if not ENGINES[settings.kind].reads_folder or Path("/proc/driver/nvidia").exists():
        return env
    # Workers that share the processor share its cores.
    workers = settings.data_parallel * settings.gpu_workers
    cores = len(os.sched_getaffinity(0)) // workers
    env.setdefault("OMP_NUM_THREADS", str(max(1, cores)))
    openmp = Path(sys.prefix) / "lib" / "libiomp5.so"
    # torch's own OpenMP spins while it waits: with a busy neighbour it was measured eight times
    # slower than Intel's, or than itself told not to spin.
    if openmp.exists():
        env.setdefault("KMP_BLOCKTIME", "5")
        env["LD_PRELOAD"] = ":".join(filter(None, [str(openmp), env.get("LD_PRELOAD")]))
    else:
        env.setdefault("OMP_WAIT_POLICY", "passive")
    return env


def is_one_process(settings: EngineSettings) -> bool:
    """Whether the child can host the whole model without processes of vLLM's own."""
    return settings.tensor_parallel * settings.pipeline_parallel == 1
