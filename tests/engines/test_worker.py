"""What becomes of an engine that dies, hangs or lies, and of a worker whose parent dies."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from importlib import metadata

import pytest
from running import SMOL, gone, real

from opro_local.engines import start
from opro_local.engines.kinds import resolve_kind
from opro_local.engines.settings import EngineSettings
from opro_local.engines.start import start_engine
from opro_local.engines.worker import WorkerEngine
from opro_local.engines.worker_environment import environment
from opro_local.errors import EngineError, ModelError
from opro_local.types import Completion, Prompt, Request, Sampling

SCRIPT = """
import os, sys, time
from opro_local.types import Completion

def echo(request):
    return request.prompt.text

def noisy(request):
    print("noise on stdout"); os.write(1, b"\\x00\\x00raw noise\\n"); os.system("echo noise of a child")
    return request.prompt.text

def crash(request):
    print("the cause of death", file=sys.stderr); sys.stderr.flush(); os.abort()

def bug(request):
    raise KeyError("a bug")

def leave(request):
    sys.exit(3)

def whole(request):
    return Completion(request.prompt.text, "length", 5, 4, 3)

def reads(request):
    return repr(sys.stdin.read())

def snail(request):
    time.sleep(0.4)
    return "done"
"""
SAMPLING = Sampling(max_tokens=50)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Starts workers around a function of SCRIPT, and ends them."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    started = []

    def start(function="echo", fault="", **changes):
        monkeypatch.setenv("OPRO_FAULT", fault)
        settings = EngineSettings(
            model="", kind="scripted", script=f"{script}:{function}", **changes
        )
        started.append(WorkerEngine(settings, tmp_path / "engine.log"))
        return started[-1]

    yield start
    for engine in started:
        engine.close()


def requests(*texts):
    return [Request(Prompt(text), SAMPLING) for text in texts]


def test_text_survives_both_ways(worker):
    texts = ["plain", "日本語 🙂", "lone \ud800", "nul \0", "\r\n\t\x1f", "", "x" * 3_000_000]
    assert [c.text for c in worker(max_model_len=99).generate(requests(*texts))] == texts


def test_every_field_survives(worker):
    assert worker("whole").generate(requests("a")) == [Completion("a", "length", 5, 4, 3)]


def test_many_requests_arrive_in_order(worker):
    texts = [f"text {i}" for i in range(20_000)]
    assert [c.text for c in worker().generate(requests(*texts))] == texts


def test_noise_on_stdout_goes_to_the_log(worker, tmp_path):
    assert [c.text for c in worker("noisy").generate(requests("a", "b"))] == ["a", "b"]
    logged = (tmp_path / "engine.log").read_bytes()
    assert b"raw noise" in logged and b"noise of a child" in logged


def test_stdin_is_not_the_protocol(worker):
    assert worker("reads").generate(requests("a"))[0].text == "''"


def test_death_names_the_signal_and_ends_at_once(worker):
    engine = worker(fault="die:2")
    engine.generate(requests("a"))
    with pytest.raises(EngineError, match="killed by signal 9, usually out of memory"):
        engine.generate(requests("a", "b"))
    assert gone(engine.pid)
    with pytest.raises(EngineError, match="closed"):
        engine.generate(requests("a"))


def test_death_shows_the_end_of_the_log(worker):
    with pytest.raises(EngineError, match=r"(?s)signal 6.*the cause of death"):
        worker("crash").generate(requests("a"))


def test_exit_names_the_status(worker):
    with pytest.raises(EngineError, match="exited with status 3"):
        worker("leave").generate(requests("a"))


def test_hang_ends_within_stall_seconds(worker):
    engine = worker(fault="hang:1", stall_seconds=1.5)
    start = time.monotonic()
    with pytest.raises(EngineError, match=r"without progress for 1.5 s(?s:.*)stall_seconds"):
        engine.generate(requests("a"))
    assert time.monotonic() - start < 6
    assert gone(engine.pid)


def test_a_sleeping_engine_answers_only_when_it_is_awake_again(worker):
    engine = worker()
    engine.sleep()
    for ask in (
        lambda: engine.generate(requests("a")),
        lambda: engine.count_tokens([Prompt("a")]),
        engine.sleep,
    ):
        with pytest.raises(EngineError, match="the scripted engine is asleep"):
            ask()
    engine.wake()
    assert engine.generate(requests("a"))[0].text == "a"
    with pytest.raises(EngineError, match="awake already"):
        engine.wake()


@pytest.mark.parametrize("call", ["sleep", "wake"])
def test_a_dead_or_stopped_child_neither_sleeps_nor_wakes(worker, monkeypatch, call):
    engine = worker()
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(EngineError, match="killed by signal 9"):
        getattr(engine, call)()
    monkeypatch.setattr("opro_local.engines.worker.SILENCE_SECONDS", 1.0)
    engine = worker()
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match="silent"):
        getattr(engine, call)()
    assert gone(engine.pid)


def test_a_stopped_child_is_noticed(worker, monkeypatch):
    monkeypatch.setattr("opro_local.engines.worker.SILENCE_SECONDS", 1.5)
    engine = worker()
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match="silent"):
        engine.generate(requests("a"))
    assert gone(engine.pid)


def test_a_stopped_child_does_not_block_a_large_batch(worker, monkeypatch):
    monkeypatch.setattr("opro_local.engines.worker.SILENCE_SECONDS", 1.5)
    engine = worker()
    os.kill(engine.pid, signal.SIGSTOP)
    with pytest.raises(EngineError, match="read nothing"):
        engine.generate(requests("x" * 3_000_000))


def test_slow_is_not_hung(worker):
    assert worker("snail", stall_seconds=4).generate(requests("a", "b", "c"))[0].text == "done"


def test_short_list(worker):
    with pytest.raises(EngineError, match="1 completions for 2 requests"):
        worker(fault="short:1").generate(requests("a", "b"))


def test_an_engines_own_error_comes_back_and_the_worker_lives(worker):
    engine = worker(fault="raise:1")
    with pytest.raises(EngineError, match="told to fail"):
        engine.generate(requests("a"))
    assert engine.generate(requests("b"))[0].text == "b"


def test_a_bug_in_the_engine_is_one_line_here_and_a_traceback_in_the_log(worker, tmp_path):
    with pytest.raises(EngineError, match="KeyError: 'a bug'") as caught:
        worker("bug").generate(requests("a"))
    assert "Traceback" not in str(caught.value)
    assert "Traceback" in (tmp_path / "engine.log").read_text()


def test_a_model_that_does_not_load_is_a_model_error(worker):
    with pytest.raises(ModelError, match="no function 'missing'"):
        worker("missing")


def test_load_seconds(worker):
    with pytest.raises(EngineError, match=r"not ready for 0\.001 s"):
        worker(load_seconds=0.001)


def test_an_interrupted_batch_ends_the_worker(worker):
    engine = worker("snail")

    def interrupt(finished, tokens):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.generate(requests(*"abcdef"), interrupt)
    assert gone(engine.pid)


def test_close_ends_the_child_and_can_be_repeated(worker):
    engine = worker()
    engine.close()
    engine.close()
    assert gone(engine.pid)


def test_a_worker_outlives_the_thread_that_started_it(worker):
    started = []
    thread = threading.Thread(target=lambda: started.append(worker()))
    thread.start()
    thread.join()
    time.sleep(0.5)
    assert started[0].generate(requests("a"))[0].text == "a"


@pytest.mark.parametrize("from_thread", [False, True])
def test_the_worker_dies_with_its_parent(worker, tmp_path, from_thread):
    worker()
    program = textwrap.dedent(f"""
        import sys, threading, time
        from opro_local.engines.worker import WorkerEngine
        from opro_local.engines.worker_environment import environment
        from opro_local.engines.settings import EngineSettings
        from opro_local.types import *
        def start():
            engine = WorkerEngine(EngineSettings(model="", kind="scripted", script="{tmp_path}/script.py:echo"))
            print(engine.pid, flush=True)
            time.sleep(60)
        if {from_thread}:
            threading.Thread(target=start).start()
        else:
            start()
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert gone(child)


