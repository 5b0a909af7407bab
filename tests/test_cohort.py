"""The mutual step against Algorithm 1 written out by hand."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dml_teach import topology
from dml_teach.cohort import ORDERS, Cohort, Peer
from dml_teach.errors import ConfigError

B, C, RATE = 8, 5, 0.1


class Net(nn.Module):
    """Small, with batch norm, in fp64, and a memory of the images it was shown."""

    def __init__(self, seed, classes=C):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes)
            )
        self.double()
        self.seen = []

    def forward(self, images):
        self.seen.append((images, self.training, torch.is_grad_enabled()))
        return self.body(images)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(B, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.randint(C, (B,), generator=generator)


def learners(count, rate=RATE, **weights):
    nets = [Net(seed) for seed in range(count)]
    return [Peer(net, torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9), **weights) for net in nets]


def parameters(peer):
    return torch.cat([p.detach().flatten() for p in peer.network.parameters()])


def kl(reference, own):
    """Mean over the batch of D_KL(reference || own), from PyTorch's own function."""
    return F.kl_div(own.log_softmax(1), reference.log_softmax(1), reduction="batchmean", log_target=True)


def by_hand(peers, images, labels, *, sequential):
    """Algorithm 1 for K peers, written out: K (K - 1) divergences; in sequence every posterior predicted anew."""
    nets = [peer.network for peer in peers]
    logits = [net(images) for net in nets]
    for k, peer in enumerate(peers):
        if sequential and k > 0:
            statistics = [copy.deepcopy(dict(net.named_buffers())) for net in nets]
            logits = [net(images) for net in nets]
            for net, kept in zip(nets, statistics, strict=True):
                for name, buffer in net.named_buffers():
                    buffer.data.copy_(kept[name])
        others = [logits[l].detach() for l in range(len(peers)) if l != k]
        loss = F.cross_entropy(logits[k], labels) + sum(kl(z, logits[k]) for z in others) / len(others)
        peer.optimizer.zero_grad()
        loss.backward(retain_graph=True)
        if sequential:
            peer.optimizer.step()
    if not sequential:
        for peer in peers:
            peer.optimizer.step()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_step_equals_algorithm_1_written_by_hand(count, order):
    ours, hand = learners(count), learners(count)
    cohort = Cohort(ours, topology.mutual(count), order=order)
    for seed in range(3):
        cohort.step(*batch(seed))
        by_hand(hand, *batch(seed), sequential=order == "sequential")
    for a, b in zip(ours, hand, strict=True):
        torch.testing.assert_close(parameters(a), parameters(b), rtol=1e-10, atol=1e-12)
        for (name, x), y in zip(a.network.named_buffers(), b.network.buffers(), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-10, atol=1e-12, msg=name)


def test_simultaneous_step_equals_one_autograd_graph_over_all_peers():
    ours, graph = learners(3), learners(3)
    images, labels = batch()
    Cohort(ours, topology.mutual(3)).step(images, labels)
    logits = [peer.network(images) for peer in graph]
    total = sum(F.cross_entropy(z, labels) for z in logits)
    total = total + sum(kl(logits[l].detach(), logits[k]) / 2 for k in range(3) for l in range(3) if k != l)
    total.backward()
    for peer in graph:
        peer.optimizer.step()
    for a, b in zip(ours, graph, strict=True):
        torch.testing.assert_close(parameters(a), parameters(b), rtol=1e-10, atol=1e-12)


def test_report_holds_the_losses_the_paper_names():
    peers = learners(3)
    images, labels = batch()
    logits = [copy.deepcopy(peer.network)(images).detach() for peer in peers]
    report = Cohort(peers, topology.mutual(3)).step(images, labels)
    for k in range(3):
        mimicry = sum(kl(logits[l], logits[k]) for l in range(3) if l != k) / 2
        supervised = F.cross_entropy(logits[k], labels)
        assert report.supervised[k].item() == pytest.approx(supervised.item(), rel=1e-10)
        assert report.mimicry[k].item() == pytest.approx(mimicry.item(), rel=1e-10)
        assert report.total[k].item() == pytest.approx((supervised + mimicry).item(), rel=1e-10)
        assert report.top1[k].item() == pytest.approx((logits[k].argmax(1) == labels).double().mean().item())


def test_weights_of_labels_and_mimicry_enter_the_total():
    report = Cohort(learners(2, label_weight=0.25, mimicry_weight=3.0), topology.mutual(2)).step(*batch())
    torch.testing.assert_close(report.total, 0.25 * report.supervised + 3.0 * report.mimicry)


