"""The loop of a run: steps, epochs, records, and checkpoints from which it goes on to the bit.

What the peers do to each other in a step is `cohort.Cohort.step`. What the loop adds is bookkeeping, none of which
waits for the device at every step: losses are summed there and read every `CHECK_EVERY` steps, when it is also seen
whether they are still finite.

A checkpoint holds all that the next step depends on: every peer's parameters, buffers and optimizer state; the states
of all generators, and with them the running epoch's order and position; the epoch's sums so far. The lines of
metrics.jsonl and the posteriors stay in the run folder, which is cut back to the checkpoint when the run goes on.

On several ranks (`distributed`) every one of them runs this loop on the same batches, with the peers that live there.
The first rank writes the folder, from what it is sent; all of them stop and save after the same step, which they agree
on about once a second.
"""

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from dml_teach import checkpoint, interrupts, runs, seeds, topology
from dml_teach.checkpoint import Checkpoint
from dml_teach.cohort import WHOLE, Cohort, StepReport
from dml_teach.data.batches import Batches
from dml_teach.data.images import ImageSet
from dml_teach.data.retrieval import TestSet
from dml_teach.devices import peers_side_by_side
from dml_teach.distributed import Mesh
from dml_teach.errors import DivergedError, Interrupted
from dml_teach.evaluation import compare, examine, predict_all
from dml_teach.recipes import Recipe, learning_rate, mimicry_weight, sizes
from dml_teach.tensorboard import Events

CHECK_EVERY = 32  # steps: rarely enough for a GPU to run ahead, soon enough to stop a run that has diverged
CHECKPOINT_SECONDS = 300.0
AGREE_SECONDS = 1.0  # between two words of all ranks on whether to save or to stop, if there are so many steps
FOLDER = "checkpoints"
ROWS = StepReport._fields
TOTAL = ROWS.index("total")
LABELLED = ("supervised", "top1")  # means over the images that have a label; the others over all