def test_the_parent_imports_nothing_heavy():
    program = (
        "import opro_local.engines.worker, sys; print({'torch', 'vllm', 'transformers'} & "
        "set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
        == "set()\n"
    )


def test_ctrl_c_does_not_reach_the_child(worker):
    assert os.getsid(worker().pid) != os.getsid(0)


def test_auto_falls_back_and_says_why(monkeypatch):
    kinds = []

    def start(settings, log, devices):
        kinds.append(settings.kind)
        if settings.kind == "vllm":
            raise EngineError("vLLM does not start: no memory")
        return settings

    monkeypatch.setattr("opro_local.engines.worker.WorkerEngine", start)
    monkeypatch.setattr("opro_local.engines.kinds.find_spec", lambda name: object())
    settings = EngineSettings(model="", kind="vllm", engine_args={"swap_space": 1})
    hosted, notice = start_engine(settings, "auto")
    assert kinds == ["vllm", "transformers"]
    assert "no memory" in notice and hosted.engine_args == {}
    with pytest.raises(EngineError, match="no memory"):
        start_engine(settings, "vllm")


FULL = EngineError(
    "vLLM does not start: Free memory on device cuda:0 is less than desired", "lower gpu_memory"
)
LARGE = EngineError("the model does not fit the GPU", "use a smaller model or dtype")
BROKEN = ModelError("m: the tokenizer does not load", "copy the whole model folder")


