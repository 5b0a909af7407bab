"""Peers on ranks: equal to one process, and what happens when a rank is lost. All over gloo, in forked processes."""

import copy
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from dml_teach import checkpoint, losses, topology
from dml_teach.distributed import Mesh, joined
from dml_teach.errors import ConfigError
from dml_teach.layout import Layout, arrange, place
from dml_teach.peer import Echo
from dml_teach.runs import load
from dml_teach.trainer import trained_network
from tests.conftest import strangers
from tests.rank_work import (
    CLASSES,
    CPU,
    SETS,
    batches,
    count_of_gathers,
    dropping,
    go_on,
    go_on_dropping,
    joining,
    on_a_mesh,
    sgd,
    stray,
    train,
    train_and,
    train_and_be_asked_to_stop,
    train_on,
    train_sharded,
    train_until,
    two_networks,
)
from tests.resuming import assert_same, begin
from tests.several import Failed, collect, on_ranks, start

pytestmark = pytest.mark.distributed

# --- the step, against a loop that knows nothing of the library's ---


def of_shard(k, logits, labels):
    """What peer k pays on a shard: a mean, of logits of two peers."""
    published = losses.publish(torch.stack([z.detach() for z in logits]))
    mimicry = losses.mimicry_of_mixture(logits[k], published, topology.mutual(2)[k])
    return losses.cross_entropy(logits[k], labels) + mimicry


def of_batch(k, logits, labels, known, size, shards=2):
    """The same over the whole batch, with `known` labels and `size` images, so that shards add up; written out."""
    supervised = F.cross_entropy(logits[k], labels, ignore_index=-1, reduction="sum")
    own, reference = (z.log_softmax(1) for z in (logits[k], logits[1 - k].detach()))
    kl = F.kl_div(own, reference, reduction="sum", log_target=True)
    return shards * (supervised / max(known, 1) + kl / size)


