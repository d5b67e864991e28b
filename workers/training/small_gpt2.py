"""A small GPT-2 trained on a corpus in about a minute: `python -m workers.training.small_gpt2 --corpus … --out …`.

The result is an ordinary Hugging Face folder, so that a machine without access to the hub has a real model to analyse.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import ByteLevelBPETokenizer
from torch.nn import functional
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel
from transformers.models.gpt2.tokenization_gpt2 import GPT2Tokenizer
from transformers.utils.logging import disable_progress_bar

from service.contracts.corpora import CorpusSource
from service.settings import Settings
from workers.corpora.sources import read_documents
from workers.devices.device import set_precise_float32
from workers.training.data import consecutive_windows, random_windows, split_tail
from workers.training.loop import Trainer, TrainingConfig
from workers.training.seeding import SEEDING, Seeding, seed_weights

CONTEXT = 128
WINDOW = 64
BATCH = 16
END = "<|endoftext|>"
_BUILTIN = "python-docs"
CONFIG = TrainingConfig(steps=250, peak_lr=1.5e-3, warmup_steps=25)


def train_small_gpt2(
    texts: list[str],
    out: Path,
    *,
    seed: int = 0,
    config: TrainingConfig = CONFIG,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Train tokenizer and model on `texts` and save both in `out`; returns losses in nats per token.

    The last 5 % of the tokens are held out. Positions beyond the training window (64) stay untrained up to the
    context (128).
    """
    seed_weights(seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = _train_tokenizer(texts, out)
    encodings = tokenizer.backend_tokenizer.encode_batch([text + END for text in texts])
    tokens = np.concatenate([np.asarray(encoding.ids, dtype=np.int64) for encoding in encodings])
    training, validation = split_tail(tokens, 0.05)
    model = GPT2LMHeadModel(_config(len(tokenizer), tokenizer.get_vocab()[END]))
    began = time.perf_counter()
    with _progress() as bar:
        shown = bar.add_task("train", total=config.steps, loss=float("nan"))
        last = [0.0]

        def show(step: int, loss: float) -> None:
            last[0] = loss
            bar.update(shown, completed=step, loss=loss)
            tick()

        task = NextToken(model, random_windows(training, WINDOW, BATCH, seed))
        trainer = Trainer(task, replace(config, seed=seed))
        for _ in range(config.steps):
            made = trainer.advance()
            show(made.step, made.loss)
    model.save_pretrained(out)
    facts = {
        "train_loss": last[0],
        "val_loss": _mean_loss(model, consecutive_windows(validation, WINDOW, BATCH)),
        "seconds": time.perf_counter() - began,
        "parameters": model.num_parameters(),
        "tokens": len(tokens),
        "steps": config.steps,
    }
    (out / "training.json").write_text(json.dumps(facts, indent=1))
    return facts


class NextToken:
    """A Hugging Face language model on a stream of windows of tokens, which cannot be resumed at a step."""

    def __init__(self, model: GPT2LMHeadModel, windows: Iterator[torch.Tensor]) -> None:
        self.model, self._windows = model, windows

    def micro_batches(self, step: int, seeding: Seeding = SEEDING) -> list[torch.Tensor]:
        return [next(self._windows)]

    def tokens(self, batch: torch.Tensor) -> int:
        return batch[:, 1:].numel()

    def targets(self, batch: torch.Tensor) -> int:
        return batch[:, 1:].numel()

    def loss(self, batch: torch.Tensor, weight: float) -> torch.Tensor:
        logits = self.model(batch[:, :-1]).logits
        return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum") * weight


@torch.inference_mode()
def _mean_loss(model: GPT2LMHeadModel, windows: Iterator[torch.Tensor]) -> float:
    model.eval()
    task, total, count = NextToken(model, windows), 0.0, 0
    for batch in windows:
        total += task.loss(batch, 1.0).item()
        count += task.targets(batch)
    return total / count


def _progress() -> Progress:
    loss = TextColumn("loss {task.fields[loss]:.2f}")
    return Progress(
        TextColumn("training a small GPT-2"), BarColumn(), MofNCompleteColumn(), loss, TimeRemainingColumn()
    )


def _train_tokenizer(texts: list[str], out: Path) -> GPT2Tokenizer:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=4096, min_frequency=2, special_tokens=[END], show_progress=False)
    bpe.save_model(str(out))
    tokenizer = GPT2Tokenizer.from_pretrained(str(out), model_max_length=CONTEXT)
    tokenizer.save_pretrained(out)
    return tokenizer


def _config(vocabulary: int, end: int) -> GPT2Config:
    return GPT2Config(
        vocab_size=vocabulary,
        n_positions=CONTEXT,
        n_embd=256,
        n_layer=4,
        n_head=4,
        bos_token_id=end,
        eos_token_id=end,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
    )


def train_into(
    settings: Settings,
    name: str,
    *,
    corpus: str = _BUILTIN,
    seed: int = 0,
    tick: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Train on a corpus; the folder of that name under the models root appears when it is complete.

    Args:
        corpus: python-docs, or a path under the corpora root.
        tick: called after every step.
    """
    disable_progress_bar()
    source = CorpusSource(builtin=_BUILTIN) if corpus == _BUILTIN else CorpusSource(path=corpus)
    texts = [document.text for document in read_documents(source, settings)]
    target = settings.models_root / name
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    facts = train_small_gpt2(texts, partial, seed=seed, tick=tick)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    return facts


def main() -> None:
    """Train on a folder under the corpora root or on the built-in corpus; `--out` appears when it is complete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", default=_BUILTIN, help="python-docs, or a path under the corpora root")
    parser.add_argument("--out", required=True, help="folder under the models root")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    set_precise_float32()
    facts = train_into(Settings(), given.out, corpus=given.corpus, seed=given.seed)
    print(
        f"{facts['parameters'] / 1e6:.1f} M parameters, {facts['tokens']:,} tokens, {facts['seconds']:.0f} s; "
        f"loss {facts['train_loss']:.2f} in training, {facts['val_loss']:.2f} held out (nats per token)"
    )


if __name__ == "__main__":
    main()
