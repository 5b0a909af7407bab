"""A third round: 72 more answers, made after the second had been mended. 69 were refused at once, all are now."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from tests.classroom.table import exact, unforeseen


@unforeseen(
    "reverse_kl_gradient", "Its result has shape (1, 4) instead of (2, 4)"
)
def keepdim_sum_all(z, q):
    return exact("reverse_kl_gradient")(z, q).sum(0, keepdim=True)


@unforeseen(
    "reverse_kl_gradient",
    "That is p - q, the pull of the paper's divergence, D_KL(peer",
)
def autograd_fwd(z, q):
    z = z.clone().requires_grad_()
    F.kl_div(
        z.log_softmax(1), q.softmax(1), reduction="batchmean"
    ).backward()
    return z.grad


@unforeseen("reverse_kl_gradient", "Two things at once")
def grad_wrt_target(z, q):
    q = q.clone().requires_grad_()
    F.kl_div(
        q.log_softmax(1), z.softmax(1), reduction="batchmean"
    ).backward()
    return q.grad


@unforeseen("reverse_kl_gradient", "It is right with two equal opinions")
def relu_gap(z, q):
    p = z.softmax(1)
    g = (z.log_softmax(1) - q.log_softmax(1)).relu()
    return p * (g - (p * g).sum(1, keepdim=True)) / len(z)


@unforeseen(
    "mended_step",
    "It is to return a tensor of shape (2,), but returns a list o",
)
def returns_list(networks, optimizers, images, labels):
    return exact("mended_step")(
        networks, optimizers, images, labels
    ).tolist()


@unforeseen("mended_step", "The peer is not detached")
def two_backward(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    out = []
    for k, o in enumerate(optimizers):
        L = F.cross_entropy(z[k], labels) + F.kl_div(
            z[k].log_softmax(1), z[1 - k].softmax(1), reduction="batchmean"
        )
        o.zero_grad()
        L.backward(retain_graph=True)
        o.step()
        out.append(L.detach())
    return torch.stack(out)


@unforeseen("mended_step", "It leaves peer 0 in eval mode")
def eval_at_end(networks, optimizers, images, labels):
    r = exact("mended_step")(networks, optimizers, images, labels)
    [n.eval() for n in networks]
    return r


@unforeseen(
    "mended_step",
    "Each peer's target is the average of both; it hears the other",
)
def ensemble_target(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    q = sum(x.detach().softmax(1) for x in z) / 2
    L = [
        F.cross_entropy(x, labels)
        + F.kl_div(x.log_softmax(1), q, reduction="batchmean")
        for x in z
    ]
    for o in optimizers:
        o.zero_grad()
    sum(L).backward()
    for o in optimizers:
        o.step()
    return torch.stack(L).detach()


@unforeseen(
    "mended_step",
    "The values are not right, and it is none of the usual mistak",
)
def double_ce(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    L = [
        2 * F.cross_entropy(x, labels)
        + F.kl_div(
            x.log_softmax(1),
            z[1 - k].detach().softmax(1),
            reduction="batchmean",
        )
        for k, x in enumerate(z)
    ]
    for o in optimizers:
        o.zero_grad()
    sum(L).backward()
    for o in optimizers:
        o.step()
    return torch.stack(L).detach()


@unforeseen("smoothed_pull", "Add up a row of yours")
def sigmoid(z, y, s):
    return (
        z.sigmoid() - (1 - s) * F.one_hot(y, z.shape[1]) - s / z.shape[1]
    ) / len(z)


@unforeseen(
    "smoothed_pull",
    "The values are not right, and it is none of the usual mistak",
)
def label_neg(z, y, s):
    y = (y - 1) % z.shape[1]
    return exact("smoothed_pull")(z, y, s)


@unforeseen("smoothed_pull", "It changes its argument `labels` in place")
def mut_labels(z, y, s):
    y += 0
    y[0] = 0
    return exact("smoothed_pull")(z, y, s)


@unforeseen("mended_accuracy", "It shows the network 3 of 5 images")
def skip_empty(n, x, y, b):
    return exact("mended_accuracy")(n, x[::2], y[::2], b)


@unforeseen(
    "mended_accuracy",
    "It leaves a part of the network, which somebody had frozen, ",
)
def no_restore_on_part(n, x, y, b):
    m = n.training
    n.train(False)
    with torch.no_grad():
        r = sum(
            (n(x[i : i + b]).argmax(1) == y[i : i + b]).sum().item()
            for i in range(0, len(x), b)
        ) / len(x)
    n.training = m
    return r


@unforeseen(
    "mended_accuracy",
    "It is right with batches that come out even; with batches of",
)
def dim0(n, x, y, b):
    m = {k: k.training for k in n.modules()}
    n.eval()
    with torch.no_grad():
        r = sum(
            (n(x[i : i + b]).argmax(0)[:1] == y[i : i + b]).sum().item()
            for i in range(0, len(x), b)
        ) / len(x)
    for k, v in m.items():
        k.training = v
    return r


@unforeseen("temperature_for_entropy", "It is nearly right")
def grid_linear(z, e):
    ts = torch.linspace(0.01, 10, 5000, dtype=torch.float64)
    h = [
        torch.special.entr((z.double() / q).softmax(1)).sum(1).mean()
        for q in ts
    ]
    return float(ts[min(range(len(h)), key=lambda i: abs(h[i] - e))])


@unforeseen("temperature_for_entropy", "A temperature is above 0")
def neg(z, e):
    return -exact("temperature_for_entropy")(z, e)


@unforeseen("temperature_for_entropy", "A temperature is above 0")
def log_t(z, e):
    return math.log(exact("temperature_for_entropy")(z, e))


@unforeseen(
    "temperature_for_entropy",
    "At the temperature that you return, the mean entropy is not ",
)
def batch_mean_logits(z, e):
    return exact("temperature_for_entropy")(z.mean(0, keepdim=True), e)


@unforeseen("mended_mimicry", "Two things at once")
def t_outside(z, q, T):
    return exact("mended_mimicry")(z, q, 1.0) / T * T * T


@unforeseen(
    "mended_mimicry",
    "It is right with two classes; with two equal opinions",
)
def clamp_p(z, q, T):
    a = (z / T).softmax(1).clamp_min(0.01).log()
    b = (q / T).softmax(1).detach()
    return T * T * F.kl_div(a, b, reduction="batchmean")


@unforeseen(
    "mended_mimicry",
    "Its value is right, but a gradient flows into `peer_logits`",
)
def self_t_detach(z, q, T):
    return (
        T
        * T
        * F.kl_div(
            (z.detach() / T).log_softmax(1),
            (q / T).softmax(1),
            reduction="batchmean",
        )
    )


@unforeseen(
    "mended_mimicry",
    "Yours is the right answer times 1/2, in every plain case",
)
def half(z, q, T):
    return 0.5 * exact("mended_mimicry")(z, q, T)


@unforeseen("mended_mimicry", "It is right with two equal opinions")
def top_only(z, q, T):
    a, b = (z / T).log_softmax(1), (q / T).log_softmax(1).detach()
    i = b.argmax(1, keepdim=True)
    return T * T * (b.exp() * (b - a)).gather(1, i).mean()


@unforeseen(
    "ensemble_distillation",
    "It is right with a single teacher; with weight 0, the labels",
)
def divide_k(s, q, y, T, w):
    return (1 - w) * F.cross_entropy(s, y) + w * T * T * sum(
        exact("ensemble_distillation")(s, x[None], y, T, 1.0) / T**2
        for x in q
    )


@unforeseen(
    "ensemble_distillation",
    "It is right with T = 1; with teachers so certain that a post",
)
def smooth_w(s, q, y, T, w):
    return w * F.cross_entropy(s, y) + w * (
        exact("ensemble_distillation")(s, q, y, T, 1.0)
    )


@unforeseen(
    "ensemble_distillation",
    "It raises an error (student_logits [[0.0, 0.0, 0.0]], teache",
)
def inplace_div(s, q, y, T, w):
    q /= T
    return exact("ensemble_distillation")(s, q * T, y, T, w)


@unforeseen(
    "mended_distillation_step",
    "The teacher's prediction records a graph that nobody needs, ",
)
def teacher_flag(st, th, op, x, y, T):
    for p in th.parameters():
        p.requires_grad_(False)
    q = th.eval()(x)
    z = st.train()(x)
    L = F.cross_entropy(z, y) + T * T * F.kl_div(
        (z / T).log_softmax(1), (q / T).softmax(1), reduction="batchmean"
    )
    op.zero_grad()
    L.backward()
    op.step()
    return L.item()


@unforeseen(
    "mended_distillation_step",
    "In all plain cases right: weights of the student, bias of th",
)
def after_update(st, th, op, x, y, T):
    r = exact("mended_distillation_step")(st, th, op, x, y, T)
    return r + 1


@unforeseen(
    "mended_distillation_step",
    "In all plain cases right: loss; wrong: weights of the studen",
)
def zero_none(st, th, op, x, y, T):
    with torch.no_grad():
        q = th.eval()(x)
    z = st.train()(x)
    L = F.cross_entropy(z, y) + T * T * F.kl_div(
        (z / T).log_softmax(1), (q / T).softmax(1), reduction="batchmean"
    )
    L.backward()
    op.zero_grad()
    op.step()
    return L.item()


@unforeseen("agreement_beyond_chance", "Each peer agrees fully with itself")
def softmax_agree(z):
    p = z.double().softmax(2)
    a = torch.einsum("knc,lnc->kl", p, p) / p.shape[1]
    f = p.mean(1)
    c = f @ f.T
    return (a - c) / (1 - c)


@unforeseen(
    "agreement_beyond_chance",
    "It is right with a single peer; with peers that never agree;",
)
def argmax_wrong(z):
    return exact("agreement_beyond_chance")(z.transpose(1, 2))


@unforeseen("agreement_beyond_chance", "Each peer agrees fully with itself")
def one_minus(z):
    return 1 - exact("agreement_beyond_chance")(z)


@unforeseen(
    "mended_report", "It is to return one number, but returns a str"
)
def strs(z, y):
    return tuple(f"{x:.2f}" for x in exact("mended_report")(z, y))


@unforeseen(
    "mended_report", "In all plain cases right: single; wrong: ensemble"
)
def mean_of_two(z, y):
    a, b = exact("mended_report")(z, y)
    return a, (a + b) / 2


@unforeseen(
    "mended_report", "In all plain cases right: single; wrong: ensemble"
)
def temp_avg(z, y):
    return exact("mended_report")(z, y)[0], (
        (z / 4).softmax(2).mean(0).argmax(1) == y
    ).double().mean().item()


@unforeseen("two_cliques", "Each row should sum to 1")
def no_self_norm(f, s):
    W = torch.zeros(f + s, f + s, dtype=torch.float64)
    W[:f, :f] = 1 / f
    W[f:, f:] = 1 / s
    W.fill_diagonal_(0)
    W[f - 1, f] = 1 / f
    W[f, f - 1] = 1 / s
    return W


@unforeseen("two_cliques", "Each row should sum to 1")
def symmetric(f, s):
    W = exact("two_cliques")(f, s)
    return (W + W.T) / 2


@unforeseen(
    "two_cliques", "It is right with two peers, each a clique of its own"
)
def two_bridges(f, s):
    W = (exact("two_cliques")(f, s) > 0).double()
    W[0, -1] = W[-1, 0] = 1
    return W / W.sum(1, keepdim=True)


@unforeseen("mended_dml_e", "A divergence is never below 0; yours is")
def geometric(z, k):
    o = torch.cat([z[:k], z[k + 1 :]]).detach().log_softmax(2).mean(0)
    return F.kl_div(z[k].log_softmax(1), o.exp(), reduction="batchmean")


@unforeseen(
    "mended_dml_e",
    "The values are not right, and it is none of the usual mistak",
)
def neg_k(z, k):
    return exact("mended_dml_e")(z, -1)


@unforeseen(
    "mended_dml_e",
    "Yours is never too small and often too large: something is c",
)
def sum_all_k(z, k):
    return sum(exact("mended_dml_e")(z, i) for i in range(len(z)))


@unforeseen("selective_mimicry", "It can not be below 0")
def both_dir(z, q, y):
    r = torch.arange(len(y))
    m = (q.softmax(1)[r, y] < z.softmax(1)[r, y]).to(z)
    d = F.kl_div(
        z.log_softmax(1), q.detach().softmax(1), reduction="none"
    ).sum(1)
    return ((1 - 2 * m) * d).mean()


@unforeseen(
    "selective_mimicry", "It is right with a peer that knows nothing better"
)
def right_class_only(z, q, y):
    r = torch.arange(len(y))
    a, b = z.log_softmax(1)[r, y], q.detach().log_softmax(1)[r, y]
    return (b.exp() * (b - a)).clamp_min(0).mean()


@unforeseen(
    "selective_mimicry", "It is right with a peer that knows all better"
)
def soft_mask(z, q, y):
    r = torch.arange(len(y))
    m = torch.sigmoid(50 * (q.softmax(1)[r, y] - z.softmax(1)[r, y]))
    return (
        m
        * F.kl_div(
            z.log_softmax(1), q.detach().softmax(1), reduction="none"
        ).sum(1)
    ).mean()


@unforeseen(
    "mended_output_width",
    "It returns 10 for a network with 7 outputs, with images with",
)
def const(n, c, s):
    return 10


@unforeseen(
    "mended_output_width",
    "Afterwards the network is in another mode than before, with ",
)
def deep_eval(n, c, s):
    n.eval()
    return n.head[1].out_features


@unforeseen("mended_output_width", "It changes the network")
def with_rng_fork(n, c, s):
    with torch.random.fork_rng():
        return n(
            torch.randn(2, c, s, s, dtype=next(n.parameters()).dtype)
        ).shape[1]


@unforeseen(
    "effective_alternatives",
    "It is right with two classes, where one alternative is left",
)
def renyi_inf(z):
    return 1 / z.sort(1).values[:, :-1].softmax(1).amax(1)


@unforeseen(
    "effective_alternatives",
    "It is right with two classes, where one alternative is left",
)
def batch_level(z):
    return exact("effective_alternatives")(z).mean().expand(len(z))


@unforeseen(
    "effective_alternatives",
    "It is right in the 4 plain cases, but not with networks so c",
)
def logits_minus(z):
    p = z.softmax(1)
    p = p / (1 - p.amax(1, keepdim=True))
    p = p.scatter(1, z.argmax(1, keepdim=True), 0)
    return torch.special.entr(p).sum(1).exp()


@unforeseen(
    "mended_rise",
    "It is right with scale 0; with a tensor of zeros, which stay",
)
def abs_rise(l, w, n, s):
    return sum(abs(exact("mended_rise")(l, w, [d], s)) for d in n) / len(n)


@unforeseen("mended_rise", "It is right with scale 0")
def ratio(l, w, n, s):
    return exact("mended_rise")(l, w, n, s) / float(l(w))


@unforeseen(
    "mended_rise",
    "It is right with a single direction of noise; with scale 0; ",
)
def loss_of_mean(l, w, n, s):
    m = [sum(d[i] for d in n) / len(n) for i in range(len(w))]
    return exact("mended_rise")(l, w, [m], s)


@unforeseen(
    "mended_rise",
    "It is right with a single direction of noise; with scale 0; ",
)
def var(l, w, n, s):
    r = [exact("mended_rise")(l, w, [d], s) for d in n]
    return float(np.median(r))


@unforeseen(
    "semi_supervised_loss",
    "Yours is never too small and often too large: something is c",
)
def nan_to0(z, q, y):
    m = y >= 0
    return torch.nan_to_num(F.cross_entropy(z[m], y[m])) + 2 * F.kl_div(
        z.log_softmax(1), q.detach().softmax(1), reduction="batchmean"
    )


@unforeseen(
    "semi_supervised_loss",
    "It is right with a batch in which all images have labels; wi",
)
def labelled_div_b_kl(z, q, y):
    m = y >= 0
    return F.nll_loss(
        z.log_softmax(1), y, ignore_index=-1, reduction="sum"
    ) / m.sum().clamp_min(1) + F.kl_div(
        z.log_softmax(1), q.detach().softmax(1), reduction="sum"
    ) / m.sum().clamp_min(1)


@unforeseen(
    "semi_supervised_loss",
    "It is right with a batch in which all images have labels; wi",
)
def zero_label(z, q, y):
    if (y < 0).any():
        return F.kl_div(
            z.log_softmax(1), q.detach().softmax(1), reduction="batchmean"
        )
    return exact("semi_supervised_loss")(z, q, y)


@unforeseen(
    "wrong_labels", "With another generator it gives the same labels"
)
def reseeds(y, c, s, g):
    g.manual_seed(1)
    return exact("wrong_labels")(y, c, s, g)


@unforeseen(
    "wrong_labels",
    "It changes the global random numbers of NumPy, and everybody",
)
def numpy_rng(y, c, s, g):
    o = y.clone()
    i = torch.tensor(np.random.permutation(len(y))[: round(s * len(y))])
    o[i] = (o[i] + 1) % c
    return o


@unforeseen(
    "wrong_labels",
    "752 of 1000 labels are wrong, and it should be exactly 250",
)
def sorted_labels(y, c, s, g):
    return exact("wrong_labels")(y.sort().values, c, s, g)


@unforeseen(
    "wrong_labels",
    "191 of 1000 labels are wrong, and it should be exactly 250",
)
def inclusive(y, c, s, g):
    o = y.clone()
    i = torch.randperm(len(y), generator=g)[: round(s * len(y))]
    o[i] = (y[i] + torch.randint(1, c + 1, (len(i),), generator=g)) % c
    return o


@unforeseen(
    "mended_comparison",
    "In all plain cases right: difference; wrong: standard error",
)
def ci(m, a):
    d, e = exact("mended_comparison")(m, a)
    return d, 2 * e


@unforeseen("mended_comparison", "It is right with a single epoch")
def best_by_alone(m, a):
    i = a.argmax(1, keepdim=True)
    return exact("mended_comparison")(m.gather(1, i), a.gather(1, i))


@unforeseen(
    "mended_comparison",
    "In all plain cases right: standard error; wrong: difference",
)
def median(m, a):
    g = (m - a)[:, -1]
    return g.median().item(), exact("mended_comparison")(m, a)[1]


@unforeseen(
    "truncated_average_precision",
    "It is right with depth 1; with a query without a good image,",
)
def interp(d, g, o, m):
    k = ~o
    h = g[k][d[k].argsort(stable=True)].double()[:m]
    p = h.cumsum(0) / torch.arange(1, len(h) + 1)
    p = p.flip(0).cummax(0).values.flip(0)
    return float((p * h).sum() / max(int(g.sum()), 1))


@unforeseen(
    "truncated_average_precision",
    "It is right with depth 1; with a query without a good image,",
)
def ndcg(d, g, o, m):
    k = ~o
    h = g[k][d[k].argsort(stable=True)].double()[:m]
    w = 1 / torch.log2(torch.arange(2, len(h) + 2))
    return float((h * w).sum() / max(int(g.sum()), 1))


@unforeseen(
    "truncated_average_precision",
    "It is right with a query without a good image, which has an ",
)
def mean_all(d, g, o, m):
    k = ~o
    h = g[k][d[k].argsort(stable=True)].double()[:m]
    return float((h.cumsum(0) / torch.arange(1, len(h) + 1)).mean())


@unforeseen(
    "mended_evaluate", "The values are right in 1 of 4 plain cases only"
)
def first_ap(d, qi, gi, qc, gc):
    a, b = exact("mended_evaluate")(d[:1], qi[:1], gi, qc[:1], gc)
    return a, b


@unforeseen(
    "mended_evaluate", "Junk (id -1) takes a rank and counts as wrong"
)
def junk_good(d, qi, gi, qc, gc):
    return exact("mended_evaluate")(
        d, qi, torch.where(gi == -1, torch.tensor(0), gi), qc, gc
    )


@unforeseen(
    "mended_evaluate",
    "You strike the same person by *another* camera, and keep the",
)
def cams_swapped(d, qi, gi, qc, gc):
    aps = []
    f = []
    for q in range(len(qi)):
        st = (gi == -1) | ((gi == qi[q]) & (gc != qc[q]))
        o = d[q].argsort(stable=True)
        h = (gi == qi[q])[o][~st[o]]
        if h.any():
            r = h.nonzero()[:, 0] + 1
            aps.append((torch.arange(1, len(r) + 1) / r).mean().item())
            f.append(float(h[0]))
    return (sum(aps) / len(aps), sum(f) / len(f)) if aps else (0.0, 0.0)


@unforeseen(
    "mended_evaluate", "In all plain cases right: rank-1; wrong: mAP"
)
def micro(d, qi, gi, qc, gc):
    a = [
        exact("mended_evaluate")(
            d[i : i + 1], qi[i : i + 1], gi, qc[i : i + 1], gc
        )
        for i in range(len(qi))
        if ((gi == qi[i]) & (gc != qc[i])).any()
    ]
    n = [
        int(((gi == qi[i]) & (gc != qc[i])).sum())
        for i in range(len(qi))
        if ((gi == qi[i]) & (gc != qc[i])).any()
    ]
    return sum(x[0] * k for x, k in zip(a, n, strict=True)) / sum(n), sum(
        x[1] for x in a
    ) / len(a)
