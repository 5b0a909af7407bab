"""Answers to exercise 01 as they may be handed in, right and wrong."""

import torch
import torch.nn.functional as F
from tests.classroom.table import right, unforeseen, wrong

# --- smoothed_pull ---


@right("smoothed_pull")
def by_autograd(logits, labels, smoothing):
    z = logits.detach().requires_grad_()
    loss = F.cross_entropy(z, labels, label_smoothing=smoothing)
    return torch.autograd.grad(loss, z)[0]


@right("smoothed_pull")
def as_two_losses(logits, labels, smoothing):
    p, classes = F.softmax(logits, -1), logits.shape[1]
    hard = p - F.one_hot(labels, classes)
    even = p - 1 / classes
    return torch.lerp(hard, even, smoothing).div(labels.numel())


@wrong("smoothed_pull", "The labels are not smoothed")
def hard_labels(logits, labels, smoothing):
    return as_two_losses(logits, labels, 0.0)


@wrong("smoothed_pull", "shared among the wrong classes alone")
def wrong_classes_alone(logits, labels, smoothing):
    classes = logits.shape[1]
    target = torch.full_like(logits, smoothing / (classes - 1))
    target.scatter_(1, labels[:, None], 1 - smoothing)
    return (logits.softmax(1) - target) / len(logits)


@wrong("smoothed_pull", "It is the sum over the batch")
def summed(logits, labels, smoothing):
    return as_two_losses(logits, labels, smoothing) * len(labels)


@wrong("smoothed_pull", "runs over the images instead of the classes")
def over_the_images(logits, labels, smoothing):
    classes = logits.shape[1]
    target = (1 - smoothing) * F.one_hot(
        labels, classes
    ) + smoothing / classes
    return (logits.softmax(0) - target) / len(logits)


@unforeseen(
    "smoothed_pull", "Two things at once. The labels are not smoothed"
)
def hard_and_summed(logits, labels, smoothing):
    return summed(logits, labels, 0.0)


@unforeseen("smoothed_pull", "It is one number for all")
def the_loss_itself(logits, labels, smoothing):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing)


@unforeseen("smoothed_pull", "plain exp() overflows")
def without_care(logits, labels, smoothing):
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    target = (1 - smoothing) * F.one_hot(
        labels, logits.shape[1]
    ) + smoothing / logits.shape[1]
    return (p - target) / len(logits)


@unforeseen("smoothed_pull", "Add up a row of yours")
def logits_for_posterior(logits, labels, smoothing):
    target = (1 - smoothing) * F.one_hot(
        labels, logits.shape[1]
    ) + smoothing / logits.shape[1]
    return (logits - target) / len(logits)


@unforeseen("smoothed_pull", "Yours is the right answer times 2")
def squared_error_habit(logits, labels, smoothing):
    return 2 * as_two_losses(logits, labels, smoothing)


# --- mended_accuracy ---


@right("mended_accuracy")
def with_a_decorator(network, images, labels, batch_size):
    were = [(m, m.training) for m in network.modules()]
    try:
        network.train(False)
        with torch.inference_mode():
            named = torch.cat(
                [
                    network(x).argmax(-1)
                    for x in torch.split(images, batch_size)
                ]
            )
    finally:
        for module, mode in were:
            module.training = mode
    return (named == labels).double().mean().item()


@right("mended_accuracy")
def weighted_means(network, images, labels, batch_size):
    were = {name: m.training for name, m in network.named_modules()}
    network.eval()
    total = 0.0
    with torch.no_grad():
        for i in range(0, len(images), batch_size):
            y = labels[i : i + batch_size]
            share = (
                (network(images[i : i + batch_size]).max(1).indices == y)
                .double()
                .mean()
            )
            total += float(share) * len(y)
    for name, m in network.named_modules():
        m.training = were[name]
    return torch.tensor(total / len(labels))


def any_accuracy(
    network,
    images,
    labels,
    batch_size,
    grad=False,
    restore=True,
    how="count",
    mode=False,
):
    were = {m: m.training for m in network.modules()}
    network.train(mode)
    shares, right_ones = [], 0
    with torch.set_grad_enabled(grad):
        for i in range(0, len(images), batch_size):
            y = labels[i : i + batch_size]
            hit = network(images[i : i + batch_size]).argmax(1) == y
            shares.append(hit.double().mean().item())
            right_ones += hit.sum().item()
    if restore:
        for m, t in were.items():
            m.training = t
    return {
        "count": right_ones / len(images),
        "means": sum(shares) / len(shares),
        "total": right_ones,
    }[how]


@wrong("mended_accuracy", "the network in eval mode")
def never_back(*a):
    return any_accuracy(*a, restore=False)


@wrong("mended_accuracy", "It records gradients")
def with_gradients(*a):
    return any_accuracy(*a, grad=True)


@wrong("mended_accuracy", "It is the mean of the batches' means")
def mean_of_means(*a):
    return any_accuracy(*a, how="means")


@wrong(
    "mended_accuracy", "a part of the network, which somebody had frozen"
)
def back_to_one_mode(network, *a):
    mode = network.training
    result = any_accuracy(network, *a, restore=False)
    network.train(mode)
    return result


@unforeseen("mended_accuracy", "The network in train mode".lower())
def always_back_to_train(network, *a):
    result = any_accuracy(network, *a, restore=False)
    network.train()
    return result


@unforeseen("mended_accuracy", "asks the network in train mode")
def in_train_mode(*a):
    return any_accuracy(*a, mode=True)


@unforeseen("mended_accuracy", "more than batch_size")
def all_at_once(network, images, labels, batch_size):
    return any_accuracy(network, images, labels, len(images))


@unforeseen("mended_accuracy", "What becomes of the last, smaller batch?")
def drops_the_last(network, images, labels, batch_size):
    whole = len(images) // batch_size * batch_size
    if whole == 0:
        return 0.0
    return any_accuracy(network, images[:whole], labels[:whole], batch_size)


@unforeseen("mended_accuracy", "It is the number of right answers")
def a_count(*a):
    return any_accuracy(*a, how="total")


@unforeseen("mended_accuracy", "returns a tensor of shape (3,)")
def of_each_class(network, images, labels, batch_size):
    any_accuracy(network, images, labels, batch_size)
    return torch.zeros(3)


@unforeseen("mended_accuracy", "whether PyTorch records gradients")
def gradients_off_for_all(network, images, labels, batch_size):
    torch.set_grad_enabled(False)
    return any_accuracy(network, images, labels, batch_size)
