"""A picture with its words."""

from dml_teach import plots


def test_a_plot_in_a_notebook_shows_its_picture_and_stores_words_without_numbers(groups):
    plot = plots.metrics_of(groups["alone"][0], {"top1": "unseen", "train_top1": "studied"})
    assert repr(plot) == "Figure. Accuracy (%) over the epochs: unseen, studied."
    assert plot._repr_png_().startswith(b"\x89PNG")
    assert plot.alt in plot.html().replace("&#x27;", "'")


def test_every_public_name_can_be_reached():
    assert all(hasattr(plots, name) for name in plots.__all__)
    assert all(callable(getattr(plots, name)) for name in plots.__all__ if name.islower())


def test_there_is_a_second_cue_for_every_colour():
    assert len(set(plots.COLOURS)) == len(set(map(str, plots.DASHES))) == len(set(plots.MARKERS)) == 7
    assert len(set(plots.HATCHES)) == 7
