# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,mystnb,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13 · Many devices
#
# **Five networks that teach each other are five times the work of one. Can five machines share it?** Training on many devices has the name of being hard, because the devices have to keep their weights alike and send each other millions of numbers in every
# step. Peers have no need to be alike. In this chapter you find out what they do need to tell each other, put two of them into processes of their own, and see that nothing has changed but the clock.
#
# | | |
# |---|---|
# | **After this chapter you can** | say what crosses between peers and how many bytes that is; run a cohort on several ranks with torchrun and show that it equals one process; say what shards of a batch change and what they do not; foresee with a small model what a step costs on 2 or on 1 024 ranks, and who waits |
# | **Time** | 35 minutes, of which less than one is the computer's |
# | **You need** | chapter 04 for the step, chapter 06 for topologies and for what a cohort costs |

# %% [markdown]
# ## Where we are going
#
# What one device sends in a step of 64 images with 100 classes. If the devices share *one network*, each with a part of the images, it is a number for every parameter: a gradient. If each device has a *peer*, it is a number for every image and class: a posterior.

# %% mystnb={"image": {"alt": "Horizontal bars on a scale of powers of ten: bytes that a device sends in a step. Posteriors: 26 kB, whatever the network. Gradients: 0.3 MB for small, 2 MB for ResNet-32, 3.4 MB for ResNet-56, about 13 MB for MobileNet, about 24 MB for InceptionV1, 146 MB for WRN-28-10."}}
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Barrier, Thread

import matplotlib.pyplot as plt
import torch

from dml_teach import cost, losses, models, plots, runs, scale, seeds
from dml_teach import topology
from dml_teach.cohort import Cohort, Peer
from dml_teach.data.batches import evaluation_batches
from dml_teach.data.images import split
from dml_teach.errors import ConfigError
from dml_teach.files import packed, unpacked, write_json, write_tensors
from dml_teach.recipes import build_optimizer

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

names = [name for name in models.NAMES if name != "small_reid"]
parameters = {
    name: sum(p.numel() for p in models.build(name).parameters())
    for name in names
}
sent = {"posteriors of any peer": 64 * 100 * 4}
sent |= {f"gradient of {name}": 4 * parameters[name] for name in names}
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
colours = [plots.COLOURS[0], *[plots.COLOURS[1]] * len(names)]
ax.barh(list(sent), list(sent.values()), color=colours)
ax.invert_yaxis()
ax.set(xscale="log", xlabel="Bytes sent by a device in a step")
ax.set_xlim(left=1e3)
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## What a peer needs of another
#
# The step of chapter 04, once more. Everybody predicts; everybody publishes; then peer $k$ descends
#
# $$L_k = L_{C_k}(z_k, y) + \sum_l W_{kl}\, D_{KL}(p_l \,\|\, p_k)$$
#
# Of peer $l$ there is only $p_l$ in it, and $p_l$ carries no gradient. The paper says in one sentence that mutual learning is easy to distribute for this reason. Take it literally: turn what peer 1 says into *bytes*, as a cable would carry them, and let peer 0 learn from the bytes.
#
# *Predict:* the weights of peer 0 after its step: equal to the last bit, or nearly?

# %%
here = scale.current()
train, test = here.images()
training, held_out = split(train, here.recipe.probe_images, here.subset)
images, labels = next(iter(evaluation_batches(training, 25)))


def two_peers():
    """Two untrained networks with their optimizers."""
    networks = [
        models.build(
            here.network,
            train.classes,
            channels=train.channels,
            generator=seeds.generator(0, "weights", k),
        ).to(memory_format=torch.channels_last)
        for k in range(2)
    ]
    return [
        Peer(network, build_optimizer(here.recipe, network.parameters()))
        for network in networks
    ]


def weights(peer):
    """All parameters of a peer, (n,)."""
    return torch.cat(
        [p.detach().flatten() for p in peer.network.parameters()]
    )


together, (own, other) = two_peers(), two_peers()
Cohort(together, topology.mutual(2)).step(images, labels)

with torch.no_grad():
    cable = packed({"logits": other.predict(images)})  # bytes
