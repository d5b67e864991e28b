"""Presets of training runs: lines of Question-Formation, and windows of one array of tokens."""

from __future__ import annotations

from service.contracts.jobs import Preset
from service.contracts.sentence_presets import SENTENCE_PRESETS
from service.contracts.window_presets import WINDOW_PRESETS

TRAINING_PRESETS: tuple[Preset, ...] = (*SENTENCE_PRESETS, *WINDOW_PRESETS)
