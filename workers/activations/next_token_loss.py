"""Mean next-token losses of sequences, from the vectors of the forward pass that extracts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from workers.models.interface import HookedModel
from workers.training.cross_entropy import token_losses

Array = np.ndarray


@torch.inference_mode()
def mean_losses(model: HookedModel, hidden_BTD: torch.Tensor, sequences: Sequence[Array]) -> Array:
    """(B,) float64: −(1/(T − 1)) Σ_{t ≥ 2} log p(token_t | tokens before it) of each sequence, in nats per token.

    Logits are computed for the positions that predict a token of their sequence, not for padding, and some of them at a
    time (`token_losses`). A token that precedes every sequence (BOS, the start of a line) is among the tokens before
    token_t; the mean is over the same tokens as without it: the first of the sequence is not counted.

    Args:
        model: one that has an output map.
        hidden_BTD: (B, T, d_model) `final_norm_out` of the sequences, padded on the right.
        sequences: their tokens; two or more each.
    """
    output = model.output_map
    assert output is not None
    lengths = [len(sequence) - 1 for sequence in sequences]
    hidden_ND = torch.cat([hidden_BTD[at, :length] for at, length in enumerate(lengths)])
    targets = np.concatenate([sequence[1:] for sequence in sequences]).astype(np.int64)
    targets_N = torch.from_numpy(targets).to(hidden_ND.device)
    losses_N = token_losses(hidden_ND, output.weight[:, : hidden_ND.shape[1]], output.bias, targets_N, output.cap)
    ends = np.cumsum(lengths)[:-1]
    return np.array([part.mean() for part in np.split(losses_N.double().cpu().numpy(), ends)])
