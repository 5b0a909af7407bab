"""Answers to exercise 08 as they may be handed in, right and wrong."""

import math

import torch
import torch.nn.functional as F
from dml_teach import metrics
from tests.classroom.table import right, unforeseen, wrong

# --- effective_alternatives ---


@right("effective_alternatives")
def by_sorting(logits):
    rest = logits.sort(dim=-1, descending=True).values[:, 1:]
    log_q = F.log_softmax(rest, -1)
    return torch.exp(-torch.xlogy(log_q.exp(), log_q.exp()).sum(-1))


@right("effective_alternatives")
def row_by_row(logits):
    found = []
    for z in logits:
        keep = torch.ones(len(z), dtype=torch.bool)
        keep[int(z.argmax())] = False
        found.append(
            torch.distributions.Categorical(logits=z[keep]).entropy().exp()
        )
    return torch.stack(found)


@wrong("effective_alternatives", "The first choice is still among them")
def with_the_first(logits):
    return torch.special.entr(logits.softmax(1)).sum(1).exp()


@wrong("effective_alternatives", "does not sum to 1")
def not_renormalised(logits):
    p = logits.softmax(1).scatter(1, logits.argmax(1, keepdim=True), 0)
    return torch.special.entr(p).sum(1).exp()


@wrong("effective_alternatives", "That is the entropy")
def entropy_alone(logits):
    return by_sorting(logits).log()


@wrong(
    "effective_alternatives",
    "so certain that all other probabilities are rounded to 0",
)
def from_probabilities(logits):
    p = logits.softmax(1)
    p = p.scatter(1, p.argmax(1, keepdim=True), 0)
    q = p / p.sum(1, keepdim=True)
    return torch.special.entr(q).sum(1).exp()


@wrong("effective_alternatives", "Of several classes that tie")
def all_that_tie(logits):
    top = logits.amax(1, keepdim=True)
    q = logits.masked_fill(logits == top, float("-inf")).softmax(1)
    return torch.special.entr(q).sum(1).exp()


@unforeseen("effective_alternatives", "1 over the sum of squares")
def simpson(logits):
    return 1 / logits.sort(-1).values[:, :-1].softmax(-1).square().sum(-1)


@unforeseen("effective_alternatives", "in nats, not in bits")
def in_bits(logits):
    return (by_sorting(logits).log() / math.log(2)).exp()


@unforeseen("effective_alternatives", "instead of (1,)")
def mean_over_images(logits):
    return by_sorting(logits).mean()


@unforeseen(
    "effective_alternatives", "changes its argument `logits` in place"
)
def struck_out_in_place(logits):
    logits.scatter_(1, logits.argmax(1, keepdim=True), float("-inf"))
    return torch.special.entr(logits.softmax(1)).sum(1).exp()


@unforeseen("effective_alternatives", "nan or infinity")
def zero_times_infinity(logits):
    z = logits.scatter(1, logits.argmax(1, keepdim=True), float("-inf"))
    log_q = z.log_softmax(1)
    return (-(log_q.exp() * log_q).sum(1)).exp()


@unforeseen(
    "effective_alternatives",
    "`entropy` is what this task asks you to write",
)
def with_the_librarys_entropy(logits):
    rest = logits.sort(-1).values[:, :-1]
    return torch.stack([metrics.entropy(z[None]) for z in rest]).exp()


# --- mended_rise ---


def any_rise(
    loss,
    weights,
    noises,
    scale,
    size="rms",
    plain=True,
    start="weights",
    over="mean",
):
    now, rises = list(weights), []
    sizes = {
        "rms": [w.norm() / w.numel() ** 0.5 for w in weights],
        "one": [1.0 for w in weights],
        "norm": [w.norm() for w in weights],
        "spread": [w.std() for w in weights],
        "common": [
            torch.cat([v.flatten() for v in weights]).square().mean().sqrt()
            for w in weights
        ],
    }[size]
    for noise in noises:
        base = weights if start == "weights" else now
        now = [
            w + scale * s * e
            for w, s, e in zip(base, sizes, noise, strict=True)
        ]
        rises.append(
            float(loss(now)) - (float(loss(weights)) if plain else 0)
        )
    return {
        "mean": sum(rises) / len(rises),
        "max": max(rises),
        "sum": sum(rises),
    }[over]


@right("mended_rise")
def straight_rise(*a):
    return any_rise(*a)


@right("mended_rise")
def there_and_back(loss, weights, noises, scale):
    kept = [w.clone() for w in weights]
    before, total = loss(weights), 0.0
    with torch.no_grad():
        for noise in noises:
            for w, k, e in zip(weights, kept, noise, strict=True):
                w.copy_(k + e * (scale * (k * k).mean().sqrt()))
            total += (loss(weights) - before).item()
            for w, k in zip(weights, kept, strict=True):
                w.copy_(k)
    return total / len(noises)


@wrong("mended_rise", "The noise is absolute")
def absolute(*a):
    return any_rise(*a, size="one")


@wrong("mended_rise", "The noise piles up")
def piling(*a):
    return any_rise(*a, start="last")


@wrong("mended_rise", "the mean loss under noise")
def the_loss_itself(*a):
    return any_rise(*a, plain=False)


@wrong("mended_rise", "You scale by the norm")
def by_norm(*a):
    return any_rise(*a, size="norm")


@wrong("mended_rise", "changes its argument `weights` in place")
def in_place(loss, weights, noises, scale):
    before, total = float(loss(weights)), 0.0
    for noise in noises:
        for w, e in zip(weights, noise, strict=True):
            w += scale * w.square().mean().sqrt() * e
        total += float(loss(weights)) - before
    return total / len(noises)


@unforeseen("mended_rise", "the largest rise")
def largest(*a):
    return any_rise(*a, over="max")


@unforeseen("mended_rise", "which forgets the mean")
def by_spread(*a):
    return any_rise(*a, size="spread")


@unforeseen("mended_rise", "each tensor has its own")
def one_for_all(*a):
    return any_rise(*a, size="common")


@unforeseen("mended_rise", "Three things at once")
def nothing_but_a_copy(loss, weights, noises, scale):
    return any_rise(
        loss,
        [w.clone() for w in weights],
        noises,
        scale,
        size="one",
        plain=False,
        start="last",
    )


@unforeseen("mended_rise", "It is to return one number")
def all_the_rises(loss, weights, noises, scale):
    return [any_rise(loss, weights, [e], scale) for e in noises]


@unforeseen("mended_rise", "The scale counts twice")
def scale_squared(loss, weights, noises, scale):
    return any_rise(loss, weights, noises, scale**2)
