"""MobileNet: its strides, its depthwise convolutions and their precision."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dml_teach import models
from dml_teach.errors import ConfigError
from dml_teach.models.mobilenet import DepthwiseSeparable


def random_maps(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def build(**options):
    return models.build("mobilenet", generator=torch.Generator().manual_seed(0), **options)


def output_types_under_autocast(block):
    """The types in which the depthwise and the pointwise convolution answer under bf16 autocast on the CPU."""
    types = []
    for convolution in (block.depthwise, block.pointwise[0]):
        convolution.register_forward_hook(lambda _, inputs, output: types.append(output.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        block(random_maps(2, 4, 5, 5))
    return types


@pytest.mark.parametrize(
    ("strides", "side"), [((1, 1, 2, 2, 2), 4), ((1, 2, 2, 2, 2), 2), ((2, 2, 2, 2, 2), 1), ([1, 1, 1, 1, 1], 32)]
)
def test_strides_decide_the_last_map_of_a_32x32_image(strides, side):
    with torch.no_grad():
        assert build(strides=strides).eval().maps(random_maps(1, 3, 32, 32)).shape == (1, 1024, side, side)


def test_default_strides_halve_before_the_256_512_and_1024_wide_stages():
    network, sides = build().eval(), []
    for block in network.blocks:
        block.register_forward_hook(lambda _, inputs, output: sides.append(output.shape[2]))
    with torch.no_grad():
        network(random_maps(1, 3, 32, 32))
    assert sides == [32] + [32] * 2 + [16] * 2 + [8] * 6 + [4] * 2  # 64, 128, 256, 512 and 1024 wide


def test_imagenet_strides_leave_7x7_maps_of_a_224x224_image():
    with torch.no_grad():
        assert build(strides=(2,) * 5).eval().maps(random_maps(1, 3, 224, 224)).shape == (1, 1024, 7, 7)


@pytest.mark.parametrize("stage", range(5))
def test_each_stride_belongs_to_its_stage(stage):
    strides = [1] * 5
    strides[stage] = 2
    network = build(strides=strides)
    halving = [module for module in network.modules() if isinstance(module, nn.Conv2d) and module.stride == (2, 2)]
    first_of_stage = [network.stem[0]] + [network.blocks[index].depthwise for index in (1, 3, 5, 11)]
    assert halving == [first_of_stage[stage]]


def test_strides_do_not_change_the_weights():
    first, second = build().state_dict(), build(strides=(2,) * 5).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("strides", [(1, 2, 2, 2), (1, 1, 2, 2, 3), (0, 1, 2, 2, 2), ()])
def test_impossible_strides_are_refused(strides):
    with pytest.raises(ConfigError, match=r"strides = .*the 128-wide stage"):
        build(strides=strides)


def test_widths_of_the_blocks_are_those_of_the_paper():
    widths = [block.pointwise[0].out_channels for block in build().blocks]
    assert widths == [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]


def test_every_block_filters_each_channel_alone():
    for block in build().blocks:
        assert block.depthwise.groups == block.depthwise.in_channels == block.depthwise.out_channels


def test_depthwise_convolution_keeps_channels_apart():
    block, maps = DepthwiseSeparable(3, 5, stride=1), random_maps(2, 3, 6, 6)
    with torch.no_grad():
        together = block.depthwise(maps)
        for c in range(3):
            alone = F.conv2d(maps[:, c : c + 1], block.depthwise.weight[c : c + 1], padding=1)
            torch.testing.assert_close(together[:, c : c + 1], alone)


def test_block_is_depthwise_norm_relu_pointwise_norm_relu():
    block, maps = DepthwiseSeparable(3, 5, stride=2), random_maps(2, 3, 6, 6)
    with torch.no_grad():
        convolution, norm = block.pointwise[0], block.pointwise[1]
        expected = norm(convolution(block.norm(block.depthwise(maps)).clamp(min=0))).clamp(min=0)
        assert torch.equal(block(maps), expected)


def test_autocast_on_the_cpu_keeps_depthwise_in_fp32_and_pointwise_in_bf16():
    assert output_types_under_autocast(DepthwiseSeparable(4, 8, stride=1)) == [torch.float32, torch.bfloat16]


def test_double_precision_stays_double():
    assert DepthwiseSeparable(4, 8, stride=1).double()(random_maps(2, 4, 5, 5).double()).dtype == torch.float64