@dataclass
class Training:
    """A run under way: what it trains with, and how far it has come.

    Attributes:
        folder: the run's.
        config: what config.json says.
        cohort: the peers.
        batches: of the training images.
        recipe: all hyper-parameters.
        held_out: the probe images.
        test: the test images, or the test of retrieval.
        mesh: the ranks that train, and this one's device.
        partners: draws each peer's teacher of a step where the recipe wants a single one.
        checkpoint_seconds: a checkpoint is due after so many seconds, and after every epoch; None writes none.
        events: repeats every record for TensorBoard.
        epoch, step: how many are finished.
        sums, seen: the running epoch's step reports (R, K), each row times the images that it is a mean over, and how
            many these were, (R, 1).
        seconds: the running epoch's time so far.
        posteriors: of the probe images after each epoch, E times (K, N, C).
        digests: of what each epoch left in the run folder.
    """

    folder: Path
    config: dict[str, Any]
    cohort: Cohort
    batches: Batches
    recipe: Recipe
    held_out: ImageSet
    test: TestSet
    mesh: Mesh
    partners: torch.Generator
    checkpoint_seconds: float | None = CHECKPOINT_SECONDS
    events: Events | None = None
    epoch: int = 0
    step: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros(()))
    seen: Tensor = field(default_factory=lambda: torch.zeros(()))
    seconds: float = 0.0
    posteriors: list[Tensor] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def run(self, found: Checkpoint | None = None, *, parallel: bool, progress: bool) -> None:
        """Train to the end, from the start of a new run or from a checkpoint.

        Args:
            found: where to go on; None begins, and makes the folder a run with its config.json.
            parallel: see `trainer.fit`.
            progress: see `trainer.fit`.

        Raises:
            CheckpointError: the checkpoint is not of this run, or a new one can not be written.
            DivergedError: a loss or a weight is not finite.
            Interrupted: SIGINT or SIGTERM came and checkpoints are on; one has been written.
        """
        self._recent: list[Tensor] = []  # reports of the steps since the last look at the sums
        self._saved = time.monotonic()
        self._signal, self._next_word, self._last_word = 0, self.step + 1, (self.step, time.monotonic())
        signals: AbstractContextManager[list[int]] = interrupts.noted()
        if self.checkpoint_seconds is None:
            signals = nullcontext([])  # without a checkpoint there is no good moment to stop
        self._matrix = self.cohort.topology
        self._of_labelled = torch.tensor([[row in LABELLED] for row in ROWS], device=self.mesh.device)
        # Gradients of two peers that are averaged at once, in two threads, could wait for each other.
        side_by_side = len(self.cohort.here) if parallel and self.mesh.along is None else 1
        with (
            peers_side_by_side(side_by_side, self.mesh.device) as self.cohort.run,
            signals as self._signals,
        ):
            if found is None:
                self.save()
                if self.mesh.leader:
                    runs.write_config(self.folder, self.config)
            else:
                self.load(found)
            self._tell()
            steps = self.recipe.epochs * len(self.batches)
            hidden = not (progress and self.mesh.leader)
            with tqdm(total=steps, initial=self.step, unit="step", disable=hidden) as bar:
                while self.epoch < self.recipe.epochs:
                    self._train_epoch(bar)
            self._finish()

    def _train_epoch(self, bar: tqdm) -> None:
        """The steps of the epoch that are still to be done, and its record."""
        started = time.perf_counter() - self.seconds
        for batch in self.batches:
            self._follow_schedule(self.epoch + (self.step - self.epoch * len(self.batches)) / len(self.batches))
            shard = self.mesh.split(*batch)
            labels, share = shard[1], shard[3] if len(shard) == 4 else WHOLE
            report = torch.stack(self.cohort.step(*shard))
            counts = torch.where(self._of_labelled, (labels >= 0).sum(), len(labels)).to(report)  # (R, 1)
            counts[TOTAL] = len(labels) / share.images  # what a peer descends has its share in it
            report = report * counts
            self.sums, self.seen = self.sums.to(report) + report, self.seen.to(report) + counts
            self.step += 1
            self._recent.append(report)
            if len(self._recent) == CHECK_EVERY:
                self._check()
            bar.update()
            self.seconds = time.perf_counter() - started
            if self._asked():
                self.save()
                self._stop_if_asked()
        self._check()
        self._record(started, bar)
        self.epoch, self.sums, self.seen, self.seconds = self.epoch + 1, torch.zeros(()), torch.zeros(()), 0.0
        self._next_word = self.step
        self._asked()
        self.save()
        self._stop_if_asked()

    def _follow_schedule(self, epoch: float) -> None:
        """Learning rate, mimicry weight and partners at `epoch` epochs into the run."""
        if self.recipe.partners == "one":
            self.cohort.rewire(topology.draw_partners(self._matrix, self.partners))
        rate, weight = learning_rate(self.recipe, epoch), mimicry_weight(self.recipe, epoch)
        for k in self.cohort.learning:
            self.cohort.peers[k].mimicry_weight = weight
            for group in self.cohort.peers[k].optimizer.param_groups:  # type: ignore[union-attr]
                group["lr"] = rate

    def _record(self, started: float, bar: tqdm) -> None:
        """Compare the peers on the probe images and write the epoch down."""
        logits = predict_all(self.cohort, self.held_out, self.mesh, sizes(self.recipe.resize))
        self.posteriors.append(logits.softmax(dim=-1))
        sums, seen = self._totals()
        supervised, mimicry, feature, total, right = sums.cpu() / seen.cpu()
        record = {
            "split": "probe",
            "epoch": self.epoch + 1,
            "learning_rate": learning_rate(self.recipe, self.epoch),
            "seconds": round(time.perf_counter() - started, 3),
            "supervised": supervised,
            "mimicry": mimicry,
            "feature": feature,
            "total": total,
            "train_top1": right,
            **compare(logits, self.held_out.labels, self.cohort.learning),
        }
        if self.mesh.leader:
            self.digests.append(runs.append_epoch(self.folder, record, self.posteriors))
        self._tell()
        bar.set_postfix(probe_top1=f"{record['top1'][self.cohort.learning].mean():.3f}")

    def _finish(self) -> None:
        for k in self.cohort.here if self.mesh.shard == 0 else ():
            runs.write_weights(self.folder, k, self.cohort.peers[k].evaluated)
        found = examine(self.cohort, self.test, self.mesh, sizes(self.recipe.resize))
        if self.mesh.leader:
            runs.append(self.folder, {"split": "test", **found})
            self._tell()
            checkpoint.discard(self.folder / FOLDER)
        self.mesh.agree(0)  # now the folder is complete

    def _tell(self) -> None:
        if self.events is not None and self.mesh.leader:
            self.events.update()

    def _totals(self) -> tuple[Tensor, Tensor]:
        """The sums and what they are over, of all ranks: each adds its own peers and its shard."""
        if self.mesh.ranks == 1:
            return self.sums, self.seen
        here = torch.tensor([k in self.cohort.here for k in range(len(self.cohort.peers))], device=self.mesh.device)
        sums, seen = self.sums.expand(len(ROWS), len(here)), self.seen.expand(len(ROWS), 1)  # before a first step, ()
        return self.mesh.total(torch.where(here, sums, 0)), self.mesh.total(seen * (self.mesh.row == 0))

    # --- checkpoints ---

    def save(self) -> None:
        """Write a checkpoint, unless they are off. Raises `DivergedError` rather than keep what can not go on."""
        if self.checkpoint_seconds is None:
            return
        self._check()
        here = {k: self.cohort.peers[k] for k in self.cohort.here}
        for k, peer in here.items():
            if not peer.frozen and not all(bool(p.isfinite().all()) for p in peer.network.parameters()):
                raise self._diverged(f"the weights of peer {k} are", self.step)
        order, (sums, seen) = self.batches.state(), self._totals()
        tensors = {f"random.{device}": state for device, state in checkpoint.random_states(self.mesh.device).items()}
        if self.mesh.shard == 0:
            tensors |= {f"peer.{k}.{name}": value for k, peer in here.items() for name, value in peer.state().items()}
        else:  # the first shard speaks for the peer, but for its masks
            tensors |= {f"generator.{k}": peer.generator.get_state() for k, peer in here.items() if peer.generator}
        if self.mesh.shards > 1:  # added up in another order, they would differ in the last bit
            tensors |= {"shard.sums": self.sums, "shard.seen": self.seen}
        tensors = self.mesh.to_leader({self._of_rank(name): value for name, value in tensors.items()})
        if self.mesh.leader:
            tensors |= {"batches.order": order["order"], "batches.augmentation": order["augmentation"]}
            tensors |= {"sums": sums, "seen": seen, "partners": self.partners.get_state()}
            facts = {
                "config": self.config,
                "arithmetic": checkpoint.arithmetic(),
                "position": order["position"],
                "ranks": [self.mesh.ranks, self.mesh.shards],
                **{name: getattr(self, name) for name in ("epoch", "seconds", "digests")},
            }
            checkpoint.save(self.folder / FOLDER, self.step, tensors, facts)
        self._saved = time.monotonic()

    def _of_rank(self, name: str) -> str:
        """What a rank other than the first keeps for itself has the rank in its name."""
        return name if self.mesh.leader or name.startswith("peer.") else f"rank.{self.mesh.rank}.{name}"

    def load(self, found: Checkpoint) -> None:
        """Go back to a checkpoint of this run. Raises `CheckpointError` if this process would compute otherwise."""
        tensors, facts = found.tensors, found.facts
        checkpoint.require_same(found, "arithmetic", facts["arithmetic"], checkpoint.arithmetic())
        for k in self.cohort.here:
            prefix = f"peer.{k}."
            self.cohort.peers[k].load_state(
                {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}
            )
        order, augmentation = tensors["batches.order"], tensors["batches.augmentation"]
        self.batches.load_state({"order": order, "augmentation": augmentation, "position": facts["position"]})
        self.partners.set_state(tensors["partners"])
        self.step, self._next_word = found.step, found.step + 1
        same = facts["ranks"] == [self.mesh.ranks, self.mesh.shards]
        names = [self._of_rank(f"shard.{name}") if same and self.mesh.shards > 1 else name for name in ("sums", "seen")]
        if same or self.mesh.shard == 0:  # what stands there of peers elsewhere is not counted here
            self.sums, self.seen = (tensors[name].to(self.mesh.device) for name in names)
        for name in ("epoch", "seconds", "digests"):
            setattr(self, name, facts[name])
        self.posteriors = self.mesh.leader_first(lambda: runs.cut_back(self.folder, self.digests))
        self._load_own(tensors, same)

    def _load_own(self, tensors: dict[str, Tensor], same: bool) -> None:
        """What this rank keeps for itself; where it was not among the ranks of the checkpoint, a fresh stream."""
        name = self._of_rank if same else str
        torch.set_rng_state(tensors[name("random.cpu")])
        if self.mesh.device.type == "cuda":
            torch.cuda.set_rng_state(tensors[name("random.cuda")], self.mesh.device)
        for k in self.cohort.here if self.mesh.shard else ():
            generator = self.cohort.peers[k].generator
            if generator is not None and same:
                generator.set_state(tensors[self._of_rank(f"generator.{k}")])
            elif generator is not None:
                generator.manual_seed(
                    seeds.generator(self.step, f"dropout of shard {self.mesh.shard}", k).initial_seed()
                )

    def _due(self) -> bool:
        return self.checkpoint_seconds is not None and time.monotonic() - self._saved >= self.checkpoint_seconds

    def _asked(self) -> bool:
        """Whether to write a checkpoint after this step, because it is due or a signal came; all ranks say alike."""
        if self.step < self._next_word:
            return False
        told = (self._due(), self._steps_to_next_word()) if self.mesh.leader else (0, 0)
        self._signal, due, steps = self.mesh.agree(self._signals[0] if self._signals else 0, *told)
        self._next_word, self._last_word = self.step + steps, (self.step, time.monotonic())
        return bool(self._signal or due)

    def _steps_to_next_word(self) -> int:
        """One for a process by itself; on ranks, as many as take `AGREE_SECONDS`, or no time to the next checkpoint."""
        step, then = self._last_word
        seconds = min(AGREE_SECONDS, AGREE_SECONDS if self.checkpoint_seconds is None else self.checkpoint_seconds)
        if self.mesh.ranks == 1 or self.step == step:
            return 1
        return max(1, min(CHECK_EVERY, int(seconds * (self.step - step) / max(time.monotonic() - then, 1e-9))))

    def _stop_if_asked(self) -> None:
        if self._signal:
            again = f"go on with: dml-teach resume {self.folder}"
            raise Interrupted(f"stopped after step {self.step}, with a checkpoint; {again}", self._signal)

    # --- divergence ---

    def _check(self) -> None:
        """Read the sums, which waits for the device: a loss that is not finite, once in them, stays."""
        learning = [k for k in self.cohort.learning if k in self.cohort.here]
        if self._recent and not bool(self.sums[TOTAL, learning].isfinite().all()):
            first = self.step - len(self._recent) + 1
            for step, report in enumerate(self._recent, start=first):
                for k in learning:
                    if not bool(report[TOTAL, k].isfinite()):
                        raise self._diverged(f"the loss of peer {k} is", step)
        self._recent.clear()

    def _diverged(self, what: str, step: int) -> DivergedError:
        good = checkpoint.files(self.folder / FOLDER)
        return DivergedError(
            f"{self.folder}: {what} no finite number at step {step}, in epoch {self.epoch + 1};"
            f" last good checkpoint: {good[-1].name if good else 'none'}; train anew with a lower learning rate"
        )