@pytest.fixture
def failing(monkeypatch):
    """Has the engines of "auto" fail one after the other with these errors; gives the kinds that
    were tried.
    """
    kinds = []

    def fail(*errors):
        def start(settings, log, devices):
            kinds.append(settings.kind)
            if len(kinds) <= len(errors):
                raise errors[len(kinds) - 1]

        monkeypatch.setattr("opro_local.engines.worker.WorkerEngine", start)
        monkeypatch.setattr("opro_local.engines.kinds.find_spec", lambda name: object())
        return kinds

    return fail


def test_when_the_second_engine_fails_too_the_first_reason_leads(failing):
    failing(FULL, LARGE)
    with pytest.raises(EngineError) as caught:
        start_engine(EngineSettings("m", "vllm"), "auto")
    assert str(caught.value) == (
        "vLLM does not start: Free memory on device cuda:0 is less than desired; lower "
        "gpu_memory; the transformers "
        "engine, tried next, did not start either: the model does not fit the GPU; use a "
        "smaller model or dtype"
    )


def test_a_reason_that_both_engines_give_is_told_once(failing):
    failing(BROKEN, BROKEN)
    with pytest.raises(ModelError) as caught:
        start_engine(EngineSettings("m", "vllm"), "auto")
    assert caught.value is BROKEN


def test_an_engine_with_adapters_falls_back_on_none(failing):
    kinds = failing(FULL)
    with pytest.raises(EngineError) as caught:
        start_engine(EngineSettings("m", "vllm", adapters=("/a",)), "auto")
    assert caught.value is FULL and kinds == ["vllm"]


def test_the_notice_of_a_fall_back_says_what_would_help(failing):
    failing(FULL)
    assert start_engine(EngineSettings("m", "vllm"), "auto")[1] == (
        "WARNING: vLLM did not start (vLLM does not start: Free memory on device cuda:0 is less "
        "than desired; lower gpu_memory); using transformers, which is slower"
    )


PARTS = """
import multiprocessing, os, signal, sys, time

def idle():
    time.sleep(60)

part = multiprocessing.get_context("fork").Process(target=idle, name="EngineCore", daemon=True)
part.start()
helper = multiprocessing.get_context("fork").Process(target=idle, name="Pool-1", daemon=True)
helper.start()

def finish(request):
    helper.terminate()
    time.sleep(2.5)
    return "y"

def lose(request):
    os.kill(part.pid, signal.SIGKILL)
    time.sleep(60)

def end(request):
    part.terminate()
    time.sleep(60)

def answer(request):
    return "y"

def refer(request):
    for line in (
        "(EngineCore pid=12) INFO 11-28 10:00:00 [core.py:1] loading",
        "(Worker_TP1 pid=13) ERROR 11-28 10:00:01 torch.OutOfMemoryError: CUDA out of memory.",
        "(EngineCore pid=12) RuntimeError: failed, see stack trace for root cause",
    ):
        print(line, file=sys.stderr)
    sys.stderr.flush()
    raise RuntimeError("Engine core failed. See root cause above. Failed core proc(s): {}")
"""


@pytest.fixture
def parts(tmp_path):
    (tmp_path / "parts.py").write_text(PARTS)

    def start_part(name):
        script = f"{tmp_path / 'parts.py'}:{name}"
        return WorkerEngine(EngineSettings("", "scripted", script=script))

    return start_part


@pytest.mark.parametrize(
    ("function", "how"),
    [
        ("lose", "EngineCore was killed by signal 9, usually out of memory"),
        ("end", "EngineCore was killed by signal 15"),
    ],
)
def test_a_process_of_the_engines_own_that_ends_is_noticed_at_once(parts, function, how):
    worker = parts(function)
    started = time.monotonic()
    with pytest.raises(EngineError) as caught:
        worker.generate([Request(Prompt("x"), Sampling(4))])
    assert time.monotonic() - started < 10
    assert caught.value.message.startswith(f"a process of the scripted engine is gone: {how}")
    assert gone(worker.pid)


@pytest.mark.parametrize("function", ["answer", "finish"])
def test_processes_that_live_and_helpers_that_end_change_nothing(parts, function):
    worker = parts(function)
    (reply,) = worker.generate([Request(Prompt("x"), Sampling(4))])
    assert reply.text == "y"
    worker.close()