def test_temperature_softens_both_posteriors():
    peers = learners(2)
    images, labels = batch()
    logits = [copy.deepcopy(peer.network)(images).detach() for peer in peers]
    report = Cohort(peers, topology.mutual(2), temperature=2.0).step(images, labels)
    assert report.mimicry[0].item() == pytest.approx(4 * kl(logits[1] / 2, logits[0] / 2).item(), rel=1e-10)


@pytest.mark.parametrize("order", ORDERS)
def test_peers_see_the_same_batch_and_sequential_predicts_on_it_again_without_gradient(order):
    peers = learners(2)
    images, labels = batch()
    Cohort(peers, topology.mutual(2), order=order).step(images, labels)
    first, second = (peer.network.seen for peer in peers)
    assert [len(first), len(second)] == ([2, 1] if order == "sequential" else [1, 1])
    for shown, training, _ in first + second:
        assert shown is images and training
    assert [grad for _, _, grad in first] == ([True, False] if order == "sequential" else [True])


def test_sequential_differs_from_simultaneous_by_the_order_of_the_learning_rate():
    """Peer 1 learns from a posterior that moved by O(rate), so its update, itself O(rate), differs by O(rate^2)."""

    def after_a_step(order, rate):
        peers = learners(2, rate=rate)
        Cohort(peers, topology.mutual(2), order=order).step(*batch())
        return [parameters(peer) for peer in peers]

    gaps = []
    for rate in (0.02, 0.01, 0.005):
        simultaneous, sequential = (after_a_step(order, rate) for order in ORDERS)
        assert torch.equal(simultaneous[0], sequential[0])  # the first peer has heard the same in both orders
        gaps.append((simultaneous[1] - sequential[1]).norm().item() / rate)
    assert gaps[0] > 0
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.2)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("order", ORDERS)
def test_batch_norm_moves_exactly_once_a_step(order):
    peers = learners(3)
    images, labels = batch()
    expected = [copy.deepcopy(peer.network) for peer in peers]
    for net in expected:
        net.train()(images)
    Cohort(peers, topology.mutual(3), order=order).step(images, labels)
    for peer, once in zip(peers, expected, strict=True):
        norm, reference = peer.network.body[1], once.body[1]
        assert norm.num_batches_tracked == 1
        assert torch.equal(norm.running_mean, reference.running_mean)
        assert torch.equal(norm.running_var, reference.running_var)


def test_a_network_left_in_eval_mode_trains_in_train_mode_all_the_same():
    peers = learners(2)
    cohort = Cohort(peers, topology.mutual(2))
    for peer in peers:
        peer.network.eval()
    cohort.step(*batch())
    assert all(peer.network.training and peer.network.body[1].num_batches_tracked == 1 for peer in peers)


def test_a_frozen_teacher_is_left_untouched_in_eval_mode_and_reports_no_loss():
    teacher, student = Peer(Net(7), frozen=True), learners(1)[0]
    before = copy.deepcopy(teacher.network.state_dict())
    report = Cohort([teacher, student], topology.one_way(2)).step(*batch())
    assert all(torch.equal(before[name], value) for name, value in teacher.network.state_dict().items())
    assert not teacher.network.training
    assert all(p.grad is None for p in teacher.network.parameters())
    assert all(value[0].isnan() and value[1].isfinite() for value in report)


@pytest.mark.parametrize("order", ORDERS)
def test_a_student_without_labels_follows_a_frozen_teacher(order):
    student = learners(1, rate=0.2, label_weight=0.0)[0]
    cohort = Cohort([Peer(Net(7), frozen=True), student], topology.one_way(2), order=order)
    images, labels = batch()
    distances = [cohort.step(images, labels).mimicry[1].item() for _ in range(200)]
    assert distances[-1] < 0.1 * distances[0]


def test_independent_peers_do_not_hear_each_other():
    together, alone = learners(2), learners(2)
    Cohort(together, topology.independent(2)).step(*batch())
    for peer in alone:
        Cohort([peer], topology.independent(1)).step(*batch())
    assert all(torch.equal(parameters(a), parameters(b)) for a, b in zip(together, alone, strict=True))


def test_a_teacher_in_a_one_way_cohort_learns_as_if_alone():
    pair, alone = learners(2), learners(1)
    Cohort(pair, topology.one_way(2, teacher=0)).step(*batch())
    Cohort(alone, topology.independent(1)).step(*batch())
    assert torch.equal(parameters(pair[0]), parameters(alone[0]))


