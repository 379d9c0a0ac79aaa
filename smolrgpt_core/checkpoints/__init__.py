"""Checkpoints that come with the package; a model card lies beside the weights of each."""

from __future__ import annotations

from pathlib import Path

NANO = Path(__file__).parent / "nano"
"""The nano model, which `make nano` trains from nothing."""
