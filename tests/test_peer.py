"""A peer alone: precision, moving average, dropout of its own, its echo, and what it carries from step to step."""

import copy

import pytest
import torch
from torch import nn

from dml_teach import losses, models, topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.devices import peers_side_by_side
from dml_teach.errors import CheckpointError, ConfigError
from dml_teach.models.dropout import Dropout
from dml_teach.peer import echo

CPU = torch.device("cpu")


def network(seed=0, name="small"):
    return models.build(name, 5, generator=torch.Generator().manual_seed(seed))


def learner(seed=0, rate=0.1, net=None, **settings):
    net = net or network(seed)
    return Peer(net, torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9), **settings)


def batch(seed=0, count=8):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, 12, 12, generator=generator), torch.randint(5, (count,), generator=generator)


def weights(peer):
    return torch.cat([p.detach().flatten() for p in peer.network.parameters()])


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_is_for_the_forward_pass_alone(precision):
    peer = learner(precision=precision)
    images, labels = batch()
    logits = peer.predict(images)
    assert logits.dtype == precision
    loss = losses.cross_entropy(logits, labels)
    assert loss.dtype == torch.float32
    peer.update(loss)
    assert {p.dtype for p in peer.network.parameters()} == {p.grad.dtype for p in peer.network.parameters()}
    assert {p.dtype for p in peer.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_half_precision_steps_where_full_precision_steps(precision):
    half, full = learner(precision=precision), learner()
    before = weights(full)
    for peer in (half, full):
        Cohort([peer], topology.independent(1)).step(*batch())
    moved, expected = weights(half) - before, weights(full) - before
    assert torch.nn.functional.cosine_similarity(moved, expected, dim=0) > 0.99
    assert not torch.equal(moved, expected)


def test_an_overflow_in_fp16_leaves_the_weights_and_halves_the_scale():
    peer = learner(precision=torch.float16)
    before, scale = weights(peer), peer.scaler.get_scale()
    peer.update(losses.cross_entropy(peer.predict(batch()[0]), batch()[1]) * float("inf"))
    assert torch.equal(weights(peer), before)
    assert peer.scaler.get_scale() == scale / 2


def test_the_average_follows_the_weights_as_the_formula_says():
    peer = learner(decay=0.75)
    cohort = Cohort([peer], topology.independent(1))
    cohort.step(*batch(0))
    slow = {name: value.clone() for name, value in peer.network.state_dict().items()}
    for seed in range(1, 5):
        cohort.step(*batch(seed))
        for name, value in peer.network.state_dict().items():
            if value.is_floating_point():
                slow[name] = 0.75 * slow[name] + 0.25 * value
    for name, value in peer.evaluated.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, slow[name], rtol=1e-5, atol=1e-7)
    assert peer.evaluated is not peer.network


def test_without_an_average_the_network_itself_is_evaluated():
    peer = learner()
    assert peer.evaluated is peer.network


def with_dropout(seed):
    net = nn.Sequential(nn.Flatten(), Dropout(0.5), nn.Linear(432, 5))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net[2].reset_parameters()
    return net


def droppers(count):
    return [learner(net=with_dropout(k), generator=torch.Generator().manual_seed(k)) for k in range(count)]


def test_a_peers_dropout_does_not_depend_on_its_neighbours():
    alone, among = droppers(1), droppers(3)
    for peers in (alone, among):
        for seed in range(3):
            Cohort(peers, topology.independent(len(peers))).step(*batch(seed))
    assert torch.equal(weights(alone[0]), weights(among[0]))


def test_dropout_side_by_side_equals_dropout_one_after_the_other():
    threads, plain = droppers(3), droppers(3)
    with peers_side_by_side(3, CPU) as run:
        for seed in range(5):
            Cohort(threads, topology.mutual(3), run=run).step(*batch(seed))
    for seed in range(5):
        Cohort(plain, topology.mutual(3)).step(*batch(seed))
    assert all(torch.equal(weights(a), weights(b)) for a, b in zip(threads, plain, strict=True))


FULL = {"precision": torch.float16, "decay": 0.9}


def dropper(seed):
    return learner(net=with_dropout(seed), generator=torch.Generator().manual_seed(seed), **FULL)


