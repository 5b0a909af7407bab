"""The one switch of the course."""

import pytest

from dml_teach import models, scale
from dml_teach.errors import ConfigError


def test_classroom_is_the_default_and_needs_no_download(monkeypatch):
    monkeypatch.delenv(scale.VARIABLE, raising=False)
    here = scale.current()
    train, test = here.images()
    assert here.name == "classroom" and (len(train), len(test)) == (2000, 4000)


@pytest.mark.parametrize("name", ["smoke", "classroom", "laptop", "paper"])
def test_every_scale_can_be_asked_for(name, monkeypatch):
    monkeypatch.setenv(scale.VARIABLE, name)
    assert scale.current().name == name


def test_an_unknown_scale_is_refused(monkeypatch):
    monkeypatch.setenv(scale.VARIABLE, "galaxy")
    with pytest.raises(ConfigError, match="DML_TEACH_SCALE is 'galaxy'"):
        scale.current()


@pytest.mark.parametrize("here", scale.SCALES.values(), ids=lambda here: here.name)
def test_the_teacher_of_a_scale_is_larger_than_its_network(here):
    def parameters(name, **options):
        return sum(weight.numel() for weight in models.build(name, 10, **options).parameters())

    assert parameters(here.teacher, **here.teacher_options) > 2 * parameters(here.network)
