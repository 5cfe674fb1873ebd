"""Exports in the tools that they are for, where these are installed: promptfoo, MLflow, DSPy.

The openai client and lm-evaluation-harness are asked in test_formats.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from http.server import HTTPServer

import pytest
import yaml
from odd_rows import LAYOUTS, SHAPES, asked, chosen
from test_formats import Server, wanted

# Rows in which promptfoo would put a variable into a variable.
NESTED = "{{ input }}"


@pytest.mark.parametrize("shape", SHAPES)
def test_mlflow_formats_the_runs_prompt(tables, tmp_path, shape):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed here")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    layouts = ("answer", "column", "template") if shape in ("chat", "base") else ()
    for layout in layouts:
        plan, found = chosen(tables, tmp_path, *LAYOUTS[layout], shape)
        arguments = json.loads(found.export("mlflow")) | {"name": layout}
        mlflow.genai.register_prompt(**arguments)
        prompt = mlflow.genai.load_prompt(f"prompts:/{layout}/1")
        for row, request in asked(plan, found):
            values = {**row.columns, "input": row.input}
            given = {name: values[name] for name in prompt.variables}
            assert prompt.format(**given) == wanted(request.prompt)


def test_dspy_loads_instruction_and_demos(tables, tmp_path):
    dspy = pytest.importorskip("dspy", reason="dspy is not installed here")
    _, found = chosen(tables, tmp_path, {}, "What {{is}} it?", "turns")
    (tmp_path / "p.json").write_text(found.export("dspy"), "utf-8")
    program = dspy.Predict("text -> label")
    program.load(str(tmp_path / "p.json"))
    assert program.signature.instructions == "What {{is}} it?"
    shown = [(demo["text"], demo["label"]) for demo in program.demos]
    assert shown == [(one["input"], one["answer"]) for one in found.prompt.demonstrations]


@pytest.mark.long
@pytest.mark.skipif(shutil.which("promptfoo") is None, reason="promptfoo is not on the PATH here")
@pytest.mark.parametrize("shape", SHAPES)
def test_promptfoo_sends_what_the_run_asked(tables, tmp_path, shape):
    own = type("Own", (Server,), {"asked": []})
    plan, found = chosen(tables, tmp_path, *LAYOUTS["begin"], shape)
    pairs = [pair for pair in asked(plan, found) if NESTED not in pair[0].input]
    config = yaml.safe_load(found.export("promptfoo"))
    config["tests"] = [{"vars": {"input": row.input, "target": "positive"}} for row, _ in pairs]
    with HTTPServer(("127.0.0.1", 0), own) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        config["providers"][0]["config"]["apiBaseUrl"] = address
        (tmp_path / "c.yaml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
        quiet = {"PROMPTFOO_DISABLE_TELEMETRY": "1", "PROMPTFOO_DISABLE_UPDATE": "1"}
        said = subprocess.run(
            ["promptfoo", "eval", "--no-cache", "--no-write", "-j", "1", "-c", "c.yaml"],
            cwd=tmp_path,
            env={**os.environ, **quiet, "PROMPTFOO_CONFIG_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        server.shutdown()
    assert said.returncode == 0, said.stdout + said.stderr
    sent = [body.get("messages", body.get("prompt")) for _, body in own.asked]
    assert sent == [wanted(request.prompt) for _, request in pairs] and len(sent) >= 10
