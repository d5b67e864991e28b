"""Extraction against the plain loop a user would write: GPT-2 small's shape, and a Llama of 135 million parameters."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel
from transformers.models.llama.configuration_llama import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaForCausalLM
from transformers.utils.logging import disable_progress_bar

from service.contracts.sites import parse_site
from tests.benchmarks.timing import paired
from tests.tiny import make_gpt2
from workers.activations.extraction import extract
from workers.devices.device import default_batch_tokens
from workers.models.loading import load_model

CHUNKS, TOKENS, BATCH = 32, 256, 8
BUDGET = default_batch_tokens(torch.device("cpu"))
SITES = ("final_norm_out", "blocks.-1.hook_resid_post", "blocks.6.hook_resid_post")
SMOLLM = LlamaConfig(
    hidden_size=576, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3, intermediate_size=1536,
    vocab_size=49_152, max_position_embeddings=2_048, tie_word_embeddings=True,
)  # fmt: skip
disable_progress_bar()


def compare(name: str, made: Any, sites: tuple[str, ...]) -> None:
    """Random weights, last position, float32, the same threads."""
    with tempfile.TemporaryDirectory() as root:
        folder = make_gpt2(Path(root) / "model")  # its tokenizer stays
        made.save_pretrained(folder)
        plain = AutoModelForCausalLM.from_pretrained(folder).eval()
        ours = load_model("model", None, Path(root), torch.device("cpu"), "float32").model
    chunks = np.random.default_rng(0).integers(0, ours.sizes.d_vocab, (CHUNKS, TOKENS))

    @torch.inference_mode()
    def loop() -> np.ndarray:
        rows = []
        for start in range(0, CHUNKS, BATCH):
            batch = torch.from_numpy(chunks[start : start + BATCH])
            rows.append(plain(batch, output_hidden_states=True).hidden_states[-1][:, -1])
        return torch.cat(rows).numpy()

    for text in sites:
        site = parse_site(text, ours.sizes.n_layers)
        result = paired(lambda site=site: extract(ours, list(chunks), [site], "last", BUDGET), loop, rounds=3)
        rate = CHUNKS * TOKENS / result.ours_s
        print(f"extraction, {name}, {text}: {result}; {rate:,.0f} tokens/s, {torch.get_num_threads()} threads")
    last = parse_site("final_norm_out", ours.sizes.n_layers)
    found = extract(ours, list(chunks), [last], "last", BUDGET).vectors[last]
    print(f"extraction, {name}, largest difference from the loop: {np.abs(found - loop()).max():.2e}", flush=True)


def main(names: list[str]) -> None:
    """All shapes, or those named on the command line."""
    shapes = {
        "GPT-2 small": lambda: GPT2LMHeadModel(GPT2Config()),
        "Llama 135M": lambda: LlamaForCausalLM(SMOLLM),
    }
    for name in names or list(shapes):
        torch.manual_seed(0)
        compare(name, shapes[name](), SITES)


if __name__ == "__main__":
    main(sys.argv[1:])
