"""Signatures of model folders with a site's own key, in the form of OpenSSF's model-signing.

For: `models sign`, and `models verify --public-key`. No key but the one given is used, and nobody
is asked: no certificate, no transparency log. Not for: finding damage without a key
(verification.py).

The signature covers every file of the folder, the manifest too, so that
`model_signing verify key MODEL --signature MODEL/.opro-model.sig --public_key KEY` checks the same.
"""

from __future__ import annotations

import importlib
import os
import secrets
from pathlib import Path
from typing import Any

from opro_local.errors import ModelError, StoreError, UsageError
from opro_local.models.manifest import SIGNATURE
from opro_local.models.verification import ModelDamage

INSTALL = "pip install 'opro-local[signing]'"


def sign_model(folder: Path, key: Path) -> Path:
    """Sign a folder that was verified before.

    Args:
        folder: the model's, with its manifest.
        key: a private key on an elliptic curve, as PEM without a password.

    Returns:
        the signature, which the folder holds.

    Raises:
        UsageError: the key can't be used, or model-signing is not installed.
        StoreError: the signature can't be written.
    """
    signature = folder / SIGNATURE
    part = folder.with_name(f".{folder.name}-{secrets.token_hex(8)}.sig")
    config = _library("signing").Config()
    try:
        config.use_elliptic_key_signer(private_key=str(key))
    except (ValueError, TypeError, OSError, AttributeError) as error:
        raise UsageError(
            f"{key}: no private key that can be used: {_said(error)}",
            "an elliptic curve's, as PEM without a password (docs/models.md)",
        ) from error
    try:
        config.set_hashing_config(_hashing(signature)).sign(str(folder), str(part))
        os.replace(part, signature)
    except OSError as error:
        raise StoreError(f"{signature}: can't be written: {error}", "check the folder") from error
    finally:
        part.unlink(missing_ok=True)
    return signature


def signature_fault(folder: Path, public_key: Path) -> ModelDamage | None:
    """What is wrong with a folder's signature by this key; None where it holds.

    Raises:
        UsageError: the key can't be read, or model-signing is not installed.
    """
    signature = folder / SIGNATURE
    config = _library("verifying").Config()
    try:
        config.use_elliptic_key_verifier(public_key=str(public_key))
    except (ValueError, TypeError, OSError, AttributeError) as error:
        raise UsageError(
            f"{public_key}: no public key that can be used: {_said(error)}", "give it as PEM"
        ) from error
    if signature.is_symlink() or not signature.is_file():
        return ModelDamage(SIGNATURE, "there is no signature")
    invalid = importlib.import_module("cryptography.exceptions").InvalidSignature
    config.set_hashing_config(_hashing(signature))
    try:
        config.verify(str(folder), str(signature))
    except invalid:
        return ModelDamage(SIGNATURE, "not signed with this key, or edited since")
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        return ModelDamage(SIGNATURE, _said(error))
    return None


def require_folder(folder: Path) -> None:
    """Raise ModelError for a link: what it leads to is signed by its own name."""
    if folder.is_symlink():
        raise ModelError(f"{folder}: a link", f"sign {folder.resolve()}")


def _hashing(signature: Path) -> Any:
    return _library("hashing").Config().set_ignored_paths(paths=[str(signature)])


def _library(module: str) -> Any:
    """A module of model-signing. Raises UsageError where that is not installed."""
    try:
        return importlib.import_module(f"model_signing.{module}")
    except ImportError as error:
        raise UsageError(f"signatures need model-signing: {error}", INSTALL) from error


def _said(error: Exception) -> str:
    """The beginning of what an error says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
