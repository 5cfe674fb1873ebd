"""The card of a prompt says of its engine what is known."""

from __future__ import annotations

from opro_local.exports.markdown import _engine


def test_what_is_not_known_of_an_engine_is_left_out():
    record = {"engine": "scripted", "engine_version": "1", "torch": None, "device": "none"}
    assert list(_engine(record)) == ["engine scripted", "engine version 1"]
