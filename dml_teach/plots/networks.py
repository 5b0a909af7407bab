"""Figures of networks under examination: reliability, flatness, teachers and their students."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from dml_teach.analysis.calibration import BINS, ece, reliability
from dml_teach.analysis.distillation import Transfer
from dml_teach.errors import ConfigError
from dml_teach.plots.figure import COLOURS, DASHES, GREY, MARKERS, Plot, blank, empty, style


def calibration(named: Mapping[str, Tensor], labels: Tensor, bins: int = BINS) -> Plot:
    """Reliability diagrams side by side: accuracy against confidence, and below how many images have that confidence.

    Args:
        named: label -> logits (N, C) of a network, or of an ensemble (`metrics.ensemble`).
        labels: (N,).
        bins: of confidence, as in `analysis.calibration.reliability`.
    """
    figure = empty(3.1 * len(named) + 0.3, 4.2)
    axes = figure.subplots(2, len(named), squeeze=False, height_ratios=(3, 1), sharex=True, sharey="row")
    centres, words = [(b + 0.5) / bins for b in range(bins)], []
    for n, (label, logits) in enumerate(named.items()):
        above, below = axes[:, n]
        images, confidence, accuracy = reliability(logits, labels, bins)
        colour = COLOURS[n % len(COLOURS)]
        above.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), label="as sure as right")
        above.bar(centres, accuracy.nan_to_num(0).numpy(), 0.94 / bins, color=colour, alpha=0.85, label="accuracy")
        gap = (confidence - accuracy).nan_to_num(0)
        above.bar(
            centres, gap.numpy(), 0.94 / bins, bottom=accuracy.nan_to_num(0).numpy(), label="gap to confidence",
            facecolor="none", edgecolor="black", linewidth=0.6, hatch="////", alpha=0.55,
        )  # fmt: skip
        below.bar(centres, (100 * images / images.sum()).numpy(), 0.94 / bins, color=colour)
        error = float(ece(logits, labels, bins))
        above.set(title=f"{label}\nECE {100 * error:.1f} %", xlim=(0, 1), ylim=(0, 1))
        below.set(xlabel="Confidence")
        for ax in (above, below):
            style(ax)
        says, is_right = (float((images * x.nan_to_num(0)).sum() / images.sum()) for x in (confidence, accuracy))
        words.append(f"{label}: says {100 * says:.1f} %, is right in {100 * is_right:.1f} %, ECE {100 * error:.1f} %")
    axes[0, 0].set(ylabel="Accuracy")
    axes[1, 0].set(ylabel="Images (%)")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    return Plot(figure, "Reliability: accuracy against confidence, and how often each occurs.", f"{'; '.join(words)}.")


def flatness(named: Mapping[str, Tensor], scales: Sequence[float]) -> Plot:
    """Rise of the loss under noise on the parameters: mean over the draws, and a band of one standard deviation.

    Args:
        named: label -> losses (S, D) of `analysis.flatness.loss_under_noise`.
        scales: the S scales, the first 0: the rise is counted from there.
    """
    if not scales or scales[0] != 0:
        raise ConfigError(f"scales = {list(scales)}: the first must be 0, from which the rise is counted")
    figure, axes = blank(1)
    words = []
    for n, (label, losses) in enumerate(named.items()):
        rise, colour = losses - losses[0], COLOURS[n % len(COLOURS)]
        mean = rise.mean(dim=1)
        axes[0].plot(
            scales, mean.numpy(), label=label, linewidth=2, markersize=6, color=colour,
            linestyle=DASHES[n % len(DASHES)], marker=MARKERS[n % len(MARKERS)],
        )  # fmt: skip
        if losses.shape[1] > 1:
            spread = rise.std(dim=1)
            axes[0].fill_between(
                scales, (mean - spread).numpy(), (mean + spread).numpy(), color=colour, alpha=0.15, linewidth=0
            )
        words.append(f"{label}: {mean[-1]:+.3f} nats")
    axes[0].axhline(0, color=GREY, linewidth=1)
    axes[0].set(xlabel="Noise, relative to each tensor's root mean square", ylabel="Rise of the loss (nats)")
    axes[0].legend(frameon=False)
    finding = f"At scale {scales[-1]:g} {'; '.join(words)}."
    return Plot(figure, "Rise of the loss under Gaussian noise on the parameters.", finding)


def transfers(named: Mapping[str, Transfer]) -> Plot:
    """Students by their teachers: each student's gap in NLL against its teacher's sharpness and against its divergence.

    Args:
        named: label -> what `analysis.distillation.transfer` measured of a teacher and its student.
    """
    figure, axes = blank(2, width=3.6, height=3.3)
    for n, (label, found) in enumerate(named.items()):
        colour, marker = COLOURS[n % len(COLOURS)], MARKERS[n % len(MARKERS)]
        for ax, x in zip(axes, (found.sharpness, found.divergence), strict=True):
            ax.plot([x], [found.student.nll], marker, color=colour, markersize=9, label=label)
    axes[0].set(xlabel="Teacher's sharpness (nats)", ylabel="Student's gap in NLL (nats)")
    axes[1].set(xlabel="Divergence from the teacher (nats)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
    words = [
        f"{label}: sharpness {found.sharpness:.3f}, divergence {found.divergence:.3f}, gap {found.student.nll:.3f}"
        for label, found in named.items()
    ]
    subject = "Students' generalisation gap against their teachers' sharpness and against their divergence from them."
    return Plot(figure, subject, f"{'; '.join(words)}.")