def by_hand(kind, steps, size, hidden=False, shards=2):
    """One process: each shard forward by itself, gradients averaged, the first shard's buffers kept, momentum."""
    networks = two_networks(kind)
    optimizers = [sgd(network) for network in networks]
    for images, labels in batches(steps, size, kind, hidden):
        cuts = [size * d // shards for d in range(shards + 1)]
        logits, known = [], int((labels >= 0).sum())
        loss = partial(of_batch, known=known, size=size) if hidden else of_shard
        for network in networks:
            before = copy.deepcopy(dict(network.named_buffers()))
            of_shards = []
            for d in range(shards):
                buffers = dict(network.named_buffers()) if d == 0 else copy.deepcopy(before)
                own = {**dict(network.named_parameters()), **buffers}
                of_shards.append(torch.func.functional_call(network, own, (images[cuts[d] : cuts[d + 1]],)))
            logits.append(of_shards)
        for k, network in enumerate(networks):
            shares = []
            for d in range(shards):
                own = [z[d] for z in logits]
                shares.append(
                    torch.autograd.grad(loss(k, own, labels[cuts[d] : cuts[d + 1]]), list(network.parameters()))
                )
            for parameter, *of_shards in zip(network.parameters(), *shares, strict=True):
                parameter.grad = sum(of_shards) / shards
            optimizers[k].step()
    return [network.state_dict() for network in networks]


@pytest.mark.parametrize(("kind", "near"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["fp64", "fp32"])
def test_four_ranks_of_two_unequal_peers_and_two_shards_equal_one_process(kind, near):
    found = on_ranks(4, on_a_mesh, kind, 20, 32, False)
    for k, expected in enumerate(by_hand(kind, 20, 32)):
        own = found[2 * k][k]
        assert own.keys() == expected.keys()
        for name, value in expected.items():
            assert (own[name].double() - value.double()).abs().max() <= near, (k, name)


def test_unequal_shards_and_hidden_labels_give_the_gradient_of_the_whole_batch():
    found = on_ranks(4, on_a_mesh, torch.float64, 6, 7, True)
    for k, expected in enumerate(by_hand(torch.float64, 6, 7, hidden=True)):
        assert all((found[2 * k][k][name].double() - v.double()).abs().max() <= 1e-10 for name, v in expected.items())


def test_a_step_gathers_once_and_nothing_but_logits_without_gradient():
    for calls in on_ranks(2, count_of_gathers, 3):
        assert calls[1:] == 3 * [((1, 8, CLASSES), False)]  # before the first, what shapes they have


@pytest.mark.parametrize(
    ("width", "message"), [(None, "logits have [5, 6] numbers"), (7, "features of 7 and 8 numbers")]
)
def test_peers_that_can_not_be_compared_are_refused_on_every_rank(width, message):
    found = collect(start(2, stray, width))
    assert [rank.kind for rank in found] == ["ConfigError"] * 2 and all(message in rank.message for rank in found)


# --- whole runs ---


RUNS = {
    "two peers": (2, {"augment": True}),
    "three peers in a ring, the last two unequal": (
        3, {"peers": ("small", "resnet32", "small"), "matrix": topology.ring(3)}
    ),
    "three peers on two ranks, random partners": (
        2, {"peers": ("small",) * 3, "partners": "one", "ema": 0.9, "optimizer": "adam", "learning_rate": 0.01}
    ),
    "features, half precision, few labels": (2, {"feature_weight": 0.5, "precision": "bf16", "labelled": 0.3}),
    "self-distillation": (
        2, {"peers": ("small", "small", Echo(0), Echo(1)), "matrix": topology.self_taught(2), "augment": True}
    ),
    "dropout": (2, {"peers": dropping(2), "epochs": 1}),
    "a test of retrieval": (2, {"sets": (SETS[0], strangers()), "peers": ("small_reid",) * 2}),
    "TensorBoard": (2, {"tensorboard": True, "epochs": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_run_on_ranks_equals_one_process_per_file_and_tensor(name, tmp_path):
    ranks, settings = RUNS[name]
    on_ranks(ranks, train, tmp_path / "ranks", settings)
    train(tmp_path / "one", copy.deepcopy(settings))
    assert_same(load(tmp_path / "ranks"), load(tmp_path / "one"))


def test_a_frozen_teacher_on_a_rank_of_its_own_teaches(tmp_path):
    teacher = trained_network(begin(tmp_path / "teacher", SETS, peers=("small",)), 0)
    settings = {"peers": (teacher, "small"), "matrix": topology.one_way(2), "frozen": (0,)}
    on_ranks(2, train, tmp_path / "ranks", settings)
    train(tmp_path / "one", copy.deepcopy(settings))
    assert_same(load(tmp_path / "ranks"), load(tmp_path / "one"))


def test_peers_that_share_every_rank_may_learn_one_after_the_other(tmp_path):
    on_ranks(2, train_sharded, tmp_path / "run", "sequential")
    assert min(load(tmp_path / "run").test["top1"]) > 0.3


def test_the_record_of_a_sharded_epoch_counts_every_image_once(tmp_path):
    on_ranks(4, train, tmp_path / "run", {"epochs": 1, "batch_size": 3})  # shards of one image and of two
    (epoch,) = load(tmp_path / "run").epochs
    for k in range(2):
        assert epoch["total"][k] == pytest.approx(epoch["supervised"][k] + epoch["mimicry"][k], abs=1e-5)
        right = 60 * epoch["train_top1"][k]
        assert right == pytest.approx(round(right), abs=1e-3)


def test_sequential_order_across_ranks_is_refused_with_its_reason(tmp_path):
    for rank in collect(start(2, train, tmp_path / "run", {"order": "sequential"})):
        assert rank.kind == "ConfigError" and "each peer waits for the update of the one before" in rank.message
    assert not (tmp_path / "run").exists()


def test_more_shards_than_images_in_the_last_batch_are_refused():
    mesh = Mesh([0, 0, 0], shards=3, rank=1, ranks=3)
    with pytest.raises(ConfigError, match="a batch of 2 images can not be spread over 3 shards"):
        mesh.split(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))


def test_a_last_batch_too_small_for_its_shards_is_refused_before_anything_is_written(tmp_path):
    for rank in collect(start(4, train, tmp_path / "run", {"batch_size": 59})):  # of 60 images
        assert rank.kind == "ConfigError" and "a batch of 1 images can not be spread over 2 shards" in rank.message
    assert not (tmp_path / "run").exists()


# --- on GPUs: nothing below has run yet ---


@pytest.fixture
def gpus():
    """Skip where there are not so many."""

    def need(count):
        if torch.cuda.device_count() < count:
            pytest.skip(f"needs {count} CUDA device{'s'[: count > 1]}")

    return need


@pytest.mark.gpu
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_peers_on_gpus_over_nccl_equal_one_gpu(ranks, gpus, tmp_path):
    gpus(ranks)
    settings = {"peers": ("small", "resnet32", "small", "small"), "device": "cuda", "augment": True}
    on_ranks(ranks, train_on, tmp_path / "ranks", dict(settings))
    train_on(tmp_path / "one", settings)
    a, b = load(tmp_path / "ranks"), load(tmp_path / "one")
    for k in range(4):
        torch.testing.assert_close(a.weights(k), b.weights(k), rtol=1e-5, atol=1e-6)


@pytest.mark.gpu
def test_batch_norm_of_two_gpus_sees_the_whole_batch(gpus, tmp_path):
    gpus(2)
    settings = {"peers": ("small",), "device": "cuda", "epochs": 1}
    on_ranks(2, train_on, tmp_path / "ranks", settings | {"layout": Layout(sync_batch_norm=True)})
    train_on(tmp_path / "one", settings)
    a, b = load(tmp_path / "ranks"), load(tmp_path / "one")
    torch.testing.assert_close(a.weights(0), b.weights(0), rtol=1e-3, atol=1e-4)


@pytest.mark.gpu
def test_a_rank_that_is_lost_on_gpus_ends_the_others_by_name(gpus, tmp_path):
    gpus(3)
    started = start(3, train_and, tmp_path / "run", "die", 60.0, "cuda")
    try:
        survivors = collect([started[0], started[2]], seconds=90)
    finally:
        started[1][0].kill()
    assert [rank.message[-11:] for rank in survivors] == ["rank 1 died"] * 2


# --- laying out ---


@pytest.mark.parametrize(
    ("peers", "ranks", "shards", "expected"),
    [(2, 2, None, (2, 1)), (2, 4, None, (2, 2)), (5, 3, None, (3, 1)), (3, 1, None, (1, 1)), (4, 4, 2, (2, 2)),
     (2, 6, None, (2, 3)), (3, 2, 2, (1, 2))],
)  # fmt: skip
def test_arranged(peers, ranks, shards, expected):
    assert arrange(peers, ranks, shards) == expected


@pytest.mark.parametrize(("peers", "ranks", "shards"), [(2, 3, None), (4, 6, None), (2, 4, 1), (4, 4, 3)])
def test_what_can_not_be_arranged_is_refused(peers, ranks, shards):
    with pytest.raises(ConfigError, match=f"{ranks} ranks can not be laid out for {peers} peers"):
        arrange(peers, ranks, shards)


def test_peers_are_placed_evenly_and_an_echo_with_its_peer():
    assert place(["a"] * 5, 2) == [0, 0, 0, 1, 1]
    assert place(["a", "b", Echo(0), Echo(1)], 2) == [0, 1, 0, 1]


def test_shards_without_ranks_are_refused():
    with pytest.raises(ConfigError, match="torchrun"), joined(["a"], CPU, Layout(shards=2)):
        pass


@pytest.mark.parametrize(("field", "value"), [("shards", 0), ("limit", 0.0), ("limit", float("inf"))])
def test_a_layout_that_can_not_be_is_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        Layout(**{field: value})


def test_batch_norm_over_the_whole_batch_is_for_gpus(tmp_path):
    for rank in collect(start(2, joining, Layout(sync_batch_norm=True))):
        assert rank.kind == "ConfigError" and "works on GPUs alone" in rank.message


# --- going on, and rank by rank the same decision ---


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3), (3, 2), (2, 2)])
def test_a_run_goes_on_to_the_same_end_on_another_number_of_ranks(before, after, tmp_path):
    settings = {"peers": ("small", "small", "small"), "augment": True, "partners": "one"}
    train(tmp_path / "whole", dict(settings))
    for ranks, work, *arguments in ((before, train_until, 5, settings), (after, go_on)):
        if ranks == 1:
            work(tmp_path / "cut", *copy.deepcopy(arguments))
        else:
            on_ranks(ranks, work, tmp_path / "cut", *arguments)
    assert_same(load(tmp_path / "cut"), load(tmp_path / "whole"))


def test_dropout_of_every_shard_goes_on_where_it_was(tmp_path):
    settings = {"peers": dropping(1), "epochs": 2, "matrix": topology.independent(1)}
    on_ranks(2, train, tmp_path / "whole", settings)
    on_ranks(2, train_until, tmp_path / "cut", 5, settings)
    on_ranks(2, go_on_dropping, tmp_path / "cut")
    assert_same(load(tmp_path / "cut"), load(tmp_path / "whole"))


def test_the_shards_of_a_peer_do_not_share_their_masks(tmp_path):
    on_ranks(2, train_until, tmp_path / "cut", 2, {"peers": dropping(1), "matrix": topology.independent(1)})
    tensors = checkpoint.latest(tmp_path / "cut" / "checkpoints").tensors
    assert not torch.equal(tensors["peer.0.generator"], tensors["rank.1.generator.0"])


def test_a_signal_to_one_rank_stops_all_of_them_after_the_same_step_with_a_checkpoint(tmp_path):
    found = collect(start(2, train_and_be_asked_to_stop, tmp_path / "cut"))
    assert [rank.kind for rank in found] == ["Interrupted"] * 2
    assert found[0].message == found[1].message and "after step 1, with a checkpoint" in found[0].message
    train(tmp_path / "whole", {})
    go_on(tmp_path / "cut")
    assert_same(load(tmp_path / "cut"), load(tmp_path / "whole"))


# --- a rank is lost ---


@pytest.mark.parametrize(
    ("misfortune", "cause"),
    [
        ("die", "rank 1 died"),
        ("hang", "rank 1 did not answer within 2 seconds"),
        ("diverge", "rank 1 ended with DivergedError: the loss of peer 1 is no finite number"),
        ("fail", "rank 1 ended with RuntimeError: not enough memory"),
    ],
)
def test_a_rank_that_is_lost_ends_the_others_within_the_limit_by_name_and_cause(misfortune, cause, tmp_path):
    started = start(3, train_and, tmp_path / "run", misfortune, 2.0 if misfortune == "hang" else 60.0)
    try:
        survivors = collect([started[0], started[2]], seconds=30)
    finally:
        started[1][0].kill()
    for rank in survivors:
        assert isinstance(rank, Failed) and rank.kind == "RankError" and rank.message.endswith(cause), rank
