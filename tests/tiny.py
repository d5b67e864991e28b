"""Small real things for tests: a trained byte-level tokenizer, a GPT-2 of random weights, a page of text."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers.models.gpt2.configuration_gpt2 import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2LMHeadModel
from transformers.models.gpt2.tokenization_gpt2 import GPT2Tokenizer

VOCABULARY = 512


def english(count: int = 8) -> list[str]:
    """Some topics of Python's language reference."""
    return [topics[name] for name in sorted(topics)[:count]]


def make_gpt2(folder: Path, *, n_layer: int = 3, n_embd: int = 32, n_positions: int = 64, seed: int = 0) -> Path:
    """Save a random GPT-2 and a tokenizer trained on English as an ordinary Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(english(), vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], show_progress=False)
    bpe.save_model(str(folder))
    tokenizer = GPT2Tokenizer.from_pretrained(str(folder), model_max_length=n_positions)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=n_positions, n_embd=n_embd, n_layer=n_layer, n_head=4,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    with torch.no_grad():  # the usual initialisation leaves norms and biases trivial; these tell sites apart
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder
