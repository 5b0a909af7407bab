"""Dropout with a generator of its own, beside torch.nn.Dropout."""

import copy

import pytest
import torch
from torch import nn

from dml_teach.errors import ConfigError
from dml_teach.models.dropout import Dropout


def with_generator(p=0.5, seed=0):
    dropout = Dropout(p)
    dropout.generator = torch.Generator().manual_seed(seed)
    return dropout


@pytest.mark.parametrize("p", [0.1, 0.3, 0.9])
def test_share_of_zeros_is_that_of_torch_dropout(p):
    values = torch.ones(200_000)
    share = [(module(values) == 0).double().mean().item() for module in (with_generator(p), nn.Dropout(p))]
    assert share == pytest.approx([p, p], abs=0.006)


def test_values_that_stay_are_divided_by_the_chance_to_stay():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(1))
    out = with_generator(0.2)(values)
    torch.testing.assert_close(out[out != 0], values[out != 0] / 0.8)


def test_gradient_passes_where_the_value_passed():
    values = torch.ones(1000, requires_grad=True)
    out = with_generator(0.2)(values)
    out.sum().backward()
    assert torch.equal(values.grad, out.detach())


def test_eval_mode_changes_nothing_and_draws_nothing():
    dropout, values = with_generator().eval(), torch.randn(100, generator=torch.Generator().manual_seed(1))
    before = dropout.generator.get_state()
    assert torch.equal(dropout(values), values)
    assert torch.equal(dropout.generator.get_state(), before)


def test_zero_probability_changes_nothing_and_draws_nothing():
    dropout, values = with_generator(0), torch.randn(100, generator=torch.Generator().manual_seed(1))
    before = dropout.generator.get_state()
    assert torch.equal(dropout(values), values)
    assert torch.equal(dropout.generator.get_state(), before)


def test_generator_alone_decides_the_masks():
    values, masks = torch.ones(1000), []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        masks.append(with_generator(seed=7)(values))
    assert torch.equal(*masks)


def test_own_generator_leaves_the_global_state_alone():
    before = torch.get_rng_state()
    with_generator()(torch.ones(10))
    assert torch.equal(torch.get_rng_state(), before)


def test_masks_differ_from_call_to_call():
    dropout, values = with_generator(), torch.ones(1000)
    assert not torch.equal(dropout(values), dropout(values))


def test_without_a_generator_the_global_one_decides():
    dropout, values, masks = Dropout(0.5), torch.ones(1000), []
    for _ in range(2):
        torch.manual_seed(3)
        masks.append(dropout(values))
    assert torch.equal(*masks)


def test_half_precision_and_shape_are_kept():
    out = with_generator()(torch.ones(2, 3, 4, dtype=torch.bfloat16))
    assert (out.dtype, out.shape) == (torch.bfloat16, (2, 3, 4))


def test_copy_of_a_network_continues_with_a_generator_of_its_own():
    dropout, values = with_generator(), torch.ones(1000)
    twin = copy.deepcopy(dropout)
    assert torch.equal(dropout(values), twin(values))


def test_compiler_accepts_dropout_with_a_generator():
    torch._dynamo.reset()
    values = torch.ones(1000)
    assert torch.equal(torch.compile(with_generator(), backend="eager")(values), with_generator()(values))


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5])
def test_impossible_probability_is_refused(p):
    with pytest.raises(ConfigError, match="dropout"):
        Dropout(p)