@pytest.mark.long
@pytest.mark.timeout(300)
def test_vllms_core_that_is_killed_is_noticed_at_once(monkeypatch):
    """Without our watch vLLM 0.32 waits for a killed core without end."""
    real("vllm")
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    worker = WorkerEngine(EngineSettings(str(SMOL), "vllm", max_model_len=1024))
    listed = subprocess.run(["ps", "-eo", "pid,pgid,args"], capture_output=True, text=True)
    rows = [line.split(maxsplit=2) for line in listed.stdout.splitlines()[1:]]
    (core,) = (
        int(pid) for pid, group, name in rows if int(group) == worker.pid and "EngineCore" in name
    )
    killer = threading.Timer(3, os.kill, (core, signal.SIGKILL))
    killer.start()
    started = time.monotonic()
    with pytest.raises(EngineError, match="EngineCore was killed by signal 9"):
        worker.generate([Request(Prompt(f"Story {i}"), Sampling(900)) for i in range(64)])
    assert time.monotonic() - started < 20
    assert gone(core)


def test_an_error_that_refers_to_the_log_is_told_with_its_cause_and_the_logs_end(parts):
    worker = parts("refer")
    with pytest.raises(EngineError) as caught:
        worker.generate([Request(Prompt("x"), Sampling(4))])
    first, *rest = caught.value.message.splitlines()
    assert "(torch.OutOfMemoryError: CUDA out of memory.)" in first
    assert first.endswith("; its log ends:")
    assert rest[-1].strip() == (
        "RuntimeError: Engine core failed. See root cause above. Failed core proc(s): {}"
    )
    assert not any("loading" in line for line in rest)
    worker.close()


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Makes this a machine with a GPU, or none, and vLLM's package of this version."""

    def make(version, devices, visible=None):
        def said(package):
            if version is None:
                raise metadata.PackageNotFoundError(package)
            return version

        monkeypatch.setattr(metadata, "version", said)
        monkeypatch.setattr("opro_local.engines.gpus.gpus", lambda: ())
        monkeypatch.setattr(start, "DEVICES", tmp_path)
        for name in devices:
            (tmp_path / name).touch()
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return make


def test_on_a_gpu_a_vllm_that_fails_ends_the_run_instead_of_slowing_it(failing, machine):
    kinds = failing(FULL)
    machine("0.33.0", ["nvidia0", "nvidiactl"])
    with pytest.raises(EngineError) as caught:
        start_engine(EngineSettings("m", "vllm"), "auto")
    assert kinds == ["vllm"] and caught.value.message == FULL.message
    assert caught.value.hint == (
        "lower gpu_memory; or take the slower engine, for the whole run, with --engine transformers"
    )


@pytest.mark.parametrize(
    ("version", "devices", "visible"),
    [
        ("0.33.0", [], None),
        ("0.33.0", ["nvidiactl"], None),
        ("0.33.0+cpu", ["nvidia0"], None),
        (None, ["nvidia0"], None),
        ("0.33.0", ["nvidia0"], ""),
        ("0.33.0", ["nvidia0"], "-1"),
    ],
)
def test_without_a_gpu_for_vllm_the_fall_back_stays(failing, machine, version, devices, visible):
    kinds = failing(FULL)
    machine(version, devices, visible)
    assert "WARNING: vLLM did not start" in start_engine(EngineSettings("m", "vllm"), "auto")[1]
    assert kinds == ["vllm", "transformers"]


def test_the_sampler_that_is_compiled_at_the_start_is_off_unless_asked_for(monkeypatch):
    name, settings = "VLLM_USE_FLASHINFER_SAMPLER", EngineSettings("m", "vllm")
    monkeypatch.delenv(name, raising=False)
    assert environment(settings)[name] == "0"
    monkeypatch.setenv(name, "1")
    assert environment(settings)[name] == "1"


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ({}, "127.0.0.1"),
        ({"nnodes": 1}, "127.0.0.1"),
        ({"nnodes": 2}, None),
        ({"distributed_executor_backend": "ray"}, None),
    ],
)
def test_vllm_asks_no_server_for_its_address(monkeypatch, arguments, address):
    monkeypatch.delenv("VLLM_HOST_IP", raising=False)
    settings = EngineSettings("m", "vllm", engine_args=arguments)
    assert environment(settings).get("VLLM_HOST_IP") == address


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr("opro_local.engines.kinds.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"opro-local\[cuda\]"):
        resolve_kind("vllm")
    with pytest.raises(EngineError, match=r"opro-local\[cpu\]"):
        resolve_kind("auto")
    assert resolve_kind("scripted") == "scripted"
