"""The losses against closed forms and slow, obvious references."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dml_teach import losses, topology
from dml_teach.errors import ConfigError

B, C = 6, 7


def random_logits(*shape, seed=0, dtype=torch.float64, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).mul(scale).to(dtype)


def slow_kl(reference, own, temperature=1.0):
    """D_KL(reference || own) of one image, term by term from the definition."""
    p = [math.exp(z / temperature) for z in reference.tolist()]
    q = [math.exp(z / temperature) for z in own.tolist()]
    p, q = [v / sum(p) for v in p], [v / sum(q) for v in q]
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def slow_mimicry(own, peer, temperature=1.0):
    """The batch mean of the divergence times T^2, image by image."""
    return temperature**2 * sum(slow_kl(p, o, temperature) for p, o in zip(peer, own, strict=True)) / len(own)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_mimicry_is_the_batch_mean_of_kl_from_the_peer_times_temperature_squared(temperature):
    own, peer = random_logits(B, C), random_logits(B, C, seed=1)
    assert losses.mimicry(own, peer, temperature).item() == pytest.approx(
        slow_mimicry(own, peer, temperature), rel=1e-12
    )


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_gradient_of_mimicry_is_temperature_times_own_minus_peer_posterior_over_the_batch(temperature):
    own, peer = random_logits(B, C).requires_grad_(), random_logits(B, C, seed=1)
    losses.mimicry(own, peer, temperature).backward()
    expected = temperature * ((own / temperature).softmax(1) - (peer / temperature).softmax(1)) / B
    torch.testing.assert_close(own.grad, expected.detach(), rtol=1e-12, atol=1e-15)


def test_peer_receives_no_gradient_from_mimicry():
    own, peer = random_logits(B, C).requires_grad_(), random_logits(B, C, seed=1).requires_grad_()
    losses.mimicry(own, peer).backward()
    assert peer.grad is None
    assert own.grad.abs().sum() > 0


def test_mimicry_is_not_symmetric():
    own, peer = random_logits(B, C), random_logits(B, C, seed=1)
    assert losses.mimicry(own, peer).item() != pytest.approx(losses.mimicry(peer, own).item(), rel=1e-3)


def test_mimicry_does_not_shrink_with_the_number_of_classes():
    """Classes that both peers rule out change nothing; a mean over classes would divide by their number."""
    own, peer = random_logits(B, C), random_logits(B, C, seed=1)
    impossible = torch.full((B, 93), -60.0, dtype=torch.float64)
    wide = losses.mimicry(torch.cat([own, impossible], 1), torch.cat([peer, impossible], 1))
    assert wide.item() == pytest.approx(losses.mimicry(own, peer).item(), rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), batch=st.integers(1, 5), classes=st.integers(2, 9), shift=st.floats(-50, 50))
def test_kl_is_zero_to_itself_never_negative_and_blind_to_a_shift_of_the_logits(seed, batch, classes, shift):
    own, peer = random_logits(batch, classes, seed=seed), random_logits(batch, classes, seed=seed + 1)
    assert losses.kl_divergence(own, own).abs().max() == 0
    assert (losses.kl_divergence(peer, own) >= -1e-12).all()
    torch.testing.assert_close(losses.kl_divergence(peer + shift, own - shift), losses.kl_divergence(peer, own))


def test_kl_from_certainty_is_the_cross_entropy():
    """A peer that is certain of the label teaches exactly what the label teaches."""
    own, labels = random_logits(B, C), torch.arange(B) % C
    certain = 200 * F.one_hot(labels, C).double()
    assert losses.mimicry(own, certain).item() == pytest.approx(losses.cross_entropy(own, labels).item(), rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_fp32(dtype):
    own, peer, labels = random_logits(B, C, dtype=dtype), random_logits(B, C, seed=1, dtype=dtype), torch.arange(B) % C
    for value, reference in [
        (losses.mimicry(own, peer), losses.mimicry(own.float(), peer.float())),
        (losses.cross_entropy(own, labels), losses.cross_entropy(own.float(), labels)),
        (
            losses.distillation(own, peer, labels, 2.0, 0.5),
            losses.distillation(own.float(), peer.float(), labels, 2.0, 0.5),
        ),
    ]:
        assert value.dtype == torch.float32
        assert value.item() == reference.item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_single_and_double_precision_are_kept(dtype):
    own, peer = random_logits(B, C, dtype=dtype), random_logits(B, C, seed=1, dtype=dtype)
    assert losses.mimicry(own, peer).dtype == dtype
    assert losses.publish(torch.stack([own, peer])).posteriors.dtype == dtype


def test_extreme_logits_stay_finite():
    own, peer = torch.tensor([[1e4, -1e4, 0.0]]).requires_grad_(), torch.tensor([[-1e4, 1e4, 0.0]])
    value = losses.mimicry(own, peer)
    value.backward()
    assert value.isfinite() and own.grad.isfinite().all()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_distillation_weighs_labels_against_the_teacher(weight):
    student, teacher, labels = random_logits(B, C), random_logits(B, C, seed=1), torch.arange(B) % C
    supervised = -sum(z.log_softmax(0)[y] for z, y in zip(student, labels, strict=True)).item() / B
    expected = (1 - weight) * supervised + weight * slow_mimicry(student, teacher, 4.0)
    assert losses.distillation(student, teacher, labels, 4.0, weight).item() == pytest.approx(expected, rel=1e-12)


def test_distillation_at_temperature_one_pulls_like_a_single_softer_label():
    student, teacher = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels, weight = torch.tensor([0, 4, 1, 1, 3, 2]), 0.7
    target = (1 - weight) * F.one_hot(labels, 5) + weight * teacher.softmax(dim=1)
    pulls = []
    for loss in (lambda z: losses.distillation(z, teacher, labels, 1.0, weight), lambda z: F.cross_entropy(z, target)):
        z = student.clone().requires_grad_()
        loss(z).backward()
        pulls.append(z.grad)
    assert torch.allclose(*pulls, atol=1e-12)


def test_distillation_leaves_the_teacher_without_gradient():
    student, teacher = random_logits(B, C).requires_grad_(), random_logits(B, C, seed=1).requires_grad_()
    losses.distillation(student, teacher, torch.zeros(B, dtype=torch.long), 2.0, 0.5).backward()
    assert teacher.grad is None and student.grad.abs().sum() > 0


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan])
def test_temperature_must_be_above_zero(temperature):
    with pytest.raises(ConfigError, match="temperature"):
        losses.mimicry(random_logits(B, C), random_logits(B, C), temperature)


@pytest.mark.parametrize("weight", [-0.1, 1.1, math.nan])
def test_weight_of_the_teacher_must_be_a_share(weight):
    with pytest.raises(ConfigError, match="weight"):
        losses.distillation(random_logits(B, C), random_logits(B, C), torch.zeros(B, dtype=torch.long), 1.0, weight)


def test_at_high_temperature_mimicry_is_half_the_mean_squared_distance_of_the_centred_logits():
    own, peer = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centred = [z - z.mean(dim=1, keepdim=True) for z in (own, peer)]
    limit = (centred[0] - centred[1]).square().mean() / 2
    distances = [(losses.mimicry(own, peer, temperature) - limit).abs().item() for temperature in (1, 10, 100, 1000)]
    assert distances == sorted(distances, reverse=True) and distances[-1] < 1e-2 * limit


def test_peers_with_other_classes_or_batch_are_refused_rather_than_broadcast():
    with pytest.raises(ConfigError, match="one shape"):
        losses.mimicry(random_logits(B, C), random_logits(1, C))


def slow_paper_loss(k, logits, temperature):
    """The paper's loss for K networks: the mean over the other peers of the divergence from each, in a double loop."""
    others = [l for l in range(len(logits)) if l != k]
    return sum(losses.mimicry(logits[k], logits[l], temperature) for l in others) / len(others)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("peers", [2, 3, 4, 5, 6])
