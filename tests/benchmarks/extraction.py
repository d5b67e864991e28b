"""Extraction against the plain loop a user would write."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPT2Model
from transformers.utils.logging import disable_progress_bar

from service.contracts.sites import parse_site
from tests.benchmarks.timing import paired
from workers.activations.extraction import extract
from workers.devices.device import default_batch_tokens
from workers.models.gpt2 import GPT2

CHUNKS, TOKENS, BATCH = 32, 256, 8
BUDGET = default_batch_tokens(torch.device("cpu"))
disable_progress_bar()


def main() -> None:
    """GPT-2 small's shape, random weights, last position, float32, the same threads."""
    chunks = np.random.default_rng(0).integers(0, 50257, (CHUNKS, TOKENS))
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        GPT2LMHeadModel(GPT2Config()).save_pretrained(Path(folder))
        plain = AutoModelForCausalLM.from_pretrained(folder).eval()
        ours = GPT2(GPT2Model.from_pretrained(folder))

    @torch.inference_mode()
    def loop() -> np.ndarray:
        rows = []
        for start in range(0, CHUNKS, BATCH):
            batch = torch.from_numpy(chunks[start : start + BATCH])
            rows.append(plain(batch, output_hidden_states=True).hidden_states[-1][:, -1])
        return torch.cat(rows).numpy()

    for name in ("final_norm_out", "blocks.-1.hook_resid_post", "blocks.6.hook_resid_post"):
        site = parse_site(name, 12)
        result = paired(lambda site=site: extract(ours, list(chunks), [site], "last", BUDGET), loop, rounds=3)
        rate = CHUNKS * TOKENS / result.ours_s
        print(f"extraction, {name}: {result}; {rate:,.0f} tokens/s, {torch.get_num_threads()} threads")
    found = extract(ours, list(chunks), [site := parse_site("final_norm_out", 12)], "last", BUDGET).vectors[site]
    print(f"extraction, largest difference from the loop: {np.abs(found - loop()).max():.2e}")


if __name__ == "__main__":
    main()
