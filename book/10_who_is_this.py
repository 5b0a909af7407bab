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
# # 10 · Who is this?
#
# **One camera has seen somebody. Did another one see the same person?** That is **re-identification**, re-ID for short, the second half of the paper. The people asked for
# were never seen in training, so no class has their name. What a network learns instead is *where to put a picture*, so that pictures of one person
# lie close together.
#
# | | |
# |---|---|
# | **After this chapter you can** | say why a classifier can not answer the question, and what an embedding answers instead; set up query and gallery with cameras, distractors and junk; tell what a network has learnt from what colours alone give away; say what this technique is used for, and who was not asked |
# | **Time** | 35 minutes, of which half a minute is the computer's |
# | **You need** | chapter 01; there are no peers here yet, they come back in chapter 12 |

# %% [markdown]
# ## Where we are going
#
# Nobody in this chapter exists: everybody is drawn by code (why, is told at the end). The street is called **TinyMarket**, and six cameras look at it.
# The first picture below is the question. *Predict:* which of the ten others show the same person? There are four.

# %% mystnb={"image": {"alt": "A question and ten candidates, numbered 1 to 10: small drawings of people by a brick wall, in a park, in a dark underpass, on a bright square, in the evening, in a station. Four show the person of the question, who has brown skin, curls, a yellow top and a teal backpack; the light, the side and the size differ in each."}}
import matplotlib.pyplot as plt
import torch
from torch.nn.functional import normalize

from dml_teach import losses, models, plots, reid, scale, seeds
from dml_teach.data import tiny_market
from dml_teach.data.batches import Batches, evaluation_batches, normalise
from dml_teach.data.histograms import colour_histogram
from dml_teach.data.retrieval import DISTRACTOR, JUNK

# Small batches: a second thread would cost more than it brings.
torch.set_num_threads(1)

here = scale.current()
train, test = tiny_market.load()  # drawn on first use: ten seconds
query, gallery = test.query, test.gallery


def show(pictures, titles, frames=None):
    """Pictures (N, 3, H, W) side by side, each with a title and, if wanted, a frame of the colour given."""
    figure, axes = plt.subplots(
        1, len(pictures), figsize=(0.78 * len(pictures), 1.9)
    )
    for k, axis in enumerate(axes):
        axis.imshow(pictures[k].permute(1, 2, 0))
        axis.set_title(titles[k], fontsize=8)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(
            color=frames[k] if frames else "white", linewidth=3
        )
    figure.subplots_adjust(0.01, 0.02, 0.99, 0.86, wspace=0.08)
    plt.show()


asked = 6  # this query
who = query.identities[asked]
others = (gallery.identities > DISTRACTOR) & (gallery.identities != who)
others = others.nonzero().flatten()
others = others[
    torch.randperm(len(others), generator=seeds.generator(4, "others"))
]
same = (gallery.identities == who).nonzero().flatten()[1:5]
ten = torch.cat([same, others[:6]])
ten = ten[torch.randperm(10, generator=seeds.generator(0, "puzzle"))]
show(
    torch.cat([query.images[asked][None], gallery.images[ten]]),
    ["who?", *map(str, range(1, 11))],
)

# %%
right = (gallery.identities[ten] == who).nonzero().flatten() + 1
print("the same person:", right.tolist())

# %% [markdown]
# You had no name for that person, no list to choose from, and had never seen them before. You *compared*. A network is to learn just that.
#
# ## The street
#
# The format is that of **Market-1501**, the data set of the paper, so that everything in these chapters runs on it unchanged. There are four folders.
# A picture's name tells the rest:
#
# | `0002_c1s1_000451_03.jpg` | |
# |---|---|
# | `0002` | the person; `0000` and `-1` are no persons |
# | `c1s1` | camera 1, sequence 1 |
# | `000451_03` | frame 451, box 3: a detector has cut the person out of the frame |

