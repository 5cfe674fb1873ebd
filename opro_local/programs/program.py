"""The user's own programs as an engine: each request is one run of a command, each completion what
came of it.

For: starting runs, so many at once, and ending them with this process; see supervisor.py for what
watches each. Not for: what an output is worth. Through the store a run's outcome is kept, replayed
and resumed like any completion.

A request's `prompt.text` is the solution; `prompt.system` names the program where an engine has
several. A completion's text is canonical JSON:
    exit    the exit status, negative for a signal; null when the run was ended or never started
    ended   "" when it ended itself, else why not: "time", "output", "lost" or "not started: ..."
    stdout  the end of what it wrote (64 KiB), decoded as UTF-8
    stderr  the same (4 KiB)
    binary  whether that part of stdout is not UTF-8
It carries no times, so that equal outcomes are equal texts. A status other than 0 is finish reason
"failed".

The program finds in its environment, beside what variables.py passes on of this process' own:
OPRO_LOCAL_FILE (the solution), OPRO_LOCAL_TASK (the program's name) and OPRO_LOCAL_WORKSPACE (the
copy it works in, if any).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import selectors
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opro_local.programs.variables import passed
from opro_local.protocols import Engine, Progress
from opro_local.types import Completion, Prompt, Request

SUPERVISOR = str(Path(__file__).with_name("supervisor.py"))
CLOSE_SECONDS = 8.0  # more than the supervisor takes to end what a program has started
# A {name} in a command.
PLACEHOLDER = re.compile(r"\{(?P<name>\w+)\}")

# A program's name, and the solution's text.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Program:
    """One command and its limits.

    Attributes:
        command: the program and its arguments, no shell. {file}, {workspace} and {task} stand for
            the solution's file, the copy of `workspace` and the program's name, {prompt} for
            `prompt`. Without {file} the solution comes on stdin.
        folder: where it runs; a program with a workspace runs in the copy.
        workspace: a folder that is copied afresh for every run.
        place: the solution's file, relative to the copy, or its bare name where there is no
        workspace.
        prompt: what an agent is asked.
        environment: further variables, and their values.
        pass_environment: names or patterns of variables of this process that it gets beside those
        in `variables.PASSED`.
        timeout: seconds per run.
        output_limit: bytes of stdout and stderr together after which a run is ended.
    """

    command: tuple[str, ...]
    folder: str = ""
    workspace: str = ""
    place: str = "solution.txt"
    prompt: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_environment: Sequence[str] = ()
    timeout: float = 60.0
    output_limit: int = 1_000_000


class ProgramEngine(Engine):
    """Answers each request by running a program (see the module's docstring).

    Runs of one batch with the same program and solution are one run, and a run that ended itself is
    not repeated.

    Args:
        programs: by name; the name "" answers requests that name none.
        parallel: runs at once; the usable CPU cores if None.
    """

    def __init__(self, programs: Mapping[str, Program], parallel: int | None = None) -> None:
        self._programs = programs
        self._parallel = parallel or len(os.sched_getaffinity(0))
        self._known: dict[Key, Completion] = {}
        self.max_model_len = sys.maxsize
        self.fingerprint: Mapping[str, Any] = {"engine": "program", "engine_version": "1"}

    def generate(
        self, requests: Sequence[Request], progress: Progress | None = None
    ) -> list[Completion]:
        """One completion per request; see the Engine protocol. `progress` counts finished runs and
        no tokens.
        """
        asked = [(request.prompt.system or "", request.prompt.text) for request in requests]
        done = {key: self._known[key] for key in asked if key in self._known}
        missing = [key for key in dict.fromkeys(asked) if key not in done]
        # Closed even when Ctrl-C leaves the loop: the generator then ends what still runs.
        with contextlib.closing(self._run(missing)) as ended:
            for key, completion in ended:
                done[key] = completion
                # A run that was ended from outside might go better next time: not remembered.
                if json.loads(completion.text)["exit"] is not None:
                    self._known[key] = completion
                if progress:
                    progress(sum(key in done for key in asked), 0)
        return [done[key] for key in asked]

    def count_tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """Programs read no tokens."""
        return [0] * len(prompts)

    def close(self) -> None:
        """Nothing outlives a batch."""

    def _run(self, waiting: list[Key]) -> Generator[tuple[Key, Completion], None, None]:
        """Yield (key, completion) as the runs end. Left early, by Ctrl-C or an error, it ends those
        that run.
        """
        selector = selectors.DefaultSelector()
        waiting.reverse()  # taken from its end
        running: list[_Run] = []
        try:
            while waiting or running:
                while waiting and len(running) < self._parallel:
                    name, text = waiting.pop()
                    run = _Run((name, text), self._programs[name])
                    running.append(run)
                    selector.register(run.stdout, selectors.EVENT_READ, run)
                for chosen, _ in selector.select():
                    run = chosen.data
                    if not run.read():
                        selector.unregister(run.stdout)
                        running.remove(run)
                        yield run.key, run.completion()
        finally:
            selector.close()
            for run in running:
                run.stdin.close()  # tells all supervisors at once
            for run in running:
                run.end()


class _Run:
    """One run of a program: its supervisor at work, and what that has said so far."""

    def __init__(self, key: Key, program: Program) -> None:
        self.key = key
        self._answer = b""
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # The supervisor hands its own on.
            env=passed(os.environ, program.pass_environment),
            # Ctrl-C in the terminal is the run's business.
            start_new_session=True,
        )
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        assert stdin is not None and stdout is not None  # both are pipes
        self.stdin, self.stdout = stdin, stdout
        job = _job(program, *key)
        self._place = job["place"]
        # An unbuffered file may take a part only: a pipe holds 64 KiB.
        data = memoryview(json.dumps(job).encode("ascii") + b"\n")
        while data:
            data = data[self.stdin.write(data) :]

    def read(self) -> bool:
        """Read on; false when the supervisor has said everything."""
        data = self.stdout.read(1 << 16)
        self._answer += data
        return bool(data)

    def completion(self) -> Completion:
        """What came of it."""
        self.end()
        outcome: dict[str, Any] = {"exit": None, "ended": "lost", "stdout": "", "stderr": ""}
        written = 0
        # An answer that is not whole comes from a supervisor that was killed.
        if self._answer.endswith(b"}"):
            outcome = json.loads(self._answer)
            written = outcome.pop("written")
        outcome["stdout"], outcome["binary"] = _decoded(outcome["stdout"], written)
        # How much of stderr is left out is not known; its beginning is taken for cut.
        outcome["stderr"], _ = _decoded(outcome["stderr"], sys.maxsize)
        text = json.dumps(outcome, sort_keys=True, separators=(",", ":"))
        return Completion(text, "stop" if outcome["exit"] == 0 else "failed", 0, 0, 0)

    def end(self) -> None:
        """Leave only when the supervisor is gone; one whose stdin ends takes its program along."""
        self.stdin.close()
        try:
            self._supervisor.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self.stdout.close()
        shutil.rmtree(self._place, ignore_errors=True)  # there only when the supervisor was killed


def _job(program: Program, name: str, text: str) -> dict[str, Any]:
    """What a supervisor has to do, as the JSON that it reads."""
    place = os.path.join(tempfile.gettempdir(), f"opro-local-{secrets.token_hex(8)}")
    workspace = os.path.join(place, "workspace") if program.workspace else ""
    file = os.path.join(workspace or place, program.place)
    names = {"file": file, "workspace": workspace, "task": name}
    if program.prompt:
        names["prompt"] = program.prompt
    own = {
        "OPRO_LOCAL_FILE": file,
        "OPRO_LOCAL_TASK": name,
        "OPRO_LOCAL_WORKSPACE": workspace,
    }
    return {
        "command": [_filled(part, names) for part in program.command],
        "copy": program.workspace,
        "environment": {**program.environment, **own},
        "file": file,
        "folder": workspace or program.folder or os.getcwd(),
        "limit": program.output_limit,
        "place": place,
        "stdin": not any("{file}" in part for part in program.command),
        "text": text,
        "timeout": program.timeout,
        "workspace": workspace,
    }


def _filled(part: str, names: Mapping[str, str]) -> str:
    """In one pass: a {file} that stands in a prompt is the prompt's own."""
    return PLACEHOLDER.sub(lambda match: names.get(match["name"], match[0]), part)


def _decoded(latin: str, written: int) -> tuple[str, bool]:
    """The tail of an output as text, and whether it is not UTF-8; a character cut at its beginning
    is no fault.
    """
    data = latin.encode("latin-1")
    if written > len(data):
        # In UTF-8 all bytes of a character but its first begin with the bits 10.
        firsts = (i for i in range(min(4, len(data))) if data[i] & 0xC0 != 0x80)
        data = data[next(firsts, 0) :]
    try:
        return data.decode("utf-8"), False
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace"), True
