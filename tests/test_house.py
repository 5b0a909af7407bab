"""The house itself: its floors, its packages, its lists of versions, and what no file may hold."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rattler import MatchSpec

import dml_teach

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dml_teach"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]

# From the cellar up. A module imports from its own folder and from the floors below it, never from its own floor.
FLOORS = (
    {"errors"},
    {"devices", "files", "interrupts", "provenance", "ranks", "seeds"},
    {"checkpoint", "comparison", "data", "losses", "models", "published", "recipes", "runs", "topology"},
    {"peer"},
    {"cohort", "layout", "metrics", "reid", "scale", "tensorboard"},
    {"distributed"},
    {"description", "evaluation"},
    {"loop"},
    {"trainer"},
    {"analysis", "cost"},
    {"classroom", "members", "overview", "plan", "plots", "scores", "widgets"},
    {"experiments"},
    {"recordings"},
    {"demo", "doctor", "joining", "reproduce"},
    {"report"},
    {"cli"},
    {"__main__"},
)
CONDA_NAMES = {"torch": "pytorch-cpu"}
# Written so that this file does not find itself.
FORBIDDEN = re.compile(r"(?<![\w.~-])/(?:home|root|tmp|Users|work)/\w|\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
LONG_DATA = re.compile(r"[A-Za-z0-9+/=]{200,}")


# --- floors ---


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
PARTS = sorted(set(MODULES) - {"dml_teach"})


def imports(module: str) -> Iterator[str]:
    """Modules of the house that `module` imports, anywhere in its text; a name of a module counts as the module."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] + "." if node.level else ""
            source = (above + (node.module or "")).rstrip(".")
            for alias in node.names:
                found = f"{source}.{alias.name}" if f"{source}.{alias.name}" in MODULES else source
                if found in MODULES:
                    yield found


def storey(module: str) -> str:
    """The file or folder of the package that a module belongs to; empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def below(module: str) -> set[str]:
    """What a module may import from: its own folder and the floors below."""
    floor = next((number for number, storeys in enumerate(FLOORS) if storey(module) in storeys), None)
    assert floor is not None, f"{storey(module)} has no floor yet; add it to FLOORS and to CONTRIBUTING.md"
    return {storey(module)}.union(*FLOORS[:floor])


@pytest.mark.parametrize("module", PARTS)
def test_no_import_runs_upward_or_sideways(module):
    allowed = below(module)
    assert [other for other in imports(module) if storey(other) and storey(other) not in allowed] == []


def test_no_import_runs_in_a_circle():
    TopologicalSorter({module: set(imports(module)) - {"dml_teach"} for module in PARTS}).prepare()


@pytest.mark.parametrize("heavy", ["torch", "matplotlib", "IPython", "numpy"])
def test_importing_the_package_stays_light(heavy):
    program = f"import sys, dml_teach; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, timeout=60).returncode == 0


# --- versions ---


def direct(*extras: str) -> dict[str, Requirement]:
    """Requirements by name: the core's and those of the extras, without references to the project itself."""
    lines = PROJECT["dependencies"] + [line for extra in extras for line in EXTRAS[extra]]
    found = {canonicalize_name(requirement.name): requirement for requirement in map(Requirement, lines)}
    found.pop("dml-teach", None)
    return found


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def conda_specs() -> list[str]:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    return [spec for spec in environment["dependencies"] if isinstance(spec, str)]


@pytest.mark.parametrize("name", sorted(direct(*EXTRAS)))
def test_constraints_pin_each_direct_requirement_within_its_range(name):
    assert direct(*EXTRAS)[name].specifier.contains(pins()[name])


def test_constraints_leave_the_choice_between_cpu_and_gpu():
    assert [name for name in pins() if name.startswith(("nvidia", "cuda", "triton"))] == []
    assert [version for version in pins().values() if "+" in version] == []


@pytest.mark.parametrize("spec", conda_specs())
def test_conda_can_read(spec):
    assert MatchSpec(spec).name is not None


def test_environment_yml_asks_for_what_pyproject_asks_for():
    wanted = {CONDA_NAMES.get(name, name): str(requirement.specifier) for name, requirement in direct("course").items()}
    wanted |= {"python": PROJECT["requires-python"], "pip": ""}
    assert dict((spec + " ").split(" ", 1) for spec in conda_specs()) == {
        name: f"{specifier} ".lstrip() for name, specifier in wanted.items()
    }


def test_one_version_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == dml_teach.__version__ == PROJECT["version"]


# --- packages ---


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """File names in the wheel and in the sdist, built from this folder without a network."""
    folder = tmp_path_factory.mktemp("packages")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel, tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        return {"wheel": wheel.namelist(), "sdist": [name.partition("/")[2] for name in sdist.getnames()]}


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("name", ["py.typed", "data/fashion_mnist_slice.LICENSE"])
def test_a_package_holds(packages, kind, name):
    assert f"dml_teach/{name}" in packages[kind]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_holds_every_file_of_the_library(packages, kind):
    files = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} - set(packages[kind]) == set()


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_package_holds_no_solution(packages, kind):
    assert [name for name in packages[kind] if "solutions" in name.split("/")] == []


def test_the_wheel_holds_the_package_and_its_licences_alone(packages):
    tops = {name.split("/")[0] for name in packages["wheel"]}
    assert tops == {"dml_teach", f"dml_teach-{dml_teach.__version__}.dist-info"}


# --- every file ---


def house_files() -> list[Path]:
    """Files that git tracks or would track."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout, so the files of the house are not known from others")
    return [ROOT / name for name in os.fsdecode(listed).split("\0") if name and (ROOT / name).is_file()]


def test_no_file_tells_of_the_machine_it_was_written_on_or_of_work_left_undone():
    found = []
    for path in house_files():
        data = path.read_bytes()
        if b"\0" not in data and (match := FORBIDDEN.search(LONG_DATA.sub("", data.decode("utf-8")))):
            found.append(f"{path.relative_to(ROOT)}: {match[0]!r}")
    assert found == []
