"""Building a network by name: what is refused, and what the messages say."""

import pytest
import torch

from dml_teach import models
from dml_teach.errors import ConfigError


def test_unknown_name_is_refused_with_the_nearest_and_all_names():
    with pytest.raises(ConfigError, match=r"'resnet_32'.*did you mean 'resnet32'") as caught:
        models.build("resnet_32")
    assert all(name in str(caught.value) for name in models.NAMES)


def test_name_like_no_other_is_refused_without_a_guess():
    with pytest.raises(ConfigError) as caught:
        models.build("xyz")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("classes", [0, -1, 2.5, "10"])
def test_classes_must_be_a_positive_whole_number(classes):
    with pytest.raises(ConfigError, match=r"^classes = "):
        models.build("small", classes)


@pytest.mark.parametrize("channels", [0, -3, 1.0])
def test_channels_must_be_a_positive_whole_number(channels):
    with pytest.raises(ConfigError, match=r"^channels = "):
        models.build("small", channels=channels)


def test_numpy_counts_are_accepted():
    labels = torch.tensor([0, 4, 2]).numpy()
    assert models.build("small", labels.max() + 1).head.out_features == 5


@pytest.mark.parametrize(
    ("name", "option"),
    [("small", "dropout"), ("resnet32", "depth"), ("wrn28_10", "width"), ("mobilenet", "auxiliary")],
)
def test_option_of_another_network_is_refused(name, option):
    with pytest.raises(ConfigError, match=f"{name}.*no option '{option}'"):
        models.build(name, **{option: 1})


def test_refused_option_lists_those_the_network_has():
    with pytest.raises(ConfigError, match=r"it has strides, auxiliary$"):
        models.build("inception_v1", depth=9)


def test_network_without_options_says_so():
    with pytest.raises(ConfigError, match=r"it has none$"):
        models.build("resnet32", depth=9)


def test_messages_are_one_line():
    wrong = [("smal", {}), ("small", {"classes": 0}), ("small", {"depth": 1}), ("mobilenet", {"strides": (3,)})]
    for name, options in wrong:
        with pytest.raises(ConfigError) as caught:
            models.build(name, **options)
        assert "\n" not in str(caught.value)


def test_network_comes_in_training_mode_on_the_cpu_in_fp32():
    network = models.build("small")
    assert network.training
    assert all(p.device.type == "cpu" and p.dtype == torch.float32 and p.requires_grad for p in network.parameters())


def test_without_a_generator_the_global_one_decides():
    weights = []
    for _ in range(2):
        torch.manual_seed(5)
        weights.append([models.build("small").head.weight.clone() for _ in range(2)])
    assert torch.equal(weights[0][0], weights[1][0])
    assert not torch.equal(weights[0][0], weights[0][1])


def test_networks_from_one_generator_differ():
    generator = torch.Generator().manual_seed(0)
    first, second = (models.build("small", generator=generator) for _ in range(2))
    assert not torch.equal(first.head.weight, second.head.weight)
