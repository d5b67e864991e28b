"""The chunked cross-entropy against PyTorch's own, values and gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional

from service.errors import InvalidInput
from workers.training.cross_entropy import linear_cross_entropy

N, D, V = 37, 12, 53
CHUNKS = [1, 5, 36, 37, 1000, None]


@pytest.fixture
def problem() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    mask = torch.rand(N, generator=generator, dtype=torch.float64)
    mask[::4] = 0
    targets = torch.randint(0, V, (N,), generator=generator)
    return {"hidden": normal(N, D), "weight": normal(V, D), "bias": normal(V), "targets": targets, "mask": mask}


@pytest.mark.parametrize(
    ("chunk", "bias", "masked", "reduction"),
    list(itertools.product(CHUNKS, [True, False], [True, False], ["mean", "sum"])),
)
def test_values_and_gradients_are_those_of_pytorch(problem, chunk, bias: bool, masked: bool, reduction):
    hidden, weight, targets = problem["hidden"], problem["weight"], problem["targets"]
    added, mask = problem["bias"] if bias else None, problem["mask"] if masked else None
    losses = plain(hidden, weight, added, targets)
    weights = torch.ones_like(losses) if mask is None else mask
    expected = (losses * weights).sum() / (weights.sum() if reduction == "mean" else 1)
    found = linear_cross_entropy(hidden, weight, added, targets, weights_N=mask, reduction=reduction, chunk=chunk)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=0)
    sources = [x for x in (hidden, weight, added) if x is not None]
    for ours, theirs in zip(
        torch.autograd.grad(found * 3, sources), torch.autograd.grad(expected * 3, sources), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


def test_gradcheck(problem):
    hidden, weight, bias = (
        problem[name][:6].detach()[..., :4].clone().requires_grad_() for name in ("hidden", "weight", "bias")
    )
    bias = problem["bias"][:6].detach().clone().requires_grad_()
    targets, mask = problem["targets"][:6] % 6, torch.tensor([1.0, 0, 2, 0.5, 0, 1], dtype=torch.float64)

    def mean(*x: torch.Tensor) -> torch.Tensor:
        return linear_cross_entropy(*x, targets, weights_N=mask, chunk=2)  # type: ignore[arg-type]

    assert torch.autograd.gradcheck(mean, (hidden, weight, bias))


def test_without_gradients_the_sum_is_the_same(problem):
    hidden, weight, bias, targets, mask = problem.values()
    found = linear_cross_entropy(hidden, weight, bias, targets, weights_N=mask)
    with torch.inference_mode():
        again = linear_cross_entropy(hidden, weight, bias, targets, weights_N=mask)
    assert torch.equal(found, again)
    assert not again.requires_grad


def test_masked_positions_do_not_count(problem):
    hidden, weight, bias, targets, mask = (x.detach().clone() for x in problem.values())
    expected = linear_cross_entropy(hidden, weight, bias, targets, weights_N=mask)
    hidden[mask == 0], targets[mask == 0] = 5.0, -100
    sources = [x.requires_grad_() for x in (hidden, weight, bias)]
    found = linear_cross_entropy(hidden, weight, bias, targets, weights_N=mask)
    assert torch.equal(found.detach(), expected)
    gradients = torch.autograd.grad(found, sources)
    assert gradients[0][mask == 0].eq(0).all()
    few = linear_cross_entropy(hidden[mask > 0], weight, bias, targets[mask > 0], weights_N=mask[mask > 0])
    for a, b in zip(gradients[1:], torch.autograd.grad(few, [weight, bias]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_gradients_of_a_part_only(problem):
    hidden, weight, bias, targets, _ = problem.values()
    (expected,) = torch.autograd.grad(plain(hidden, weight, bias, targets).mean(), [weight])
    found = linear_cross_entropy(hidden.detach(), weight, bias.detach(), targets, chunk=7)
    torch.testing.assert_close(torch.autograd.grad(found, [weight])[0], expected, rtol=1e-12, atol=1e-14)


def test_a_retained_graph_can_be_differentiated_again(problem):
    hidden, weight, bias, targets, _ = problem.values()
    found = linear_cross_entropy(hidden, weight, bias, targets, chunk=10)
    first = torch.autograd.grad(found * 2, [hidden, weight, bias], retain_graph=True)
    again = torch.autograd.grad(found * 2, [hidden, weight, bias])
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_gradients_add_up_over_micro_batches_and_with_other_uses_of_the_weight(problem):
    hidden, weight, bias, targets, _ = problem.values()
    (expected,) = torch.autograd.grad(plain(hidden, weight, bias, targets).mean() + weight.square().sum(), [weight])
    weight.square().sum().backward()
    for rows in (slice(0, 20), slice(20, N)):
        share = len(targets[rows]) / N
        (linear_cross_entropy(hidden[rows], weight, bias, targets[rows], chunk=8) * share).backward()
    torch.testing.assert_close(weight.grad, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shift", [-1e4, 0.0, 1e4])
def test_extreme_logits_stay_exact(shift: float):
    hidden, targets = torch.eye(2), torch.tensor([0, 1])
    weight = (torch.tensor([[200.0, -200.0], [-200.0, 200.0], [300.0, 300.0]]) + shift).requires_grad_()
    for row in range(2):
        found = linear_cross_entropy(hidden[row : row + 1], weight, None, targets[row : row + 1])
        assert found.item() == pytest.approx(100.0, rel=1.3e-6)


def test_float32_is_as_exact_as_pytorch():
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(300, 64, generator=generator).requires_grad_()
    weight = (torch.randn(5003, 64, generator=generator) * 0.3).requires_grad_()
    targets = torch.randint(0, 5003, (300,), generator=generator)
    exact = torch.autograd.grad(plain(hidden.double(), weight.double(), None, targets).mean(), [hidden, weight])
    theirs = torch.autograd.grad(plain(hidden, weight, None, targets).mean(), [hidden, weight])
    ours = torch.autograd.grad(linear_cross_entropy(hidden, weight, None, targets, chunk=64), [hidden, weight])
    for a, b, true in zip(ours, theirs, exact, strict=True):
        assert (a - true).norm() <= 1.5 * (b - true).norm() + 1e-7 * true.norm()


def test_equal_inputs_give_equal_bits(problem):
    hidden, weight, bias, targets, _ = (x.detach().float() if x.is_floating_point() else x for x in problem.values())
    sources = [x.requires_grad_() for x in (hidden, weight, bias)]
    found = [
        torch.autograd.grad(linear_cross_entropy(hidden, weight, bias, targets, chunk=6), sources) for _ in range(3)
    ]
    assert all(torch.equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True))


def test_autocast_computes_products_narrow_and_losses_wide(problem):
    hidden, weight, bias, targets, _ = (x.detach().float() if x.is_floating_point() else x for x in problem.values())
    sources = [x.requires_grad_() for x in (hidden, weight, bias)]
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_cross_entropy(hidden, weight, bias, targets, chunk=6)
        expected = plain(hidden, weight, bias, targets).mean()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=5e-3, atol=0)
    assert not torch.equal(found, linear_cross_entropy(hidden, weight, bias, targets))
    first = torch.autograd.grad(found, sources, retain_graph=True)
    again = torch.autograd.grad(found, sources)  # outside of autocast, with the result from inside
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for ours, theirs in zip(first, torch.autograd.grad(expected, sources), strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() <= 0.02 * theirs.norm()


def test_the_sum_over_no_position_is_0_and_the_mean_nan(problem):
    hidden, weight, bias, targets, mask = problem.values()
    none = torch.zeros_like(mask)
    total = linear_cross_entropy(hidden, weight, bias, targets, weights_N=none, reduction="sum")
    assert total.item() == 0
    assert all(x.eq(0).all() for x in torch.autograd.grad(total, [hidden, weight, bias]))
    assert linear_cross_entropy(hidden, weight, bias, targets, weights_N=none).isnan()
    empty = linear_cross_entropy(hidden[:0], weight, bias, targets[:0], reduction="sum")
    assert empty.item() == 0
    assert all(x.eq(0).all() for x in torch.autograd.grad(empty, [hidden, weight, bias]))


def test_a_chunk_size_of_0_is_refused(problem):
    hidden, weight, bias, targets, _ = problem.values()
    with pytest.raises(InvalidInput, match="chunk must be positive"):
        linear_cross_entropy(hidden, weight, bias, targets, chunk=0)


def plain(hidden, weight, bias, targets: torch.Tensor) -> torch.Tensor:
    return functional.cross_entropy(functional.linear(hidden, weight, bias), targets, reduction="none")
