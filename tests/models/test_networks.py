"""What every network of the zoo promises, checked on each."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dml_teach import models
from dml_teach.errors import ConfigError

PARAMETERS = {
    "small": 67_188,
    "small_reid": 67_316,
    "resnet32": 470_004,
    "resnet56": 858_868,
    "mobilenet": 3_309_476,
    "inception_v1": 6_083_332,
    "wrn28_10": 36_536_884,
}
FEATURES = {
    **{"small": 64, "small_reid": 64, "resnet32": 64, "resnet56": 64},
    **{"mobilenet": 1024, "inception_v1": 1024, "wrn28_10": 640},
}
# Untrained, at 100 classes: how far above ln(100) the expected loss may be.
EXCESS = dict.fromkeys(models.NAMES, 0.1) | {"small_reid": 0.3}

each_network = pytest.mark.parametrize("name", models.NAMES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def build(name, classes=100, seed=0, **options):
    return models.build(name, classes, generator=seeded(seed), **options)


def random_images(batch=2, channels=3, height=16, width=16, seed=1):
    return torch.randn(batch, channels, height, width, generator=seeded(seed))


def random_labels(batch, classes=100):
    return torch.randint(classes, (batch,), generator=seeded(2))


@each_network
def test_parameters_are_counted_exactly(name):
    assert sum(p.numel() for p in build(name).parameters()) == PARAMETERS[name]


def test_names_stand_in_order_of_size():
    assert list(models.NAMES) == sorted(PARAMETERS, key=PARAMETERS.get)


@each_network
@pytest.mark.parametrize(("classes", "channels", "height", "width"), [(10, 1, 28, 28), (7, 3, 32, 16), (1, 4, 16, 16)])
def test_logits_have_one_column_per_class_whatever_the_image(name, classes, channels, height, width):
    network = build(name, classes, channels=channels).eval()
    with torch.no_grad():
        assert network(random_images(2, channels, height, width)).shape == (2, classes)


@each_network
def test_features_are_the_last_maps_averaged_over_positions(name):
    network, images = build(name).eval(), random_images()
    with torch.no_grad():
        maps, features = network.maps(images), network.features(images)
    assert features.shape == (2, FEATURES[name])
    slow = torch.tensor([[sum(channel.flatten().tolist()) / channel.numel() for channel in image] for image in maps])
    torch.testing.assert_close(features, slow, rtol=1e-4, atol=1e-6)


@each_network
def test_forward_is_the_head_on_the_features(name):
    network, images = build(name).eval(), random_images()
    with torch.no_grad():
        assert torch.equal(network(images), network.head(network.features(images)))


@each_network
def test_untrained_network_starts_near_the_loss_of_guessing(name):
    network, images = build(name), random_images(batch=8)
    with torch.no_grad():
        log_posteriors = F.log_softmax(network(images), dim=1)
    expected_loss = -log_posteriors.mean().item()  # over images and over labels drawn uniformly from all 100 classes
    assert 0 <= expected_loss - math.log(100) < EXCESS[name]


@each_network
def test_gradient_reaches_every_parameter(name):
    network, images = build(name), random_images(batch=4)
    F.cross_entropy(network(images), random_labels(4)).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@each_network
def test_one_step_of_sgd_lowers_the_loss_on_its_batch(name):
    network, images, labels = build(name), random_images(batch=4), random_labels(4)
    before = F.cross_entropy(network(images), labels)
    before.backward()
    torch.optim.SGD(network.parameters(), lr=0.02).step()
    with torch.no_grad():
        after = F.cross_entropy(network(images), labels)
    assert after < before


@each_network
def test_channels_last_gives_the_same_logits(name):
    network, images = build(name).eval(), random_images()
    with torch.no_grad():
        expected = network(images)
        last = network.to(memory_format=torch.channels_last)(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(last, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


@each_network
def test_channels_last_survives_to_the_last_maps(name):
    network = build(name).eval().to(memory_format=torch.channels_last)
    with torch.no_grad():
        maps = network.maps(random_images(height=32, width=32).to(memory_format=torch.channels_last))
    assert maps.is_contiguous(memory_format=torch.channels_last)


@each_network
def test_bf16_autocast_trains(name):
    network, images = build(name), random_images(batch=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = network(images)
    F.cross_entropy(logits.float(), random_labels(4)).backward()
    assert logits.dtype == torch.bfloat16
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in network.parameters())


@each_network
def test_functional_call_uses_the_weights_it_is_given(name):
    network, other, images = build(name).eval(), build(name, seed=1).eval(), random_images()
    with torch.no_grad():
        borrowed = torch.func.functional_call(network, other.state_dict(), (images,))
        assert torch.equal(borrowed, other(images))
        assert not torch.equal(borrowed, network(images))


@each_network
def test_compiler_traces_the_network_in_one_graph(name):
    torch._dynamo.reset()  # compiled forms of the networks before this one count against a limit
    network, images = build(name).eval(), random_images()
    with torch.no_grad():
        compiled = torch.compile(network, fullgraph=True, backend="eager")(images)
        torch.testing.assert_close(compiled, network(images))


@each_network
def test_seed_fixes_the_weights_and_the_buffers(name):
    first, second = build(name, seed=3).state_dict(), build(name, seed=3).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)


@each_network
def test_another_seed_changes_every_drawn_weight(name):
    first, second = build(name, seed=3), build(name, seed=4)
    pairs = zip(first.modules(), second.modules(), strict=True)
    drawn = [(a.weight, b.weight) for a, b in pairs if isinstance(a, nn.Conv2d | nn.Linear)]
    assert all((a != b).float().mean() > 0.99 for a, b in drawn)


@each_network
def test_building_with_a_generator_leaves_the_global_state_alone(name):
    before = torch.get_rng_state()
    build(name)
    assert torch.equal(torch.get_rng_state(), before)


@each_network
def test_no_convolution_has_a_bias(name):
    assert all(module.bias is None for module in build(name).modules() if isinstance(module, nn.Conv2d))


@pytest.mark.parametrize("side", [4, 8, 17, 28, 64])
def test_small_network_takes_images_of_many_sizes(side):
    with torch.no_grad():
        assert build("small")(random_images(height=side, width=side)).shape == (2, 100)


def test_small_network_has_a_quarter_of_the_side_left():
    with torch.no_grad():
        assert build("small").maps(random_images(height=28, width=20)).shape == (2, 64, 7, 5)


def test_small_network_counts_61050_parameters_on_grey_images_of_ten_classes():
    assert sum(p.numel() for p in build("small", 10, channels=1).parameters()) == 61_050


def parameters_by_hand(width, classes, channels):
    """Of each convolution its weights and two numbers of batch norm per map; then the head."""
    maps = [channels, width, 2 * width, 4 * width, 4 * width]
    convolutions = sum(9 * before * after + 2 * after for before, after in itertools.pairwise(maps))
    return convolutions + (maps[-1] + 1) * classes


@pytest.mark.parametrize("width", [1, 16, 32, 48])
def test_width_scales_every_stage_of_the_small_network(width):
    network = build("small", 10, channels=1, width=width)
    assert sum(p.numel() for p in network.parameters()) == parameters_by_hand(width, 10, 1)
    with torch.no_grad():
        assert network.features(random_images(2, 1)).shape == (2, 4 * width)


def test_small_network_is_16_wide_unless_told():
    told, untold = (build("small", **options).state_dict() for options in ({"width": 16}, {}))
    assert all(torch.equal(told[key], untold[key]) for key in untold)


@pytest.mark.parametrize("width", [0, -8, 16.0, "32", True])
def test_width_must_be_a_positive_whole_number(width):
    with pytest.raises(ConfigError, match=r"^width = .*a whole number of at least 1 is needed$"):
        build("small", width=width)


def test_small_reid_ends_in_a_batch_norm_of_its_features():
    network, images = build("small_reid"), random_images(batch=8, height=64, width=32)
    features = network.features(images)
    assert features.shape == (8, 64) and features.min() < 0
    torch.testing.assert_close(features.mean(dim=0), torch.zeros(64), atol=1e-5, rtol=0)


def test_small_reid_takes_a_last_batch_of_one_image_by_its_running_statistics():
    network, images = build("small_reid"), random_images(batch=1, height=16, width=16)
    norm = network.body[-1]
    norm.running_mean += 0.5
    before = norm.running_mean.clone()
    features = network.features(images)
    assert torch.equal(norm.running_mean, before) and bool(features.isfinite().all())
    features.sum().backward()
    pooled = network.body[:-1](images)[0, :, 0, 0]
    torch.testing.assert_close(features[0], (pooled - 0.5) / (1 + norm.eps) ** 0.5)
