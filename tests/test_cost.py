"""The cost of peers on ranks, on paper."""

import pytest
from torch import nn

from dml_teach import cost, models
from dml_teach.cli import main
from dml_teach.cost import Link, Load
from dml_teach.errors import ConfigError

LINK = Link(latency=1e-3, bandwidth=1e6)
SMALL, LARGE = Load(1_000, 0.1), Load(9_000, 0.4)


def ring(ranks, chunk, rounds, link):
    """Seconds of a ring, message by message: in every round each rank sends a chunk, all at once."""
    return sum(link.latency + chunk / link.bandwidth for _ in range(rounds))


@pytest.mark.parametrize("ranks", [1, 2, 7, 1024])
def test_a_ring_hands_on_what_the_formula_counts(ranks):
    assert cost.all_gather(ranks, 5e4, LINK) == pytest.approx(ring(ranks, 5e4, ranks - 1, LINK))
    assert cost.all_reduce(ranks, 5e4, LINK) == pytest.approx(ring(ranks, 5e4 / ranks, 2 * (ranks - 1), LINK))


def test_two_peers_on_two_ranks_send_their_posteriors_and_no_gradient():
    step = cost.mutual([SMALL, LARGE], 2, batch=64, classes=100, over=LINK)
    assert (step.posterior_bytes, step.gradient_bytes, step.averaging) == (64 * 100 * 4, 0, 0)
    assert step.seconds == pytest.approx(0.4 + 1e-3 + 25_600 / 1e6)
    assert step.waiting == pytest.approx([0.75, 0])


def test_shards_halve_computing_and_posteriors_and_send_gradients():
    step = cost.mutual([SMALL, LARGE], 4, batch=64, classes=100, over=LINK)
    assert (step.rows, step.shards, step.posterior_bytes) == (2, 2, 32 * 100 * 4)
    assert step.gradient_bytes == 4 * 9_000 and step.computing == pytest.approx((0.05, 0.2))
    assert step.averaging == pytest.approx(cost.all_reduce(2, 36_000, LINK))


def test_a_row_of_two_peers_sends_and_computes_for_both():
    step = cost.mutual([SMALL, SMALL, LARGE], 2, batch=10, classes=5, over=LINK)
    assert step.posterior_bytes == 2 * 10 * 5 * 4 and step.computing == pytest.approx((0.2, 0.4))


def test_data_parallelism_trains_network_after_network_on_all_ranks():
    step = cost.data_parallel([SMALL, LARGE], 4, over=LINK)
    assert step.gradient_bytes == pytest.approx(2 * 3 / 4 * 4 * 10_000)
    assert step.seconds == pytest.approx(0.5 / 4 + sum(cost.all_reduce(4, 4 * n, LINK) for n in (1_000, 9_000)))


def test_one_rank_sends_nothing():
    for step in (
        cost.mutual([SMALL, LARGE], 1, batch=64, classes=100, over=LINK),
        cost.data_parallel([SMALL, LARGE], 1, over=LINK),
    ):
        assert step.posterior_bytes == step.gradient_bytes == 0 and step.seconds == pytest.approx(0.5)


def test_operations_are_counted_from_shapes():
    network = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.Flatten(), nn.Linear(5 * 4 * 4, 7, bias=False))
    convolution, linear = 2 * 4 * 4 * 5 * 27, 2 * 80 * 7
    assert cost.operations(network, 10, 3, 6, 6) == 3 * 10 * (convolution + linear)


def test_a_link_is_found_again_from_its_times():
    times = [(size, cost.all_gather(2, size, LINK)) for size in (1e3, 1e4, 1e6)]
    assert cost.fitted(times) == pytest.approx(LINK)


def test_one_size_is_not_enough_for_a_link():
    with pytest.raises(ConfigError, match="at least two sizes"):
        cost.fitted([(1e3, 0.1), (1e3, 0.2)])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50us,10Gbit", (50e-6, 1.25e9)), ("1 ms, 100 mbit", (1e-3, 12.5e6)), ("nvlink", cost.LINKS["nvlink"])],
)
def test_a_link_is_read(text, expected):
    assert cost.link(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["token ring", "50us", "10Gbit,50us", "-1us,1Gbit"])
def test_a_link_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="is not known: choose one of loopback"):
        cost.link(text)


# --- the command ---


def test_a_plan_of_ranks_names_bytes_waiting_and_up_to_1024_ranks(capsys):
    command = ["plan", "cifar100", "--peers", "resnet32,mobilenet", "--ranks", "2", "--link", "1ms,8Gbit"]
    assert main([*command, "--seconds", ".1,.4"]) == 0
    printed = capsys.readouterr().out
    parameters = sum(p.numel() for p in models.build("resnet32", 100).parameters())
    assert f"0 resnet32       {parameters:>11,} parameters, 100 ms a step" in printed
    assert "a rank sends, posteriors 25.6 kB 0 kB" in " ".join(printed.split())
    assert "the rank of 0 resnet32 waits 75 % of each step for that of 1 mobilenet" in printed
    assert printed.splitlines()[-1].split()[0] == "1024"


def test_a_plan_of_ranks_estimates_the_time_from_the_speed(capsys):
    assert main(["plan", "bundled", "--peers", "small,small", "--speed", "1"]) == 0
    slow = capsys.readouterr().out
    network = models.build("small", 10, channels=1)
    assert f"{1e3 * cost.operations(network, 25, 1, 28, 28) / 1e9:.3g} ms a step" in slow


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seconds", "1"], "1 numbers for 2 peers"),
        (["--seconds", "a,b"], "are not numbers"),
        (["--ranks", "3"], "3 ranks can not be laid out for 2 peers"),
        (["--link", "string"], "link 'string'"),
    ],
)
def test_a_plan_that_can_not_be_is_refused(options, message, capsys):
    assert main(["plan", "bundled", *options]) == 2
    assert message in capsys.readouterr().err
