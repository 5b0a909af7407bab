"""A second round of answers, made when the checks were finished: is each refused for a reason that helps?

Two of them turned out to be right, in a way that is not obvious.
"""

import math

import torch
import torch.nn.functional as F
from tests.classroom.table import exact, right, unforeseen


# --- exercise 04 ---
@unforeseen("reverse_kl_gradient", "It is nearly right")
def eps_log(z, q):
    p = z.softmax(1)
    r = q.softmax(1)
    g = (p + 1e-8).log() - (r + 1e-8).log()
    return p * (g - (p * g).sum(1, keepdim=True)) / len(z)


@unforeseen("reverse_kl_gradient", "All is right but the last row")
def last_row_forgotten(z, q):
    o = exact("reverse_kl_gradient")(z, q).clone()
    o[-1] = 0
    return o


@unforeseen("reverse_kl_gradient", "Add up one row of yours")
def kl_batch_centre_sum(z, q):
    p = z.softmax(1)
    g = z.log_softmax(1) - q.log_softmax(1)
    return p * (g - (p * g).sum()) / len(z)


@right("reverse_kl_gradient")
def target_as_probs(z, q):
    p = z.softmax(1)
    g = z.log_softmax(1) - q
    return p * (g - (p * g).sum(1, keepdim=True)) / len(z)


@unforeseen("reverse_kl_gradient", "Add up one row of yours")
def centre_mean(z, q):
    p = z.softmax(1)
    g = z.log_softmax(1) - q.log_softmax(1)
    return p * (g - g.mean(1, keepdim=True)) / len(z)


@unforeseen("reverse_kl_gradient", "It is nearly right")
def half_prec(z, q):
    return exact("reverse_kl_gradient")(
        z.half().float(), q.half().float()
    ).to(z)


@unforeseen(
    "reverse_kl_gradient",
    "It is to return a tensor of shape (1, 3), but returns a NumPy array of shape (1, 3)",
)
def numpy_out(z, q):
    return exact("reverse_kl_gradient")(z, q).numpy()


