"""Answers to exercise 06 as they may be handed in, right and wrong."""

import torch
import torch.nn.functional as F
from dml_teach import losses, topology
from tests.classroom.table import right, unforeseen, wrong

# --- two_cliques ---


@right("two_cliques")
def by_loops(first, second):
    k = first + second
    w = torch.zeros((k, k), dtype=torch.float64)
    for i in range(k):
        group = range(first) if i < first else range(first, k)
        hears = [j for j in group if j != i]
        if i == first - 1:
            hears.append(first)
        if i == first:
            hears.append(first - 1)
        for j in hears:
            w[i, j] = 1 / len(hears)
    return w


def any_cliques(
    first,
    second,
    loops=False,
    there=True,
    back=True,
    normal="rows",
    dtype=torch.float64,
    ends=None,
):
    k = first + second
    side = torch.arange(k) < first
    w = (side[:, None] == side[None]).to(dtype)
    if not loops:
        w = w - torch.eye(k, dtype=dtype)
    a, b = ends or (first - 1, first)
    if there:
        w[a, b] = 1
    if back:
        w[b, a] = 1
    if normal == "rows":
        return w / w.sum(1, keepdim=True).clamp_min(1)
    return w / w.sum(0).clamp_min(1) if normal == "columns" else w


@right("two_cliques")
def by_masks(first, second):
    return any_cliques(first, second)


@wrong("two_cliques", "Peers listen to themselves")
def with_loops(*a):
    return any_cliques(*a, loops=True)


@wrong("two_cliques", "sum to more than 1")
def added_to_finished_rows(first, second):
    w = any_cliques(first, second, there=False, back=False)
    w[first - 1, first] = 1 / max(first - 1, 1)
    w[first, first - 1] = 1 / max(second - 1, 1)
    return w


@wrong("two_cliques", "the second clique does not hear the first")
def one_way(*a):
    return any_cliques(*a, back=False)


@wrong("two_cliques", "The columns sum to 1")
def columns(*a):
    return any_cliques(*a, normal="columns")


@wrong("two_cliques", "float64 is wanted")
def single_precision(*a):
    return any_cliques(*a, dtype=torch.float32)


@wrong("two_cliques", "The bridge is missing")
def no_bridge(*a):
    return any_cliques(*a, there=False, back=False)


@unforeseen("two_cliques", "These are the arrows, 0 or 1")
def arrows(*a):
    return any_cliques(*a, normal="no")


@unforeseen("two_cliques", "The bridge stands at the wrong peer")
def first_and_last(first, second):
    return any_cliques(first, second, ends=(0, first + second - 1))


@unforeseen("two_cliques", "Each row should sum to 1")
def over_all_peers(first, second):
    return any_cliques(first, second, normal="no") / (first + second)


@unforeseen("two_cliques", "count alike")
def softmaxed(first, second):
    w = any_cliques(first, second)
    w[first - 1, first] *= 2
    return w / w.sum(1, keepdim=True)


@unforeseen("two_cliques", "instead of (4, 4)")
def first_clique_only(first, second):
    return topology.validate(torch.zeros(first, first))


@unforeseen(
    "two_cliques",
    "a clique of one peer".replace("a clique", "a first clique"),
)
def division_by_nothing(first, second):
    w = any_cliques(first, second)
    if first == 1:
        w[0, 1] = 0
    return w


# --- mended_dml_e ---


def any_dml_e(
    logits,
    k,
    who="others",
    average="probabilities",
    detach=True,
    mean=False,
    swap=False,
):
    others = [z for i, z in enumerate(logits) if i != k or who == "all"]
    if detach:
        others = [z.detach() for z in others]
    stack = torch.stack(others)
    q = (
        stack.softmax(-1).mean(0)
        if average == "probabilities"
        else stack.mean(0).softmax(-1)
    )
    q = q.clamp_min(torch.finfo(q.dtype).tiny)
    own = logits[k].log_softmax(-1)
    apart = own.exp() * (own - q.log()) if swap else q * (q.log() - own)
    return apart.mean() if mean else apart.sum(-1).mean()


@right("mended_dml_e")
def straight(*a):
    return any_dml_e(*a)


@right("mended_dml_e")
def with_a_mask(logits, k):
    with torch.no_grad():
        p = F.softmax(logits, 2)
        q = (p.sum(0) - p[k]).clamp_min(0) / (len(logits) - 1)
        if len(logits) > 1:
            q = p[[i for i in range(len(logits)) if i != k]].mean(0)
        entropy = torch.special.entr(q).sum(1)
    return (
        F.cross_entropy(logits[k], q, reduction="none") - entropy
    ).mean()


@wrong("mended_dml_e", "Peer k is in the average")
def with_itself(*a):
    return any_dml_e(*a, who="all")


@wrong("mended_dml_e", "You average logits")
def of_logits(*a):
    return any_dml_e(*a, average="logits")


@wrong("mended_dml_e", "a gradient flows into `others`")
def attached(*a):
    return any_dml_e(*a, detach=False)


@wrong("mended_dml_e", "The mean goes over the classes too")
def over_classes(*a):
    return any_dml_e(*a, mean=True)


@wrong("mended_dml_e", "the mean of the pairwise divergences")
def pairwise(logits, k):
    own = logits[k].log_softmax(-1)
    each = [
        F.kl_div(
            own,
            z.detach().log_softmax(-1),
            reduction="batchmean",
            log_target=True,
        )
        for i, z in enumerate(logits)
        if i != k
    ]
    return sum(each) / len(each)


@wrong("mended_dml_e", "The divergence is the wrong way round")
def swapped(*a):
    return any_dml_e(*a, swap=True)


@unforeseen("mended_dml_e", "Three things at once")
def nothing_but_detached(*a):
    return any_dml_e(*a, who="all", average="logits", mean=True)


@unforeseen("mended_dml_e", "divide by K")
def divided_by_all(logits, k):
    q = torch.cat([logits[:k], logits[k + 1 :]]).detach().softmax(-1).sum(
        0
    ) / len(logits)
    own = logits[k].log_softmax(-1)
    return (torch.xlogy(q, q) - q * own).sum(-1).mean()


@unforeseen("mended_dml_e", "Does your average sum to 1?")
def cross_entropy_upside_down(logits, k):
    q = (
        torch.cat([logits[:k], logits[k + 1 :]])
        .detach()
        .softmax(-1)
        .mean(0)
    )
    return (q * logits[k].log_softmax(-1)).sum(-1).mean()


@unforeseen("mended_dml_e", "the sum of the pairwise divergences")
def summed_over_peers(logits, k):
    return pairwise(logits, k) * (len(logits) - 1)


@unforeseen(
    "mended_dml_e",
    "`mimicry_of_ensemble` is what this task asks you to write",
)
def with_the_library(logits, k):
    published = losses.publish(logits)
    return losses.mimicry_of_ensemble(
        logits[k], published, topology.mutual(len(logits))[k]
    )


@unforeseen("mended_dml_e", "The values are not right")
def the_next_peer_only(logits, k):
    q = logits[(k + 1) % len(logits)].detach().softmax(-1)
    return (
        (torch.xlogy(q, q) - q * logits[k].log_softmax(-1)).sum(-1).mean()
    )