# %%
piles = {
    "training": (train.images, train.classes),
    "query": (query.images, len(query.identities.unique())),
    "gallery": (gallery.images, len(gallery.identities.unique()) - 2),
}
for name, (images, people) in piles.items():
    print(f"{name:<9} {tuple(images.shape)}, {people} people")
print("a query:      ", query.names[asked])
print("in the gallery:", gallery.names[0], "and", gallery.names[60])

# %% [markdown]
# The **query** pictures are the questions, one for each person and camera. The **gallery** is where the answer is to be found. Half of the real
# difficulty is in the gallery, which is not tidy:
#
# - **distractors** (`0000`): people whom nobody asks for. Each is a wrong answer to every question.
# - **junk** (`-1`): the detector's slips, an empty wall or half a leg. Neither right nor wrong: it is taken out of every ranking.
# - pictures of the right person *by the camera that asked*. Too easy, often the same second; they are taken out as well. The question is about
#   *another* camera.
#
# *Predict:* how many of the 540 pictures are right answers to our question? Each person is in the gallery once for each of six cameras.

# %%
roles = {
    "junk": gallery.identities == JUNK,
    "a distractor": gallery.identities == DISTRACTOR,
    "the person, by the camera that asks": (gallery.identities == who)
    & (gallery.cameras == query.cameras[asked]),
    "the person, by another camera": (gallery.identities == who)
    & (gallery.cameras != query.cameras[asked]),
}
for role, found in roles.items():
    print(f"{found.sum():>4}  {role}")
print(
    f"{sum(~torch.stack(list(roles.values())).any(dim=0)):>4}  other people"
)

# %% [markdown]
# Five needles, and a haystack of 474. One more thing to check, the one that makes this another kind of task than all before:

# %%
learnt = {int(name) for name in train.class_names}
print("people in training:     ", len(learnt))
print(
    "of them, ever asked for:", len(learnt & set(query.identities.tolist()))
)

# %% [markdown]
# None. In chapter 01 the test asked about new pictures of *known classes*. Here the classes of the test are new. A classifier with a hundred outputs
# can only ever answer with one of its hundred people.
#
# ## A ranking needs nothing but a distance
#
# Turn each picture into a vector, its **embedding** $f$. Sort the gallery by the distance from the query's. We use the cosine,
#
# $$d(f, g) = 1 - \frac{f \cdot g}{\|f\| \, \|g\|},$$
#
# where $f$ is the query's vector and $g$ that of a picture of the gallery. It looks at a vector's direction and not at its length. The test is a ranking, and two numbers judge it (chapter 11 takes them apart):
#
# - **rank-1**: in what share of the questions is the first picture right?
# - **mAP**, mean average precision: are *all* the right ones near the top? 1 is a perfect ranking.
#
# What is the simplest embedding? The picture itself. *Predict:* which picture of the gallery is nearest to a query, pixel by pixel?

# %%


def scored(embed):
    """The scores of an embedding, a function of images."""
    return reid.evaluate(
        embed(query.images),
        embed(gallery.images),
        query.identities,
        gallery.identities,
        query.cameras,
        gallery.cameras,
    )


def pixels(images):
    """The picture as a vector, grey at the origin."""
    return images.flatten(1).double() - 128


raw = scored(pixels)
similarity = (
    normalize(pixels(query.images)) @ normalize(pixels(gallery.images)).T
)
nearest = similarity.argmax(dim=1)
camera = (gallery.cameras[nearest] == query.cameras).double().mean()
print(f"rank-1 of raw pixels: {100 * raw.cmc[0]:.0f} %")
print(f"mAP of raw pixels:    {100 * raw.mAP:.0f} %")
print(f"nearest picture by the same camera: {100 * camera:.0f} %")

# %% mystnb={"image": {"alt": "The question from before and the eight pictures nearest to it pixel by pixel. All eight have the same brick wall behind them. The first shows the same person by the same camera, which does not count; the others show other people, or hardly anybody."}}
order = similarity[asked].argsort(descending=True)[:8]
show(
    torch.cat([query.images[asked][None], gallery.images[order]]),
    ["who?", *[f"{k}." for k in range(1, 9)]],
)