@unforeseen("mended_step", "That is the squared distance of the logits")
def mse(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    L = []
    for k in (0, 1):
        L.append(
            F.cross_entropy(z[k], labels)
            + F.mse_loss(z[k], z[1 - k].detach())
        )
    for o in optimizers:
        o.zero_grad()
    sum(L).backward()
    for o in optimizers:
        o.step()
    return torch.stack(L).detach()


@unforeseen(
    "mended_step",
    "In all plain cases right: weights of peer 0, bias of peer 0, weights of peer 1, bias of pe",
)
def reversed_loss(networks, optimizers, images, labels):
    return exact("mended_step")(networks, optimizers, images, labels).flip(
        0
    )


@unforeseen(
    "mended_step",
    "In all plain cases right: losses; wrong: weights of peer 0, bias of peer 0, weights of pee",
)
def wrong_optimizer(networks, optimizers, images, labels):
    return exact("mended_step")(networks, optimizers[::-1], images, labels)


@unforeseen(
    "mended_step",
    "The posteriors are softened; the paper's peers speak at temperature 1",
)
def t2(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    L = []
    for k in (0, 1):
        L.append(
            F.cross_entropy(z[k], labels)
            + 4
            * F.kl_div(
                (z[k] / 2).log_softmax(1),
                (z[1 - k] / 2).softmax(1).detach(),
                reduction="batchmean",
            )
        )
    for o in optimizers:
        o.zero_grad()
    sum(L).backward()
    for o in optimizers:
        o.step()
    return torch.stack(L).detach()


@unforeseen("mended_step", "You have detached yourself instead of the peer")
def own_detached(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    L = []
    for k in (0, 1):
        L.append(
            F.cross_entropy(z[k], labels)
            + F.kl_div(
                z[k].detach().log_softmax(1),
                z[1 - k].softmax(1),
                reduction="batchmean",
            )
        )
    for o in optimizers:
        o.zero_grad()
    sum(L).backward()
    for o in optimizers:
        o.step()
    return torch.stack(L).detach()


@unforeseen(
    "mended_step",
    "In all plain cases right: weights of peer 0, bias of peer 0, weights of peer 1, bias of pe",
)
def only_ce_returned(networks, optimizers, images, labels):
    z = [n.train()(images) for n in networks]
    L = []
    C = []
    for k in (0, 1):
        C.append(F.cross_entropy(z[k], labels))
        L.append(
            C[-1]
            + F.kl_div(
                z[k].log_softmax(1),
                z[1 - k].softmax(1).detach(),
                reduction="batchmean",
            )
        )
    for o in optimizers:
        o.zero_grad()
    sum(L).backward()
    for o in optimizers:
        o.step()
    return torch.stack(C).detach()


# --- exercise 01 ---
@unforeseen("smoothed_pull", "It returns float32, and float64 is wanted")
def onehot_float(z, y, s):
    return (
        z.softmax(1)
        - (1 - s) * F.one_hot(y, z.shape[1]).float()
        - s / z.shape[1]
    ).float() / len(z)


@unforeseen(
    "smoothed_pull",
    "You smooth the posterior; it is the label that is smoothed",
)
def smooth_posterior(z, y, s):
    return (
        (1 - s) * z.softmax(1) + s / z.shape[1] - F.one_hot(y, z.shape[1])
    ) / len(z)


@unforeseen("smoothed_pull", "It is right with no smoothing at all")
def half_smooth(z, y, s):
    return exact("smoothed_pull")(z, y, s / 2)


@unforeseen(
    "smoothed_pull", "The right class has lost s, but nobody has got it"
)
def missing_even(z, y, s):
    return (z.softmax(1) - (1 - s) * F.one_hot(y, z.shape[1])) / len(z)


@unforeseen("mended_accuracy", "It is the mean of the batches' means")
def counts_batches(n, x, y, b):
    return (
        exact("mended_accuracy")(n, x, y, b)
        * len(x)
        / (math.ceil(len(x) / b) * b)
    )


@unforeseen(
    "mended_accuracy",
    "Yours is never too small and often too large: something is counted that should not be, or ",
)
def top2(n, x, y, b):
    m = {k: k.training for k in n.modules()}
    n.eval()
    with torch.no_grad():
        r = [
            (n(c).topk(2, 1).indices == d[:, None]).any(1)
            for c, d in zip(x.split(b), y.split(b), strict=True)
        ]
    for k, v in m.items():
        k.training = v
    return torch.cat(r).double().mean().item()


@unforeseen("mended_accuracy", "It is right with batches of one image")
def rounded(n, x, y, b):
    return round(exact("mended_accuracy")(n, x, y, b), 1)


@unforeseen("mended_accuracy", "It changes the network")
def freezes(n, x, y, b):
    r = exact("mended_accuracy")(n, x, y, b)
    for p in n.parameters():
        p.requires_grad_(False)
    return r


# --- exercise 02 ---
@unforeseen(
    "temperature_for_entropy",
    "It is right in the 4 plain cases, but not with logits in the ten thousands, where many p a",
)
def newton_few(z, e):
    lo, hi = 1e-4, 1e6
    for _ in range(20):
        m = (lo * hi) ** 0.5
        p = (z.double() / m).softmax(1)
        h = torch.special.entr(p).sum(1).mean()
        lo, hi = (m, hi) if h < e else (lo, m)
    return m


@unforeseen(
    "temperature_for_entropy",
    "At the temperature that you return, the mean entropy is not the one that was asked for",
)
def first_image(z, e):
    return exact("temperature_for_entropy")(z[:1], e)


@unforeseen(
    "temperature_for_entropy",
    "At the temperature that you return, the mean entropy is not the one that was asked for",
)
def median_ent(z, e):
    return sorted(exact("temperature_for_entropy")(x[None], e) for x in z)[
        len(z) // 2
    ]


@unforeseen(
    "temperature_for_entropy",
    "It is right in the 4 plain cases, but not with logits in the ten thousands, where many p a",
)
def naive_log(z, e):
    lo, hi = math.log(1e-4), math.log(1e6)
    for _ in range(80):
        m = (lo + hi) / 2
        p = (z.double() / math.exp(m)).softmax(1)
        h = -(p * p.log()).sum(1).mean()
        lo, hi = (m, hi) if h < e else (lo, m)
    return math.exp(m)


@unforeseen(
    "mended_mimicry",
    "The softmax runs over the images instead of the classes (dim=0)",
)
def softmax0(z, q, T):
    return (
        T
        * T
        * F.kl_div(
            (z / T).log_softmax(0),
            (q / T).softmax(0).detach(),
            reduction="batchmean",
        )
    )


@unforeseen(
    "mended_mimicry",
    "That is the Jensen-Shannon divergence, from the middle between the two",
)
def js(z, q, T):
    a, b = (z / T).softmax(1), (q / T).softmax(1).detach()
    m = (a + b) / 2
    return (
        T
        * T
        * ((a * (a / m).log()).sum(1) + (b * (b / m).log()).sum(1)).mean()
        / 2
    )


@unforeseen("mended_mimicry", "That is the cross-entropy to the peer")
def ce_only(z, q, T):
    return (
        T
        * T
        * -((q / T).softmax(1).detach() * (z / T).log_softmax(1))
        .sum(1)
        .mean()
    )


@unforeseen("mended_mimicry", "It is right with two equal opinions")
def absd(z, q, T):
    return (
        T
        * T
        * (
            (q / T).softmax(1).detach()
            * (
                (q / T).log_softmax(1).detach() - (z / T).log_softmax(1)
            ).abs()
        )
        .sum(1)
        .mean()
    )


@unforeseen(
    "mended_mimicry",
    "It is right in the 4 plain cases, but not with logits of ±10 000, at which a plain exp() o",
)
def eps(z, q, T):
    a, b = (z / T).softmax(1), (q / T).softmax(1).detach()
    return (
        T * T * (b * ((b + 1e-12).log() - (a + 1e-12).log())).sum(1).mean()
    )


@unforeseen(
    "mended_mimicry",
    "Its value is right, but its gradient for `logits` is not",
)
def through_numpy(z, q, T):
    return torch.tensor(
        exact("mended_mimicry")(z, q, T).item(),
        dtype=z.dtype,
        requires_grad=True,
    )


# --- exercise 03 ---
@unforeseen("ensemble_distillation", "The factor is T; it should be T^2")
def t_once(s, q, y, T, w):
    return (1 - w) * F.cross_entropy(s, y) + w * T * (
        exact("ensemble_distillation")(s, q, y, T, 1.0) / T**2
    )


@unforeseen(
    "ensemble_distillation",
    "The softmax runs over the teachers instead of the classes",
)
def mean_axis_wrong(s, q, y, T, w):
    m = (q.detach() / T).softmax(0).mean(0)
    o = (s / T).log_softmax(1)
    return (1 - w) * F.cross_entropy(s, y) + w * T * T * (
        torch.xlogy(m, m) - m * o
    ).sum(1).mean()


@unforeseen(
    "ensemble_distillation",
    "For each class you take the surest teacher; it is the mean over the teachers",
)
def max_teacher(s, q, y, T, w):
    m = (q.detach() / T).softmax(2).amax(0)
    m = m / m.sum(1, keepdim=True)
    o = (s / T).log_softmax(1)
    return (1 - w) * F.cross_entropy(s, y) + w * T * T * (
        torch.xlogy(m, m) - m * o
    ).sum(1).mean()


@unforeseen(
    "ensemble_distillation", "That is the cross-entropy to the teachers"
)
def ce_teacher(s, q, y, T, w):
    m = (q.detach() / T).softmax(2).mean(0)
    o = (s / T).log_softmax(1)
    return (1 - w) * F.cross_entropy(s, y) - w * T * T * (m * o).sum(
        1
    ).mean()


@unforeseen(
    "mended_distillation_step",
    "T^2 stands before the labels' part as well; it belongs to the divergence alone",
)
def t2_on_all(st, th, op, x, y, T):
    with torch.no_grad():
        q = th.eval()(x)
    z = st.train()(x)
    L = (
        T
        * T
        * (
            F.cross_entropy(z, y)
            + F.kl_div(
                (z / T).log_softmax(1),
                (q / T).softmax(1),
                reduction="batchmean",
            )
        )
    )
    op.zero_grad()
    L.backward()
    op.step()
    return L.item()


@unforeseen(
    "mended_distillation_step",
    "The labels' part is computed at temperature T; there the student speaks at T = 1",
)
def warm_ce(st, th, op, x, y, T):
    with torch.no_grad():
        q = th.eval()(x)
    z = st.train()(x) / T
    L = F.cross_entropy(z, y) + T * T * F.kl_div(
        z.log_softmax(1), (q / T).softmax(1), reduction="batchmean"
    )
    op.zero_grad()
    L.backward()
    op.step()
    return L.item()


@unforeseen(
    "mended_distillation_step",
    "The optimizer makes 0 steps on this batch instead of one",
)
def never_steps(st, th, op, x, y, T):
    with torch.no_grad():
        q = th.eval()(x)
    z = st.train()(x)
    L = F.cross_entropy(z, y) + T * T * F.kl_div(
        (z / T).log_softmax(1), (q / T).softmax(1), reduction="batchmean"
    )
    op.zero_grad()
    L.backward()
    return L.item()


# --- exercise 05 ---
@unforeseen("agreement_beyond_chance", "It is right with a single peer")
def chance_wo_sum(z):
    n = F.one_hot(z.argmax(2), z.shape[2]).double()
    a = torch.einsum("knc,lnc->kl", n, n) / n.shape[1]
    f = n.mean(1)
    c = (f @ f.T) / z.shape[2]
    return (a - c) / (1 - c)


@unforeseen(
    "agreement_beyond_chance",
    "For chance you take mean posteriors; count the names that the peers give",
)
def posterior_chance(z):
    n = F.one_hot(z.argmax(2), z.shape[2]).double()
    a = torch.einsum("knc,lnc->kl", n, n) / n.shape[1]
    f = z.double().softmax(2).mean(1)
    c = f @ f.T
    return (a - c) / (1 - c)


@unforeseen("agreement_beyond_chance", "It should be symmetric")
def upper_only(z):
    return exact("agreement_beyond_chance")(z).triu()


@unforeseen(
    "agreement_beyond_chance",
    "It is right in the 4 plain cases, but not with peers that never agree",
)
def clampd(z):
    return exact("agreement_beyond_chance")(z).clamp_min(0)


@unforeseen(
    "mended_report", "In all plain cases right: ensemble; wrong: single"
)
def worst(z, y):
    return (
        (z.argmax(2) == y).double().mean(1).median().item(),
        exact("mended_report")(z, y)[1],
    )


@unforeseen("mended_report", "The ensemble is the first peer alone")
def ens_first(z, y):
    return (
        exact("mended_report")(z, y)[0],
        (z[0].argmax(1) == y).double().mean().item(),
    )


@unforeseen("mended_report", "You count an image if any peer is right")
def any_right(z, y):
    return (
        exact("mended_report")(z, y)[0],
        (z.argmax(2) == y).any(0).double().mean().item(),
    )


# --- exercise 06 ---
@unforeseen("two_cliques", "The columns sum to 1")
def bridge_extra(f, s):
    W = exact("two_cliques")(f, s).clone()
    return W.T.contiguous()


@unforeseen("two_cliques", "Each row should sum to 1")
def eps_rows(f, s):
    return exact("two_cliques")(f, s) * 0.99


@unforeseen(
    "two_cliques",
    "`first` and `second` have changed places in your formula",
)
def disjoint_swapped(f, s):
    return exact("two_cliques")(s, f)


@unforeseen(
    "two_cliques",
    "It is right with a first clique of one peer; with two peers, each a clique of its own",
)
def bridging_clique(f, s):
    k = f + s
    W = torch.zeros(k, k, dtype=torch.float64)
    W[: f + 1, : f + 1] = 1
    W[f:, f:] = 1
    W.fill_diagonal_(0)
    return W / W.sum(1, keepdim=True)


@unforeseen("mended_dml_e", "You average logits")
def weights_by_k(z, k):
    q = torch.cat([z[:k], z[k + 1 :]]).detach()
    q = q.log_softmax(2).mean(0).softmax(1)
    o = z[k].log_softmax(1)
    return (torch.xlogy(q, q) - q * o).sum(1).mean()


@unforeseen(
    "mended_dml_e",
    "Yours is never too small and often too large: something is counted that should not be, or ",
)
def wrong_k(z, k):
    return exact("mended_dml_e")(z.roll(1, 0), k)


@unforeseen("mended_dml_e", "It is right with two peers")
def max_over(z, k):
    o = z[k].log_softmax(1)
    return torch.stack(
        [
            F.kl_div(o, x.detach().softmax(1), reduction="batchmean")
            for i, x in enumerate(z)
            if i != k
        ]
    ).max()


# --- exercise 07 ---
@unforeseen(
    "selective_mimicry",
    "You weigh by how much better the peer knows; an image counts in full or not at all",
)
def weight_instead(z, q, y):
    r = torch.arange(len(y))
    d = (q.softmax(1)[r, y] - z.softmax(1)[r, y]).clamp_min(0).detach()
    return (
        d
        * F.kl_div(
            z.log_softmax(1), q.detach().softmax(1), reduction="none"
        ).sum(1)
    ).mean()


@unforeseen(
    "selective_mimicry",
    "You decide once for the whole batch; it is decided for each image",
)
def whole_batch_decides(z, q, y):
    if F.cross_entropy(q, y) < F.cross_entropy(z, y):
        return F.kl_div(
            z.log_softmax(1), q.detach().softmax(1), reduction="batchmean"
        )
    return z.sum() * 0


@unforeseen("selective_mimicry", "You compare logits")
def logits_compared(z, q, y):
    r = torch.arange(len(y))
    m = (q[r, y] > z[r, y]).to(z)
    return (
        m
        * F.kl_div(
            z.log_softmax(1), q.detach().softmax(1), reduction="none"
        ).sum(1)
    ).mean()


@unforeseen(
    "mended_output_width",
    "Afterwards other weights of the network learn than before (`requires_grad`)",
)
def sets_flag(n, c, s):
    w = exact("mended_output_width")(n, c, s)
    n.requires_grad_(False)
    return w


@unforeseen(
    "mended_output_width",
    "It changes the global random numbers of PyTorch, and everybody else in the program would n",
)
def seeds(n, c, s):
    torch.manual_seed(0)
    return exact("mended_output_width")(n, c, s)


@unforeseen("mended_output_width", "It changes the network")
def resets(n, c, s):
    w = exact("mended_output_width")(n, c, s)
    for m in n.modules():
        if hasattr(m, "reset_running_stats"):
            m.reset_running_stats()
    return w


@unforeseen(
    "mended_output_width",
    "It is to return a whole number, an int, but returns float with a network in train mode",
)
def float_w(n, c, s):
    return float(exact("mended_output_width")(n, c, s))


# --- exercise 08 ---
@unforeseen("effective_alternatives", "It is at least 1")
def count_thr(z):
    return (z.softmax(1) > 0.05).sum(1).to(z) - 1


@unforeseen("effective_alternatives", "It is at least 1")
def minus1(z):
    return torch.special.entr(z.softmax(1)).sum(1).exp() - 1


@unforeseen(
    "effective_alternatives",
    "Two classes are struck out; it is the first choice alone",
)
def two_removed(z):
    return (
        torch.special.entr(z.sort(1).values[:, :-2].softmax(1)).sum(1).exp()
        if z.shape[1] > 2
        else torch.ones(len(z), dtype=z.dtype)
    )


@unforeseen(
    "effective_alternatives", "You raise 2 to the entropy; in nats it is e"
)
def pow2(z):
    return 2 ** (exact("effective_alternatives")(z).log())


@unforeseen("mended_rise", "It is right with scale 0")
def antithetic(loss, w, n, s):
    return (
        exact("mended_rise")(loss, w, n, s)
        + exact("mended_rise")(loss, w, n, -s)
    ) / 2


@unforeseen(
    "mended_rise",
    "The directions have been scaled to length 1; use them as they are",
)
def normed_noise(loss, w, n, s):
    return exact("mended_rise")(
        loss, w, [[e / e.norm() for e in d] for d in n], s
    )


@unforeseen(
    "mended_rise",
    "You measure by the mean of |w|; it is the root of the mean of its squares",
)
def meanabs(loss, w, n, s):
    return sum(
        float(
            loss(
                [
                    a + s * a.abs().mean() * e
                    for a, e in zip(w, d, strict=True)
                ]
            )
        )
        - float(loss(w))
        for d in n
    ) / len(n)


@unforeseen(
    "mended_rise",
    "Each number is shaken by its own size; it is the size of its whole tensor",
)
def elementwise(loss, w, n, s):
    return sum(
        float(
            loss([a + s * a.abs() * e for a, e in zip(w, d, strict=True)])
        )
        - float(loss(w))
        for d in n
    ) / len(n)


# --- exercise 09 ---
@unforeseen(
    "semi_supervised_loss",
    "It is right in the 4 plain cases, but not with a batch without any label",
)
def masked_mean(z, q, y):
    m = y >= 0
    return F.cross_entropy(z[m], y[m]) + F.kl_div(
        z.log_softmax(1), q.detach().softmax(1), reduction="batchmean"
    )


@unforeseen(
    "semi_supervised_loss",
    "The two parts are weighed by their shares of images; each has the weight 1",
)
def wt(z, q, y):
    m = y >= 0
    f = m.double().mean().to(z)
    return (
        f
        * (
            exact("semi_supervised_loss")(z, q, y)
            - (
                k := F.kl_div(
                    z.log_softmax(1),
                    q.detach().softmax(1),
                    reduction="batchmean",
                )
            )
        )
        + (1 - f) * k
    )


@unforeseen(
    "semi_supervised_loss",
    "Images without a label get the peer's first choice for one; here they have none",
)
def pseudo(z, q, y):
    yy = torch.where(y >= 0, y, q.argmax(1))
    return F.cross_entropy(z, yy) + F.kl_div(
        z.log_softmax(1), q.detach().softmax(1), reduction="batchmean"
    )


@unforeseen(
    "wrong_labels",
    "192 of 1000 labels are wrong, and it should be exactly 250",
)
def swap_labels(y, c, s, g):
    o = y.clone()
    i = torch.randperm(len(y), generator=g)[: round(s * len(y))]
    o[i] = y[i][torch.randperm(len(i), generator=g)]
    return o


@unforeseen(
    "wrong_labels",
    "224 of 1000 labels are wrong, and it should be exactly 250",
)
def uses_len(y, c, s, g):
    o = y.clone()
    i = torch.randint(len(y), (round(s * len(y)),), generator=g)
    o[i] = (y[i] + torch.randint(1, c, (len(i),), generator=g)) % c
    return o


@unforeseen(
    "wrong_labels",
    "Of 63 labels 0 that were made wrong 63 became 3; with 3 wrong classes alike it would be ab",
)
def same_shift(y, c, s, g):
    o = y.clone()
    i = torch.randperm(len(y), generator=g)[: round(s * len(y))]
    o[i] = (y[i] + int(torch.randint(1, c, (1,), generator=g))) % c
    return o


@unforeseen(
    "mended_comparison",
    "The gain is divided by the baseline; wanted is the plain difference",
)
def relative(m, a):
    d, e = exact("mended_comparison")(m, a)
    return d / float(a[:, -1].mean()), e


@unforeseen(
    "mended_comparison",
    "You take the mean of the last epochs; the last one alone counts",
)
def last3(m, a):
    return exact("mended_comparison")(
        m[:, -3:].mean(1, keepdim=True), a[:, -3:].mean(1, keepdim=True)
    )


@unforeseen(
    "mended_comparison",
    "In all plain cases right: difference; wrong: standard error",
)
def shuffledpairs(m, a):
    return exact("mended_comparison")(m.sort(0).values, a.sort(0).values)


@unforeseen("mended_comparison", "That is the square of the standard error")
def variance(m, a):
    d, e = exact("mended_comparison")(m, a)
    return d, e * e


# --- exercise 11 ---
@unforeseen(
    "truncated_average_precision",
    "What is left out counts as good in yours",
)
def good_and_out(d, g, o, m):
    return exact("truncated_average_precision")(
        d, g | o, torch.zeros_like(o), m
    )


@unforeseen(
    "truncated_average_precision", "Your list is one image too short"
)
def depth_minus(d, g, o, m):
    return (
        exact("truncated_average_precision")(d, g, o, m - 1)
        if m > 1
        else 0.0
    )


@unforeseen(
    "truncated_average_precision",
    "That is 1 over the rank of the first good image; average precision goes over all of them",
)
def reciprocal(d, g, o, m):
    h = g[d.argsort(stable=True)][~o[d.argsort(stable=True)]][:m]
    return 1 / (int(h.nonzero()[0]) + 1) if h.any() else 0.0


@unforeseen(
    "truncated_average_precision",
    "Each good image gives 1 / r; it gives k / r, the k-th of them",
)
def one_over_r(d, g, o, m):
    h = g[d.argsort(stable=True)][~o[d.argsort(stable=True)]][:m]
    r = h.nonzero().flatten() + 1
    return float((1 / r).sum() / max(int(g.sum()), 1))


@right("mended_evaluate")
def id_only_excl(d, qi, gi, qc, gc):
    return exact("mended_evaluate")(
        d, qi, gi, qc, torch.where(gi == 0, qc[0], gc)
    )


@unforeseen(
    "mended_evaluate", "In all plain cases right: rank-1; wrong: mAP"
)
def pooled(d, qi, gi, qc, gc):
    _, b = exact("mended_evaluate")(d, qi, gi, qc, gc)
    return b, b


@unforeseen(
    "mended_evaluate", "In all plain cases right: mAP; wrong: rank-1"
)
def top5(d, qi, gi, qc, gc):
    a, _ = exact("mended_evaluate")(d, qi, gi, qc, gc)
    return a, 1.0


@unforeseen(
    "mended_evaluate", "The same person by the same camera counts as good"
)
def cam_ignored_and_junk_match(d, qi, gi, qc, gc):
    return exact("mended_evaluate")(d, qi, gi, qc, torch.full_like(gc, 99))