heard = unpacked(cable)["logits"]
logits = own.predict(images)
published = losses.publish(torch.stack([logits, heard]))
mimicry = losses.mimicry_of_mixture(
    logits, published, topology.mutual(2)[0]
)
own.update(losses.cross_entropy(logits, labels) + mimicry)

size = labels.numel() * train.classes * 4
print("on the cable:", type(cable).__name__)
print(
    "what logits take:",
    4 * logits.numel() == size,
    "and a name:",
    len(cable) - size < 200,
)
print(
    "equal to the last bit:",
    torch.equal(weights(own), weights(together[0])),
)

# %% [markdown]
# A peer does not know where its teacher lives. (Logits or posteriors, that is the same: from logits the other side computes the posterior by itself, at any temperature.)
#
# ## Two workers and a door between them
#
# In the library, the place where opinions change hands is a single line of [`Cohort.step`](../dml_teach/cohort.py): `logits, features = self.exchange(...)`. A cohort is told which peers are `here`, and hands over a list with gaps, which `exchange` fills. In one process there are no gaps. Give each of two threads one peer, and
# a door through which they hand their logits:

# %%
meeting, desk = Barrier(2), [None, None]


def through_the_door(logits, features):
    """Put down what is from here, wait, pick up what is not."""
    for k, z in enumerate(logits):
        if z is not None:
            desk[k] = z.detach()
    meeting.wait()
    heard = [z if z is not None else desk[k] for k, z in enumerate(logits)]
    meeting.wait()  # nobody clears the desk before all have read
    return heard, features


apart, steps = two_peers(), 5


def work(k):
    """Peer k alone, with nothing of the other but its logits."""
    torch.set_num_threads(1)
    cohort = Cohort(
        apart, topology.mutual(2), here=[k], exchange=through_the_door
    )
    for _ in range(steps):
        cohort.step(images, labels)