def test_mixture_form_has_the_value_and_gradient_of_the_pairwise_double_loop(peers, temperature):
    matrix = topology.mutual(peers)
    fast, slow = (random_logits(peers, B, C, seed=peers).requires_grad_() for _ in range(2))
    published = losses.publish(fast, temperature)
    values = [losses.mimicry_of_mixture(fast[k], published, matrix[k], temperature) for k in range(peers)]
    expected = [slow_paper_loss(k, slow, temperature) for k in range(peers)]
    torch.testing.assert_close(torch.stack(values), torch.stack(expected), rtol=1e-10, atol=1e-12)
    sum(values).backward()
    sum(expected).backward()
    torch.testing.assert_close(fast.grad, slow.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("peers", [2, 3, 4, 5, 6])
def test_mixture_form_holds_for_any_row_of_weights(peers):
    logits, weights = random_logits(peers, B, C, seed=9), random_logits(peers, seed=3).softmax(0)
    value = losses.mimicry_of_mixture(logits[0], losses.publish(logits), weights)
    expected = sum(w * losses.mimicry(logits[0], z) for w, z in zip(weights, logits, strict=True))
    assert value.item() == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("peers", [2, 3, 4, 5, 6])
def test_dml_e_is_kl_to_the_mean_posterior_and_lower_by_the_jensen_shannon_divergence(peers, temperature):
    logits, row = random_logits(peers, B, C, seed=peers), topology.mutual(peers)[0]
    published = losses.publish(logits, temperature)
    mean_posterior = (logits[1:] / temperature).softmax(-1).mean(0)
    own = (logits[0] / temperature).log_softmax(-1)
    expected = temperature**2 * (mean_posterior * (mean_posterior.log() - own)).sum(1).mean()
    dml_e = losses.mimicry_of_ensemble(logits[0], published, row, temperature)
    assert dml_e.item() == pytest.approx(expected.item(), rel=1e-10)
    gap = losses.mimicry_of_mixture(logits[0], published, row, temperature) - dml_e
    assert gap.item() == pytest.approx(temperature**2 * losses.jensen_shannon(published, row).mean().item(), abs=1e-12)
    assert gap.item() == pytest.approx(0, abs=1e-12) if peers == 2 else gap.item() > 1e-3


@pytest.mark.parametrize("peers", [2, 3, 5])
def test_dml_and_dml_e_have_the_same_gradient(peers):
    logits, row = random_logits(peers, B, C), topology.mutual(peers)[0]
    published = losses.publish(logits)
    gradients = []
    for loss in (losses.mimicry_of_mixture, losses.mimicry_of_ensemble):
        own = logits[0].clone().requires_grad_()
        loss(own, published, row).backward()
        gradients.append(own.grad)
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(gradients[0], (logits[0].softmax(1) - logits[1:].softmax(2).mean(0)) / B)


def test_a_peer_that_listens_to_nobody_pays_no_mimicry_and_gets_no_gradient():
    logits = random_logits(3, B, C)
    own = logits[0].clone().requires_grad_()
    value = losses.mimicry_of_mixture(own, losses.publish(logits), torch.zeros(3, dtype=torch.float64))
    value.backward()
    assert value.item() == 0 and own.grad.abs().max() == 0


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_must_be_a_share(smoothing):
    with pytest.raises(ConfigError, match="smoothing"):
        losses.cross_entropy(random_logits(B, C), torch.zeros(B, dtype=torch.long), smoothing)


def test_published_posteriors_carry_no_gradient():
    published = losses.publish(random_logits(2, B, C).requires_grad_())
    assert not published.posteriors.requires_grad and not published.negative_entropies.requires_grad
