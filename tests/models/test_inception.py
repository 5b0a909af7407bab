"""Inception V1: its branches, strides and auxiliary heads."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dml_teach import models
from dml_teach.errors import ConfigError
from dml_teach.models.inception import TABLE, InceptionBlock


def random_maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def build(**options):
    return models.build("inception_v1", generator=torch.Generator().manual_seed(0), **options)


def block_shapes(network, side):
    """The output shape (C, h, w) of each of the nine blocks, in order, for one square image."""
    shapes = []
    for module in network.modules():
        if isinstance(module, InceptionBlock):
            module.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape[1:])))
    with torch.no_grad():
        network.eval()(random_maps(1, 3, side, side))
    return shapes


def test_blocks_have_the_widths_of_the_paper_and_see_32_16_and_8_pixels():
    expected = [(256, 32, 32), (480, 32, 32), (512, 16, 16), (512, 16, 16), (512, 16, 16), (528, 16, 16), (832, 16, 16)]
    assert block_shapes(build(), side=32) == [*expected, (832, 8, 8), (1024, 8, 8)]


def test_imagenet_strides_give_the_map_sizes_of_the_paper():
    assert [shape[1] for shape in block_shapes(build(strides=(2,) * 5), side=224)] == [28] * 2 + [14] * 5 + [7] * 2


@pytest.mark.parametrize(
    ("stage", "sides"),
    [
        (0, [8] * 9),
        (1, [8] * 9),
        (2, [8] * 9),
        (3, [16] * 2 + [8] * 7),
        (4, [16] * 7 + [8] * 2),
    ],
)
def test_each_stride_acts_before_its_stage(stage, sides):
    strides = [1] * 5
    strides[stage] = 2
    assert [shape[1] for shape in block_shapes(build(strides=strides), side=16)] == sides


def test_strides_do_not_change_the_weights():
    first, second = build().parameters(), build(strides=(2,) * 5).parameters()
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("strides", [(1, 2, 2, 2), (1, 1, 2, 2, 4)])
def test_impossible_strides_are_refused(strides):
    with pytest.raises(ConfigError, match=r"strides = .*the pool before 3a"):
        build(strides=strides)


def test_block_is_its_four_branches_side_by_side():
    block, maps = InceptionBlock(8, TABLE["3a"]).eval(), random_maps(1, 8, 5, 5)
    with torch.no_grad():
        pooled = block.pool[1](F.max_pool2d(F.pad(maps, (1, 1, 1, 1), value=-torch.inf), 3, stride=1))
        expected = torch.cat([block.one(maps), block.three(maps), block.five(maps), pooled], dim=1)
        assert torch.equal(block(maps), expected)


def test_five_by_five_branch_is_truly_five_by_five():
    kernels = [m.five[1][0].kernel_size for m in build().modules() if isinstance(m, InceptionBlock)]
    assert kernels == [(5, 5)] * 9


def test_auxiliary_heads_bring_the_count_to_7472588():
    assert sum(p.numel() for p in build(auxiliary=True).parameters()) == 7_472_588


def test_auxiliary_heads_leave_the_other_weights_of_a_seed_as_they_are():
    without, with_heads = build().state_dict(), build(auxiliary=True).state_dict()
    assert all(torch.equal(without[key], with_heads[key]) for key in without)


def test_forward_returns_the_main_logits_alone_in_both_modes():
    network, plain, images = build(auxiliary=True), build(), random_maps(2, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(images), plain(images))
        assert torch.equal(network.eval()(images), plain.eval()(images))


def test_all_logits_begin_with_those_of_forward():
    network, images = build(auxiliary=True).eval(), random_maps(2, 3, 16, 16)
    with torch.no_grad():
        main, first, second = network.all_logits(images)
        assert torch.equal(main, network(images))
    assert first.shape == second.shape == (2, 100)


def test_auxiliary_heads_look_at_4a_and_4d():
    network, seen = build(auxiliary=True).eval(), []
    for head in network.auxiliary_heads:
        head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    blocks = [network.to_4a[-1], network.to_4d[-1]]
    outputs = []
    for block in blocks:
        block.register_forward_hook(lambda _, inputs, output: outputs.append(output))
    with torch.no_grad():
        network.all_logits(random_maps(1, 3, 16, 16))
    assert all(torch.equal(a, b) for a, b in zip(seen, outputs, strict=True))


def test_losses_of_all_logits_reach_every_parameter():
    network = build(auxiliary=True)
    labels = torch.tensor([3, 97, 5, 11])
    losses = [F.cross_entropy(logits, labels) for logits in network.all_logits(random_maps(4, 3, 16, 16))]
    sum(losses).backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_all_logits_need_auxiliary_heads():
    with pytest.raises(ConfigError, match="auxiliary=True"):
        build().all_logits(random_maps(1, 3, 16, 16))


def test_pool_of_stride_one_is_no_pool():
    assert isinstance(build().stem[1], nn.Identity)