workers = [Thread(target=work, args=(k,)) for k in range(2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()

together = two_peers()
cohort = Cohort(together, topology.mutual(2))
for _ in range(steps):
    cohort.step(images, labels)
for k in range(2):
    same = torch.equal(weights(apart[k]), weights(together[k]))
    print(f"peer {k} as in one thread, to the last bit: {same}")

# %% [markdown]
# Now one question decides what may be spread over devices at all. In Algorithm 1 as the paper prints it, peer 1 learns from peer 0 *after* peer 0 has updated itself. *Predict:* what does the library say if the two live apart?

# %%
try:
    Cohort(apart, topology.mutual(2), order="sequential", here=[0])
except ConfigError as error:
    print("refused:", error)

# %% [markdown]
# In sequence, one of two devices would always be idle. So peers on devices learn simultaneously; chapter 04 has shown how little that changes.
#
# ## Two processes
#
# Threads share a memory, and on a GPU a queue. *Processes* share nothing, and may as well be on two machines. PyTorch calls each of them a **rank**; `torchrun` starts them and tells each its number, and [`distributed.Mesh.exchange`](../dml_teach/distributed.py) is the door: an **all-gather**, after which each rank has what all had.
#
# Here is a training as a file of its own. Nothing in it knows of ranks. At its end it also measures how long messages of some sizes take, if there is somebody to send them to.

# %%
PROGRAM = '''
import json
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

from dml_teach import topology
from dml_teach.data.images import ImageSet
from dml_teach.distributed import leave
from dml_teach.files import unpacked
from dml_teach.ranks import launched, this
from dml_teach.recipes import Recipe
from dml_teach.trainer import fit

folder = Path(sys.argv[-1])
told = json.loads((folder / "told.json").read_text())
parts = unpacked((folder / "images.safetensors").read_bytes())


def images(name):
    return ImageSet(
        parts[f"{name}.images"], parts[f"{name}.labels"],
        tuple(told["classes"]), told["data"],
        tuple(told["mean"]), tuple(told["std"]), False,
    )


def train(out):
    return fit(
        [told["network"]] * 2, topology.mutual(2), images("train"),
        images("test"), Recipe(**told["recipe"]), seed=0, out=out,
        device="cpu", progress=False, checkpoint_seconds=None,
    )


def seconds(work):
    """The fastest of many: what the way itself takes."""
    found = []
    for _ in range(60):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def measure(sizes):
    gathered, reduced = [], []
    for size in sizes:
        own = torch.zeros(size // 4)
        all_own = list(own.new_empty(2, len(own)).unbind())
        gathered.append((size, seconds(lambda: dist.all_gather(all_own, own))))
        reduced.append((size, seconds(lambda: dist.all_reduce(own))))
    return {"all-gather": gathered, "all-reduce": reduced}


if launched():
    torch.set_num_threads(1)
    train(folder / "ranks")
    measured = measure(told["sizes"])
    if this() == 0:
        (folder / "measured.json").write_text(json.dumps(measured))
    leave()
'''

folder = Path(tempfile.mkdtemp())
program = folder / "program.py"
program.write_text(PROGRAM)
short = here.recipe.with_(epochs=min(3, here.recipe.epochs))
sizes = [1_000, 10_000, 100_000, 1_000_000, 4_000_000]
few = test.take(range(min(500, len(test))))
told = {
    "classes": train.class_names,
    "data": train.name,
    "mean": train.mean,
    "std": train.std,
    "network": here.network,
    "recipe": vars(short),
    "sizes": sizes,
}
write_json(folder / "told.json", told)
few_train = train.take(range(short.probe_images + min(500, len(training))))
parts = {"train": few_train, "test": few}
tensors = {f"{name}.images": part.images for name, part in parts.items()}
tensors |= {f"{name}.labels": part.labels for name, part in parts.items()}
write_tensors(folder / "images.safetensors", tensors)

# torchrun --standalone --nproc-per-node 2 program.py FOLDER
torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
ended = subprocess.run(
    [*torchrun, "--nproc-per-node", "2", str(program), str(folder)],
    capture_output=True,
    text=True,
)
assert ended.returncode == 0, ended.stderr[-3000:]
print("both ranks ended well")

# %% [markdown]
# The same file, in this notebook's own process: no ranks. Then compare the two run folders, file by file and tensor by tensor. *Predict:* where will they differ?

# %%
sys.argv[-1] = str(folder)
spec = importlib.util.spec_from_file_location("program", program)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
one = module.train(folder / "one")
two = runs.load(folder / "ranks")

files = [
    sorted(
        path.relative_to(run.folder).as_posix()
        for path in run.folder.rglob("*.*")
    )
    for run in (one, two)
]
print("files:", ", ".join(files[0]))
print("the same files:", files[0] == files[1])
for k in range(2):
    ours, theirs = one.weights(k), two.weights(k)
    equal = all(torch.equal(ours[name], theirs[name]) for name in ours)
    print(f"peer {k}: {len(ours)} tensors, equal to the last bit: {equal}")
print("posteriors:", torch.equal(one.posteriors, two.posteriors))
differ = {
    name
    for a, b in zip(one.epochs, two.epochs, strict=True)
    for name in a
    if a[name] != b[name]
}
print("what differs in the records:", differ)
print("the test line is the same:", one.test == two.test)

# %% [markdown]
# Only the clock. Both ranks drew the same batches from the same seed, so no image was sent; one all-gather in each step, and the first rank wrote the folder. `test_a_run_on_ranks_equals_one_process_per_file_and_tensor` in [`tests/test_distributed.py`](../tests/test_distributed.py) holds it to that
# for rings, frozen teachers, self-distillation, random partners and more, and `test_a_step_gathers_once_and_nothing_but_logits_without_gradient` counts what is sent.
#
# ## One peer on several devices
#
# With more ranks than peers, a peer gets several: each sees a **shard** of the batch, and the gradients are averaged. That is ordinary *data parallelism*, and the bill is that of the orange bars. Is the average of two halves' gradients the gradient of the whole? *Predict* it for a network without batch norm, and for one with it.

# %%


def gradient(network, images, labels):
    """Of the cross-entropy, (n,), in train mode."""
    network.train().zero_grad()
    losses.cross_entropy(network(images), labels).backward()
    return torch.cat([p.grad.flatten() for p in network.parameters()])


def without_norm(network):
    """The network with its batch norms taken out."""
    for name, child in network.named_children():
        if isinstance(child, torch.nn.BatchNorm2d):
            setattr(network, name, torch.nn.Identity())
        else:
            without_norm(child)
    return network


even, known = images[:24].double(), labels[:24]
for name, change in (("without", without_norm), ("with", lambda n: n)):
    network = change(two_peers()[0].network).double()
    whole = gradient(network, even, known)
    halves = [
        gradient(network, even[part], known[part])
        for part in (slice(0, 12), slice(12, 24))
    ]
    apart_by = (sum(halves) / 2 - whole).norm() / whole.norm()
    print(
        f"{name:<8}batch norm: the same gradient: {bool(apart_by < 1e-9)};",
        f"more than 1 % apart: {bool(apart_by > 0.01)}",
    )

# %% [markdown]
# The mean over a batch is the mean of the means over its halves: an identity. Batch norm breaks it, since each half is normalised by its own statistics. So on shards the network is trained *a little differently*, as if on smaller batches; `test_four_ranks_of_two_unequal_peers_and_two_shards_equal_one_process` spells out in one process what is computed.
# (On GPUs, `--sync-batch-norm` lets the shards share their statistics, for two more messages a layer.)
#
# ## What it costs
#
# A message of $m$ bytes takes a fixed time, the **latency** $\alpha$, and a time that grows with it, $m / \beta$ with the **bandwidth** $\beta$. Rings of $N$ ranks that hand messages on need
#
# $$t_\text{gather} = (N - 1) \left( \alpha + \frac{m}{\beta} \right) \qquad t_\text{reduce} = 2 (N - 1) \left( \alpha + \frac{m}{N \beta} \right)$$
#
# (gather: posteriors, $m = 4 B C$; reduce: gradients, $m$ is four bytes for each parameter). In code [`cost.all_gather`](../dml_teach/cost.py) and [`cost.all_reduce`](../dml_teach/cost.py), proven in [`tests/test_cost.py`](../tests/test_cost.py) by `test_a_ring_hands_on_what_the_formula_counts`. Two numbers for a link. Our two ranks have measured theirs: fit them to the all-gathers,
# and see what the model says of the all-reduces, which it has not seen.

# %% mystnb={"image": {"alt": "Time against bytes, both on scales of powers of ten, for all-gather and all-reduce between two processes: dots measured, lines modelled. Both are flat up to about a hundred thousand bytes, then rise in proportion. Vertical lines: posteriors at 26 kB lie on the flat part, the gradient of ResNet-32 at 2 MB on the rising one. The dots of the all-gather lie near their line, those of the all-reduce up to a factor of two below theirs."}}
measured = json.loads((folder / "measured.json").read_text())
link = cost.fitted(measured["all-gather"])
plots.costs(
    measured,
    {
        "all-gather": lambda size: cost.all_gather(2, size, link),
        "all-reduce": lambda size: cost.all_reduce(2, size, link),
    },
    {
        "posteriors, 64 x 100": 64 * 100 * 4,
        "gradient of ResNet-32": 4 * parameters["resnet32"],
    },
)

# %%
gathers = dict(map(tuple, measured["all-gather"]))
print("ten times the bytes, ten times the time?")
small_ratio = gathers[10_000] / gathers[1_000]
large_ratio = gathers[4_000_000] / gathers[10_000]
print("  from 1 kB to 10 kB, less than five times:", small_ratio < 5)
print("  from 10 kB to 4 MB, more than twice:", large_ratio > 2)
print(
    "less than a hundredth of a second for posteriors:",
    cost.all_gather(2, 25_600, link) < 0.01,
)

# %% [markdown]
# Posteriors are so small that a step pays for the latency, once. The model is good for a factor of two, not for a digit (between *two* ranks, gloo does an all-reduce in fewer messages than a ring); it is for deciding, before you have the machines. Take a link of a usual kind, and let the cohort grow: one ResNet-32 on each rank, .12 seconds a step. The column *link* is the share of a step that is spent on it.

# %%
peer = cost.Load(parameters["resnet32"], seconds=0.12)
usual = cost.link("ethernet")
print(f"{usual.latency * 1e6:.0f} us, {usual.bandwidth / 1e9:.2f} GB/s")
print("          a peer on each rank              one network on all ranks")
print("ranks     sends       a step    link       sends       a step")
for ranks in (2, 8, 64, 1024):
    many = cost.mutual(
        [peer] * ranks, ranks, batch=64, classes=100, over=usual
    )
    parallel = cost.data_parallel([peer], ranks, over=usual)
    print(
        f"{ranks:>5}{many.posterior_bytes / 1e3:>8.0f} kB",
        f"{1e3 * many.seconds:>9.1f} ms",
        f"{100 * many.exchange / many.seconds:>6.1f} %",
        f"{parallel.gradient_bytes / 1e3:>8.0f} kB",
        f"{1e3 * parallel.seconds:>9.1f} ms",
    )

# %% [markdown]
# Read the two halves apart: the left trains as many networks as there are ranks, the right a single one, faster and faster until the latency eats it. A thousand peers still spend over half of each step computing. (Whether anybody wants a thousand opinions is a question of chapter 06. And a ring of peers would not need the all-gather: each has but one teacher.)
#
# What no link can mend is *unequal peers*. Once a step, everybody waits for everybody. *Predict:* a WRN-28-10 (5 seconds a step on our core) and a ResNet-32 (.12) on two ranks: how much of its time does the small one wait? And three ranks for the large one?

# %%
pair = [cost.Load(parameters["wrn28_10"], 5.0), peer]
step = cost.mutual(pair, 2, batch=64, classes=100, over=usual)
for name, share in zip(("wrn28_10", "resnet32"), step.waiting, strict=True):
    print(f"{name:<10} waits {100 * share:.1f} % of each step")
one_rank = cost.mutual(pair, 1, batch=64, classes=100, over=usual)
print(
    f"two ranks against one: {one_rank.seconds / step.seconds:.2f} times as fast"
)
three = [cost.Load(parameters["resnet32"], 0.12)] * 3
even = cost.mutual(three, 2, batch=64, classes=100, over=usual)
print(
    "three equal peers on two ranks wait:",
    [round(w, 2) for w in even.waiting],
)

# %% [markdown]
# Two devices for such a pair are one device wasted. `dml-teach plan --peers wrn28_10,resnet32 --ranks 4 --link ethernet` prints all of this for any cohort. What our own two cores say: `python benchmarks/ranks.py` compares the step of two ResNet-32 on two ranks with that of one of them, alone, on one core.
#
# ## When somebody dies
#
# On many machines, one fails sooner or later, and all others wait for it. A rank that has waited `--limit` seconds gives up, and says for whom it has waited; `torchrun --max-restarts 3` then starts all of them anew, and they go on from the last checkpoint, to the bit. In the terminal:
#
# ```bash
# torchrun --standalone --nproc-per-node 2 --max-restarts 3 -m dml_teach train bundled --peers small,small
# ```
#
# Everything after `train` is what you know from one process, and a run that was begun on four ranks may be ended by one, or by three. [The page on ranks](reference/ranks.md) has the lines for several machines and for Slurm.
#
# ## Summary
#
# - Of each other, peers need posteriors: one all-gather a step of $B \times C$ numbers, however large the networks.
# - The step is the same code in a thread, a process or on another machine; so the weights are the same to the last bit.
# - A peer on several devices is data parallelism: gradients are averaged, and batch norm sees a shard at a time.
# - Posteriors are paid for in latency, gradients in bandwidth; unequal peers are paid for in waiting.
# - Sequential order can not be spread over devices.
#
# ## Recall
#
# 1. Which three things does a rank need so that no image is ever sent?
# 2. A cohort of four learns to tell 10 000 classes apart, in batches of 256. How many bytes does a rank send in a step? Compare with a gradient of ResNet-32.
# 3. Why does the average of the shards' gradients differ from the batch's, and for which networks does it not?
# 4. Two ranks, an all-gather of 26 kB: would you rather have half the latency or twice the bandwidth?
# 5. A frozen teacher has a rank of its own. What does it do while its students update themselves? Where would you put it?
#
# **By yourself.** In a ring, each peer listens to one other. Write an `exchange` for the threads of this chapter that hands each peer only its teacher's logits, and zeros for the rest, and show that the weights are still equal to the last bit. What does a rank send in a step then, at 1 024 peers? And which number of the
# report has become wrong, if any?
#
# All peers of this chapter looked at the same images. Chapter 14 gives each its own, asks what else has been made of the idea, and ends with yours.