def test_a_state_carries_scale_average_and_generator():
    whole, cut, other = dropper(0), dropper(0), dropper(1)
    for seed in range(2):
        for peer in (whole, cut):
            Cohort([peer], topology.independent(1)).step(*batch(seed))
    cut.scaler.update(1024.0)
    whole.scaler.update(1024.0)
    other.load_state({name: value.clone() for name, value in cut.state().items()})
    assert other.scaler.get_scale() == 1024.0
    for seed in range(2, 5):
        for peer in (whole, other):
            Cohort([peer], topology.independent(1)).step(*batch(seed))
    assert torch.equal(weights(whole), weights(other))
    for a, b in zip(whole.evaluated.parameters(), other.evaluated.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_state_of_a_peer_with_other_settings_is_refused():
    with pytest.raises(CheckpointError, match="does not fit"):
        learner(decay=0.9).load_state(learner().state())
    with pytest.raises(CheckpointError, match="does not fit"):
        learner(precision=torch.float16).load_state(learner().state())


def test_an_echo_is_the_same_network_in_eval_mode():
    peer = learner()
    own = echo(peer)
    for a, b in zip(peer.network.state_dict().values(), own.network.state_dict().values(), strict=True):
        assert a.data_ptr() == b.data_ptr()
    peer.predict(batch()[0])
    assert not own.predict(batch()[0]).requires_grad
    assert peer.network.training and not own.network.training


@pytest.mark.parametrize("workers", [1, 2])
def test_self_distillation_mimics_what_the_network_says_of_the_clean_images(workers):
    (images, labels), clean = batch(0), batch(1)[0]
    peer, hand = learner(), learner()
    with peers_side_by_side(workers, CPU) as run:
        report = Cohort([peer, echo(peer)], topology.self_taught(1), run=run).step(images, labels, clean)
    with torch.no_grad():
        teacher = copy.deepcopy(hand.network).eval()(clean)
    logits = hand.network(images)
    total = losses.cross_entropy(logits, labels) + losses.mimicry(logits, teacher)
    hand.update(total)
    assert report.total[0].item() == pytest.approx(total.item(), rel=1e-6)
    assert report.total[1].isnan()
    torch.testing.assert_close(weights(peer), weights(hand))


def test_compiled_peers_say_what_plain_ones_say_while_all_their_outputs_are_in_use():
    """The graph is captured and differentiated as for a GPU; what generates machine code is left to PyTorch's tests."""
    plain = [learner(seed) for seed in range(3)]
    traced = [learner(seed) for seed in range(3)]
    for peer in traced:
        peer._look = torch.compile(peer._look, dynamic=False, backend="aot_eager")
    for seed in range(2):
        reports = [Cohort(peers, topology.mutual(3)).step(*batch(seed)) for peers in (plain, traced)]
        torch.testing.assert_close(reports[0].total, reports[1].total, rtol=1e-4, atol=1e-5)
    for a, b in zip(plain, traced, strict=True):
        torch.testing.assert_close(weights(a), weights(b), rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_compiled_by_inductor_peers_step_as_plain_ones():
    plain, fast = learner(0), learner(0, compiled=True)
    for seed in range(3):
        for peer in (plain, fast):
            Cohort([peer], topology.independent(1)).step(*batch(seed))
    torch.testing.assert_close(weights(plain), weights(fast), rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_graphs_keep_the_outputs_of_several_peers_alive():
    def on_gpu(seed, **settings):
        return learner(net=network(seed).cuda(), **settings)

    plain = [on_gpu(seed) for seed in range(3)]
    graphs = [on_gpu(seed, compiled=True) for seed in range(3)]
    for seed in range(6):  # the first calls warm up and record, the later ones replay
        images, labels = (part.cuda() for part in batch(seed))
        reports = [Cohort(peers, topology.mutual(3)).step(images, labels) for peers in (plain, graphs)]
        torch.testing.assert_close(reports[0].total, reports[1].total, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("name", ["decay", "feature_weight", "label_weight"])
def test_settings_out_of_range_are_refused_by_name(name):
    with pytest.raises(ConfigError, match=name):
        learner(**{name: -0.1})