def test_identical_twins_with_the_same_batch_never_teach_each_other_anything():
    """Equal weights give equal posteriors: the divergence is 0 and stays 0."""
    twins = [Net(0), Net(0)]
    cohort = Cohort([Peer(net, torch.optim.SGD(net.parameters(), lr=RATE)) for net in twins], topology.mutual(2))
    reports = [cohort.step(*batch(seed)) for seed in range(3)]
    assert max(report.mimicry.abs().max().item() for report in reports) < 1e-12


def test_summed_mimicry_is_the_sum_over_the_teachers():
    report = Cohort(learners(4), topology.mutual(4), mimicry="summed").step(*batch())
    mean = Cohort(learners(4), topology.mutual(4)).step(*batch())
    torch.testing.assert_close(report.mimicry, 3 * mean.mimicry)
    chosen = Cohort(learners(4), topology.ring(4), mimicry="summed").step(*batch())
    torch.testing.assert_close(chosen.mimicry, Cohort(learners(4), topology.ring(4)).step(*batch()).mimicry)


def test_dml_e_trains_like_dml_and_reports_a_smaller_loss():
    pairwise, ensemble = learners(4), learners(4)
    a = Cohort(pairwise, topology.mutual(4)).step(*batch())
    b = Cohort(ensemble, topology.mutual(4), mimicry="ensemble").step(*batch())
    assert (b.mimicry < a.mimicry).all()
    for x, y in zip(pairwise, ensemble, strict=True):
        torch.testing.assert_close(parameters(x), parameters(y), rtol=1e-10, atol=1e-12)


def test_rewiring_changes_who_teaches_from_the_next_step_on():
    rewired, ring = learners(3), learners(3)
    cohort = Cohort(rewired, topology.mutual(3))
    cohort.rewire(topology.ring(3))
    torch.testing.assert_close(cohort.step(*batch()).mimicry, Cohort(ring, topology.ring(3)).step(*batch()).mimicry)
    with pytest.raises(ConfigError, match="for 2 peers"):
        cohort.rewire(topology.mutual(2))


def test_label_smoothing_spreads_a_share_of_the_label_over_all_classes():
    peers = learners(1, label_smoothing=0.1)
    images, labels = batch()
    logits = copy.deepcopy(peers[0].network)(images).detach()
    target = 0.9 * F.one_hot(labels, C).double() + 0.1 / C
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    report = Cohort(peers, topology.mutual(1)).step(images, labels)
    assert report.supervised[0].item() == pytest.approx(expected.item(), rel=1e-10)


def test_errors_name_what_is_wrong():
    net = Net(0)
    sgd = torch.optim.SGD(net.parameters(), lr=RATE)
    for make, says in [
        (lambda: Peer(net), "needs an optimizer"),
        (lambda: Peer(net, sgd, frozen=True), "give it no optimizer"),
        (lambda: Peer(Net(1), sgd), "its own network"),
        (lambda: Peer(net, sgd, mimicry_weight=-1.0), "mimicry_weight"),
        (lambda: Peer(net, sgd, label_weight=float("nan")), "label_weight"),
        (lambda: Cohort([Peer(net, sgd)], topology.mutual(2)), "for 2 peers"),
        (lambda: Cohort([Peer(net, frozen=True)], topology.mutual(1)), "at least one peer that learns"),
        (lambda: Cohort([], topology.mutual(1)), "at least one peer that learns"),
        (lambda: Cohort([Peer(net, sgd)], topology.mutual(1), order="random"), "order 'random'"),
        (lambda: Cohort([Peer(net, sgd)], topology.mutual(1), temperature=0.0), "temperature"),
        (lambda: Cohort([Peer(net, sgd)], topology.mutual(1), mimicry="max"), "mimicry 'max'"),
    ]:
        with pytest.raises(ConfigError, match=says):
            make()


def test_peers_that_predict_different_classes_are_refused_before_any_update():
    nets = [Net(0), Net(1, classes=C + 1)]
    peers = [Peer(net, torch.optim.SGD(net.parameters(), lr=RATE)) for net in nets]
    before = parameters(peers[0])
    with pytest.raises(ConfigError, match="same classes"):
        Cohort(peers, topology.mutual(2)).step(*batch())
    assert torch.equal(parameters(peers[0]), before)
