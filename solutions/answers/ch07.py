"""Answers to exercise 07 as they may be handed in, right and wrong."""

import torch
import torch.nn.functional as F
from dml_teach import losses
from tests.classroom.table import right, unforeseen, wrong

# --- selective_mimicry ---


def any_selective(
    z, q, y, by="right", over="batch", detach=True, swap=False, mean=False
):
    q = q.detach() if detach else q
    a, b = z.log_softmax(1), q.log_softmax(1)
    own, peer = (x.gather(1, y[:, None]).squeeze(1) for x in (a, b))
    heard = {
        "right": peer > own,
        "less": peer < own,
        "all": torch.ones_like(own, dtype=torch.bool),
        "peer right": q.argmax(1) == y,
        "self wrong": z.argmax(1) != y,
        "surer": b.amax(1) > a.amax(1),
    }[by].to(z.dtype)
    apart = a.exp() * (a - b) if swap else b.exp() * (b - a)
    apart = apart.mean(1) if mean else apart.sum(1)
    return (heard * apart).sum() / (
        heard.sum() if over == "heard" else len(y)
    )


@right("selective_mimicry")
def straight(*a):
    return any_selective(*a)


@right("selective_mimicry")
def image_by_image(logits, peer_logits, labels):
    total = logits.sum() * 0
    for z, q, y in zip(
        logits, peer_logits.detach(), labels.tolist(), strict=True
    ):
        a, b = F.log_softmax(z, 0), F.log_softmax(q, 0)
        if b[y] > a[y]:
            total = total + (b.exp() * (b - a)).sum()
    return total / len(labels)


@wrong("selective_mimicry", "The peer is heard on all images")
def everywhere(*a):
    return any_selective(*a, by="all")


@wrong("selective_mimicry", "you hear the peer where it knows *less*")
def upside_down(*a):
    return any_selective(*a, by="less")


@wrong(
    "selective_mimicry", "You divide by the number of images that are heard"
)
def over_the_heard(*a):
    return any_selective(*a, over="heard")


@wrong("selective_mimicry", "where it names the right class")
def where_the_peer_is_right(*a):
    return any_selective(*a, by="peer right")


@wrong("selective_mimicry", "a gradient flows into `peer_logits`")
def attached(*a):
    return any_selective(*a, detach=False)


@unforeseen(
    "selective_mimicry", "You hear the peer where the learner is wrong"
)
def where_i_am_wrong(*a):
    return any_selective(*a, by="self wrong")


@unforeseen("selective_mimicry", "whatever of")
def where_it_is_surer(*a):
    return any_selective(*a, by="surer")


@unforeseen(
    "selective_mimicry",
    "Two things at once. The divergence is the wrong way round",
)
def swapped_over_classes(*a):
    return any_selective(*a, swap=True, mean=True)


@unforeseen("selective_mimicry", "a peer that knows nothing better")
def mean_of_an_empty_set(logits, peer_logits, labels):
    value = any_selective(logits, peer_logits, labels)
    return value / value * value


@unforeseen(
    "selective_mimicry",
    "`kl_divergence` is what this task asks you to write",
)
def with_the_library(logits, peer_logits, labels):
    rows = torch.arange(len(labels))
    better = (
        peer_logits.softmax(1)[rows, labels]
        > logits.softmax(1)[rows, labels]
    )
    return (
        better * losses.kl_divergence(peer_logits.detach(), logits)
    ).mean()


@unforeseen("selective_mimicry", "instead of ()")
def one_for_each(logits, peer_logits, labels):
    return torch.stack(
        [
            any_selective(
                *(x[i : i + 1] for x in (logits, peer_logits, labels))
            )
            for i in range(len(labels))
        ]
    )


# --- mended_output_width ---


def any_width(
    network,
    channels,
    size,
    mode="each",
    grad=False,
    image=None,
    count=1,
    evaluate=True,
    axis=1,
):
    modes = {m: m.training for m in network.modules()}
    weight = next(network.parameters())
    if evaluate:
        network.eval()
    x = (
        weight.new_zeros(count, channels, size, size)
        if image is None
        else image(count, channels, size, size)
    )
    with torch.set_grad_enabled(grad):
        width = network(x).shape[axis]
    if mode == "each":
        for m, t in modes.items():
            m.training = t
    elif mode == "whole":
        network.train(modes[network])
    elif mode == "train":
        network.train()
    return width


@right("mended_output_width")
def straight_width(*a):
    return any_width(*a)


@right("mended_output_width")
def on_a_copy(network, channels, size):
    import copy

    twin = copy.deepcopy(network).eval()
    with torch.inference_mode():
        w = next(twin.parameters())
        return twin(
            torch.ones(
                3, channels, size, size, dtype=w.dtype, device=w.device
            )
        ).size(-1)


@wrong("mended_output_width", "It changes the network")
def in_train_mode(*a):
    return any_width(*a, evaluate=False, count=2)


@wrong("mended_output_width", "the global random numbers of PyTorch")
def with_randn(*a):
    return any_width(*a, image=torch.randn)


@wrong("mended_output_width", "in another mode than before")
def left_in_eval(*a):
    return any_width(*a, mode="left")


@wrong("mended_output_width", "It records a graph")
def with_a_graph(*a):
    return any_width(*a, grad=True)


@unforeseen("mended_output_width", "a part is frozen in eval mode")
def whole_network_back(*a):
    return any_width(*a, mode="whole")


@unforeseen("mended_output_width", "a network in eval mode")
def always_train(*a):
    return any_width(*a, mode="train")


@unforeseen("mended_output_width", "Numbers of two types meet")
def zeros_of_float32(*a):
    return any_width(*a, image=torch.zeros)


@unforeseen("mended_output_width", "Which axis is the width?")
def the_batch_axis(*a):
    return any_width(*a, axis=0, count=2)


@unforeseen("mended_output_width", "It is to return a whole number")
def a_shape(network, channels, size):
    return torch.Size([any_width(network, channels, size)])


@unforeseen("mended_output_width", "Which axis is the width?")
def the_last_weight(network, channels, size):
    return list(network.modules())[1][0].out_channels