# %% [markdown]
# A brick wall is nearest to a brick wall. (The first one even shows the right person, but by the camera that asks: it does not count.) Most pixels
# belong to the *place*, and so raw pixels recognise cameras. That is a lesson to keep: whoever trains on pictures of one place will find that the
# place is the easiest thing to learn.
#
# ## What colours give away
#
# Before we praise a network, something honest to beat. People differ by what they wear, so count colours: in the middle of the box, where the person
# is; with the tint of the light taken out, so that the evening does not make everybody orange; head, chest and legs apart. This is
# [`colour_histogram`](../dml_teach/data/histograms.py), a page of code without anything learnt.

# %%
colours = scored(colour_histogram)
print(f"mAP of the histogram: {100 * colours.mAP:.0f} %")
print(f"better than raw pixels: {colours.mAP > 5 * raw.mAP}")

# %% [markdown]
# Far better than the pixels. **This** is the bar, and not chance: a network that stays below it has learnt less than a page of code knows.
#
# ## Learning where to put a picture
#
# Now the trick of re-identification. We train a *classifier*, on the hundred people of the training pictures, with nothing but cross-entropy from
# chapter 01. Then we cut its head off:
#
# $$\text{picture} \;\to\; \underbrace{\text{convolutions} \;\to\; \text{mean} \;\to\; \text{batch norm}}_{\text{the embedding } f,\ 64 \text{ numbers}} \;\to\; \underbrace{\text{a linear layer}}_{\text{100 names, thrown away}}$$
#
# The head can only tell the hundred apart if the embedding puts each of them in a place of their own, whichever camera looks. The hope is that what
# serves to tell a hundred people apart (stripes, a bag, a hat, whatever the light) also serves to tell *others* apart. Nothing guarantees that. It is
# an experiment. (The optimizer is another one than in chapter 01: AdamW, with a rate that first rises and then falls.)

# %%
network = models.build(
    "small_reid",
    train.classes,
    channels=3,
    generator=seeds.generator(0, "weights"),
).to(memory_format=torch.channels_last)
batches = Batches(
    train,
    64,
    augment=True,  # shifted and mirrored a little
    order=seeds.generator(0, "order"),
    augmentation=seeds.generator(0, "augmentation"),
)
epochs = min(20, here.recipe.epochs)
optimizer = torch.optim.AdamW(network.parameters(), weight_decay=5e-4)
schedule = torch.optim.lr_scheduler.OneCycleLR(
    optimizer, max_lr=0.01, total_steps=epochs * len(batches)
)

network.train()
for _ in range(epochs):
    for images, labels in batches:
        loss = losses.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
network.eval()

with torch.no_grad():
    logits = torch.cat(
        [network(images) for images, _ in evaluation_batches(train, 200)]
    )
known = (logits.argmax(dim=1) == train.labels).double().mean()
print("names the people it has studied, 95 % and more:", bool(known > 0.95))

# %% [markdown]
# It knows its hundred people. Ask it about somebody it has never seen. *Predict:* what will it answer, and how sure will it be?

# %%
with torch.no_grad():
    logits = torch.cat(
        [
            network(normalise(images, train.mean, train.std))
            for images in query.images.split(200)
        ]
    )
posterior = losses.log_posterior(logits).exp()
named = torch.tensor([int(name) for name in train.class_names])
answer = named[posterior.argmax(dim=1)]
print(
    "right names:",
    int((answer == query.identities).sum()),
    "of",
    len(query),
)
sure = (posterior.max(dim=1).values > 0.5).double().mean()
print("more than half sure in over a third of them:", bool(sure > 1 / 3))

# %% [markdown]
# Always the name of somebody else, and often with conviction. "None of these" is not among its answers. So much for classification; now the
# embedding, which never speaks a name.

# %%


