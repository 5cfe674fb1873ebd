"""A model signed with a site's own key, where model-signing is installed."""

from __future__ import annotations

import json
import sys

import pytest
from model_folders import whole
from typer.testing import CliRunner

from opro_local.cli.main import app
from opro_local.errors import ModelError, UsageError
from opro_local.models.manifest import SIGNATURE


def run(*words):
    return CliRunner().invoke(app, ["models", *map(str, words)])


@pytest.fixture
def imported(tmp_path, monkeypatch):
    monkeypatch.setenv("OPRO_LOCAL_MODELS", str(tmp_path / "models"))
    assert run("import", whole(tmp_path / "media" / "tiny")).exit_code == 0
    return tmp_path / "models" / "tiny"


def keys(folder, name):
    """A pair of keys as files: private, public."""
    serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, *plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(pem, form))
    return private, public


def verified(public):
    told = run("verify", "tiny", "--public-key", public, "--json")
    came = json.loads(told.stdout)
    assert told.exit_code == (0 if came["ok"] else 3)
    return {one["file"]: one["what"] for one in came["damaged"]}


def test_a_signature_holds_until_something_changes(imported, tmp_path):
    pytest.importorskip("model_signing", reason="the extra `signing` is not installed")
    private, public = keys(tmp_path, "site")
    _, other = keys(tmp_path, "other")
    assert verified(public) == {SIGNATURE: "there is no signature"}
    assert run("sign", "tiny", "--key", private).exit_code == 0
    assert verified(public) == {} and run("verify", "tiny").exit_code == 0
    assert "Key mismatch" in verified(other)[SIGNATURE]
    assert json.loads(run("show", "tiny", "--json").stdout)["signed"] is True
    # It travels with the model, and stays behind where the model gets another name.
    moved = imported.rename(tmp_path / "usb-tiny").parent / "usb-tiny"
    assert run("import", moved, "--name", "tiny").exit_code == 0
    assert verified(public) == {}
    assert run("import", moved, "--name", "second").exit_code == 0
    assert not (imported.parent / "second" / SIGNATURE).exists()
    (imported / "tokenizer.json").write_text("[]")
    assert verified(public).keys() == {SIGNATURE, "tokenizer.json"}
    signed = run("sign", "tiny", "--key", private)
    assert isinstance(signed.exception, ModelError) and "tokenizer.json" in str(signed.exception)


@pytest.mark.parametrize("content", ["", "{}", "x", '{"mediaType": 1}'])
def test_an_edited_signature_is_damage(imported, tmp_path, content):
    pytest.importorskip("model_signing", reason="the extra `signing` is not installed")
    private, public = keys(tmp_path, "site")
    assert run("sign", "tiny", "--key", private).exit_code == 0
    (imported / SIGNATURE).write_text(content)
    assert verified(public).keys() == {SIGNATURE}


@pytest.mark.parametrize("content", [None, "", "x", "-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_that_is_no_key_is_one_line(imported, tmp_path, content):
    pytest.importorskip("model_signing", reason="the extra `signing` is not installed")
    if content is not None:
        (tmp_path / "key").write_text(content)
    for verb in (("sign", "tiny", "--key"), ("verify", "tiny", "--public-key")):
        told = run(*verb, tmp_path / "key")
        assert isinstance(told.exception, UsageError), told
        assert "key that can be used" in str(told.exception)


def test_without_the_extra_its_name_is_said(imported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "model_signing", None)
    monkeypatch.delitem(sys.modules, "model_signing.signing", raising=False)
    monkeypatch.delitem(sys.modules, "model_signing.verifying", raising=False)
    told = run("sign", "tiny", "--key", tmp_path / "key")
    assert isinstance(told.exception, UsageError) and "opro-local[signing]" in str(told.exception)
