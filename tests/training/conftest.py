"""Tests of training kill processes, not machines: what was written is then safe without waiting for the disk."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """test_durable.py holds the order of syncs and renames, which only a power cut puts to use."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