@torch.no_grad()
def embedding(images):
    """What the network sees in images (N, 3, H, W), without its head."""
    parts = images.split(200)
    return torch.cat(
        [
            network.features(normalise(p, train.mean, train.std))
            for p in parts
        ]
    )


learned = scored(embedding)
print("an embedding:", tuple(embedding(query.images).shape))
print("mAP more than twice the histogram's:", learned.mAP > 2 * colours.mAP)
print("first picture right, in over half:  ", bool(learned.cmc[0] > 0.5))

# %% mystnb={"image": {"alt": "Bars of mAP and rank-1 for three embeddings. Raw pixels: near zero. Colour histogram: about a fifth and a third. The network: more than half in both."}}
figure, axis = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
found = {"raw pixels": raw, "colour histogram": colours, "network": learned}
for offset, (label, value) in enumerate(
    {"mAP": lambda s: s.mAP, "rank-1": lambda s: s.cmc[0]}.items()
):
    axis.barh(
        [k + 0.36 * offset for k in range(3)],
        [100 * value(scores) for scores in found.values()],
        height=0.32,
        label=label,
        color=plots.COLOURS[offset],
        hatch=plots.HATCHES[offset],
        edgecolor="white",
    )
axis.set_yticks([k + 0.18 for k in range(3)], found)
axis.invert_yaxis()
axis.set_xlabel("% (more is better)")
axis.spines[["top", "right"]].set_visible(False)
axis.legend(frameon=False)
plt.show()

# %% [markdown]
# On sixty people whom it has never seen, the network finds more than twice what colours find. What it learnt from a hundred *carries over* to others:
# that is the whole of re-identification in one sentence.
#
# ## Look at rankings
#
# A number is a summary. Always look at what it sums up. Left, the question; then the first eight of the ranking, after junk and the same camera's
# pictures were taken out. A tick and a green frame: the same person. A cross and an orange one: somebody else.

# %% mystnb={"image": {"alt": "Four questions, each with the first eight pictures of the network's ranking, framed green with a tick for the same person and orange with a cross for another. In most rows the first places are right, across brick wall, park, underpass, square, evening and station; the wrong ones wear similar clothes."}}
features = {part.name: embedding(part.images) for part in (query, gallery)}
similarity = (
    normalize(features[query.name]) @ normalize(features[gallery.name]).T
)


def ranking(number):
    """The gallery for a query, nearest first, without what does not count."""
    person = gallery.identities == query.identities[number]
    camera = gallery.cameras == query.cameras[number]
    counts = (gallery.identities != JUNK) & ~(person & camera)
    order = similarity[number].argsort(descending=True, stable=True)
    return order[counts[order]]


for number in (asked, 38, 158, 262):
    first = ranking(number)[:8]
    good = (gallery.identities[first] == query.identities[number]).tolist()
    show(
        torch.cat([query.images[number][None], gallery.images[first]]),
        [
            "who?",
            *[f"{k}. {'✓' if g else '✗'}" for k, g in enumerate(good, 1)],
        ],
        ["white", *[plots.COLOURS[2 if g else 1] for g in good]],
    )

# %% [markdown]
# The mistakes are telling. They are people in similar clothes, and people seen from the back whose print is on the front. A detective would hesitate
# at the same places.
#
# ## Near is not yet the same
#
# A ranking always has a first place, even if the person was never there. To say "it is nobody", one would need a threshold: nearer than *so much* is
# the same person. *Predict:* is the nearest stranger usually further away than the farthest picture of the person?

# %%
gaps, means = [], []
for number in range(len(query)):
    order = ranking(number)
    good = gallery.identities[order] == query.identities[number]
    near = similarity[number][order]
    gaps.append(bool(near[good].min() > near[~good].max()))
    means.append(bool(near[good].mean() > near[~good].mean()))
share = sum(gaps) / len(query)
print("the person nearer than strangers, on average:", end=" ")
print(f"in over 95 % of the questions {sum(means) / len(query) > 0.95}")
print(
    f"all of the person before any stranger: in under a tenth {share < 0.1}"
)

