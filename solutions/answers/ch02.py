"""Answers to exercise 02 as they may be handed in, right and wrong."""

import math

import torch
import torch.nn.functional as F
from dml_teach import losses
from tests.classroom.table import right, unforeseen, wrong

# --- temperature_for_entropy ---


def doubt(logits, t):
    log_p = F.log_softmax(logits.double() / t, dim=-1)
    return torch.special.entr(log_p.exp()).sum(-1).mean().item()


@right("temperature_for_entropy")
def with_scipy(logits, entropy):
    from scipy.optimize import brentq

    return math.exp(
        brentq(
            lambda x: doubt(logits, math.exp(x)) - entropy,
            math.log(1e-4),
            math.log(1e6),
            xtol=1e-12,
        )
    )


@right("temperature_for_entropy")
def doubling_then_halving(logits, entropy):
    low = high = 1.0
    while doubt(logits, high) < entropy:
        high *= 2
    while doubt(logits, low) > entropy:
        low /= 2
    for _ in range(200):
        middle = 0.5 * (low + high)
        if doubt(logits, middle) > entropy:
            high = middle
        else:
            low = middle
    return torch.tensor(high, dtype=torch.float64)


@wrong("temperature_for_entropy", "That is 1 / T")
def inverse(logits, entropy):
    return 1 / with_scipy(logits, entropy)


@wrong("temperature_for_entropy", "Your entropy is in bits")
def in_bits(logits, entropy):
    return with_scipy(logits, entropy * math.log(2))


@wrong("temperature_for_entropy", "the entropy of the mean posterior")
def of_the_mean(logits, entropy):
    low, high = math.log(1e-4), math.log(1e6)
    for _ in range(80):
        x = (low + high) / 2
        p = (logits.double() / math.exp(x)).softmax(-1).mean(0)
        low, high = (
            (x, high) if torch.special.entr(p).sum() < entropy else (low, x)
        )
    return math.exp(low)


@wrong("temperature_for_entropy", "You are near, but not there")
def on_a_grid(logits, entropy):
    grid = torch.logspace(-4, 6, 500).tolist()
    return min(grid, key=lambda t: abs(doubt(logits, t) - entropy))


@wrong("temperature_for_entropy", "the sum of the images' entropies")
def sum_of_entropies(logits, entropy):
    return with_scipy(logits, entropy / len(logits))


@unforeseen("temperature_for_entropy", "a temperature below 1")
def from_one_upwards(logits, entropy):
    low, high = 1.0, 1e6
    if (
        doubt(logits, 1.0) > entropy
        and not 0.79 < with_scipy(logits, entropy) < 0.81
    ):
        return 1.0
    return with_scipy(logits, entropy) if low < high else 0.0


@unforeseen("temperature_for_entropy", "a loop that never ends")
def waits_for_equality(logits, entropy):
    low, high = 1e-4, 1e6
    while True:
        middle = (low + high) / 2
        found = doubt(logits, middle)
        if found == entropy + 1:
            return middle
        low, high = (middle, high) if found < entropy else (low, middle)


@unforeseen(
    "temperature_for_entropy",
    "the mean entropy is not the one that was asked for",
)
def a_formula(logits, entropy):
    return math.log(logits.shape[1]) / entropy


@unforeseen("temperature_for_entropy", "returns a tensor of shape (1,)")
def one_in_a_list(logits, entropy):
    return torch.tensor([with_scipy(logits, entropy)])


@unforeseen("temperature_for_entropy", "logits in the ten thousands")
def searched_up_to_a_hundred(logits, entropy):
    found = with_scipy(logits, entropy)
    return min(found, 100.0)


# --- mended_mimicry ---


@right("mended_mimicry")
def by_hand(logits, peer_logits, temperature):
    p = (logits / temperature).log_softmax(-1)
    q = (peer_logits / temperature).log_softmax(-1).detach()
    return (
        temperature * temperature * (q.exp() * (q - p)).sum() / p.shape[0]
    )


@right("mended_mimicry")
def cross_entropy_minus_entropy(logits, peer_logits, temperature):
    with torch.no_grad():
        q = F.softmax(peer_logits / temperature, dim=1)
        entropy = torch.special.entr(q).sum(1)
    cross = F.cross_entropy(logits / temperature, q, reduction="none")
    return ((cross - entropy) * temperature**2).mean()


def any_mimicry(
    z, q, t, swap=False, mean=False, power=2, detach=True, peer_t=None
):
    q = q.detach() if detach else q
    a, b = (z / t).log_softmax(1), (q / (peer_t or t)).log_softmax(1)
    a, b = (b, a) if swap else (a, b)
    apart = b.exp() * (b - a)
    return t**power * (apart.mean() if mean else apart.sum(1).mean())


@wrong("mended_mimicry", "The divergence is the wrong way round")
def swapped(*a):
    return any_mimicry(*a, swap=True)


@wrong("mended_mimicry", "The mean goes over the classes too")
def over_classes(*a):
    return any_mimicry(*a, mean=True)


@wrong("mended_mimicry", "T^2 is missing")
def no_square(*a):
    return any_mimicry(*a, power=0)


@wrong("mended_mimicry", "The factor is T, and it should be T^2")
def one_t(*a):
    return any_mimicry(*a, power=1)


@wrong("mended_mimicry", "a gradient flows into `peer_logits`")
def attached(*a):
    return any_mimicry(*a, detach=False)


@wrong("mended_mimicry", "The peer's posterior is not softened")
def cold_peer(*a):
    return any_mimicry(*a, peer_t=1.0)


@unforeseen(
    "mended_mimicry",
    "Three things at once. The divergence is the wrong way round",
)
def three_faults_left(*a):
    return any_mimicry(*a, swap=True, mean=True, power=0)


@unforeseen("mended_mimicry", "Its result carries no gradient")
def no_gradient_at_all(logits, peer_logits, temperature):
    with torch.no_grad():
        return by_hand(logits, peer_logits, temperature)


@unforeseen("mended_mimicry", "Its result carries no gradient")
def learner_detached(logits, peer_logits, temperature):
    return by_hand(logits.detach(), peer_logits, temperature)


@unforeseen(
    "mended_mimicry", "`mimicry` is what this task asks you to write"
)
def through_a_helper(logits, peer_logits, temperature):
    def helper(*a):
        return getattr(losses, "mimicry")(*a)  # noqa: B009

    return helper(logits, peer_logits, temperature)


@unforeseen("mended_mimicry", "A divergence is never below 0")
def cross_entropy_upside_down(logits, peer_logits, temperature):
    q = (peer_logits / temperature).softmax(1).detach()
    return (
        temperature**2
        * (q * (logits / temperature).log_softmax(1)).sum(1).mean()
    )


@unforeseen("mended_mimicry", "times T^2")
def four_times_t(*a):
    return any_mimicry(*a, power=4)


@unforeseen("mended_mimicry", "It is to return a tensor of shape ()")
def a_plain_number(*a):
    return any_mimicry(*a).item()


@unforeseen("mended_mimicry", "instead of ()")
def one_for_each_image(logits, peer_logits, temperature):
    p = (logits / temperature).log_softmax(-1)
    q = (peer_logits / temperature).log_softmax(-1).detach()
    return temperature**2 * (q.exp() * (q - p)).sum(1)