# %% [markdown]
# On average, yes, nearly always. But the *nearest* of 474 strangers is another matter, and it becomes worse the more people walk by: in a city, someone
# always looks like you. A system that has to act on a match, and not only to sort pictures for a human being, meets exactly these.
#
# ## Who was asked?
#
# So far this was a puzzle with drawings. It is time to say what they stand for.
#
# **Market-1501 shows real passers-by.** Six cameras stood in front of a supermarket on a university campus; 1 501 people walked past and became a
# benchmark. They were not asked. Their faces are small, but they are there, and so are their clothes, their companions and the hour. Another set of
# this kind, DukeMTMC, showed students and visitors of a campus; its university withdrew it in 2019, since both the recording and the public release had
# gone beyond what had been approved. Copies go on circulating, and papers go on using them: what is once published can not be taken back.
#
# **What is it for?** Finding a lost child in a station. Counting how people walk through a building, so that exits are wide enough. And also: following
# one person through a whole city without their knowledge, without a suspicion, by clothes alone, where no face can be seen. The code is the same in
# all cases. Technique does not choose; whoever builds and buys it does, and the law of many places has a say (in the European Union data protection,
# and rules for remote identification of people).
#
# **Who pays for mistakes?** You have just seen that strangers can be nearer than the person asked for. In a list for a human being that is a nuisance.
# In an arrest it is not. And errors do not fall on everybody alike: a network is worst for those of whom it saw the fewest pictures.
#
# So this course keeps to three rules. It **draws** its people: nobody had to be watched for it, everything may be shown, shared and recorded. It
# **never ships** a picture of a real person; who has obtained Market-1501 on its terms can
# [bring it along](../dml_teach/data/market1501.py), and not one of its pixels enters a recording. And it **says so**, here, before the interesting part. Before you build
# such a thing, ask: Who is in the pictures, and did they agree? Could the same be done without knowing who is who? Who can look, for how long, and
# what happens to somebody who is mistaken for another?
#
# What do drawings cost us in truth? People of TinyMarket differ by clothes, build, hair and bags, never change them, and walk past six cameras of
# fixed character. Numbers found here are about *methods compared with each other*, not about how well any of it works in a street.
# How it is drawn is in [`people.py`](../dml_teach/data/people.py) and [`streets.py`](../dml_teach/data/streets.py); that a seed fixes every
# pixel is proven in [`tests/data/test_tiny_market.py`](../tests/data/test_tiny_market.py).
#
# ## Summary
#
# - Re-identification asks about people who are not in the training set. A classifier can only answer with a name it knows.
# - An embedding turns a picture into a vector; a distance turns vectors into a ranking of the gallery.
# - Distractors count as wrong. Junk, and the person's pictures by the camera that asks, do not count at all.
# - Raw pixels recognise the place. A fair colour histogram is the bar; a network trained to name a hundred people finds more than twice as much on
#   sixty others, with its head cut off.
# - Someone is always nearest. Near does not mean same.
# - The real data were taken without asking, and the technique is used to follow people. Know that before you use either.
#
# ## Recall
#
# 1. Why can the classifier's posterior not be used to answer a query, however good it is?
# 2. Name the three kinds of gallery pictures besides the right ones. Which of them count as mistakes?
# 3. Why are the person's pictures by the camera that asks taken out?
# 4. Raw pixels rank a brick wall first. What must a fair baseline do to avoid that?
# 5. What was wrong with how Market-1501 and DukeMTMC came to be, and what does this course do instead?
#
# **By yourself.** *Whom does it fail?* `learned.ap` holds the average precision of each query. Average it by `query.cameras`, and by
# `query.identities`. Which camera is the hardest to start from, and why that one? Look at the three people who are found worst. What do they have in
# common, and would more training pictures of *others* help them?
#
# [Chapter 11](11_the_metric.ipynb) takes the numbers apart: what exactly mAP rewards, and why two papers' mAP may differ for the same ranking.
