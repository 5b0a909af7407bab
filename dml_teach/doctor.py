"""What is installed, which device a run would use, which data are found, and what to do next."""

import importlib.util
import os
import platform
import sys
from pathlib import Path

import torch

from dml_teach import __version__, devices, models, provenance
from dml_teach.data import bundled, cifar, market1501, omniglot, tiny_market
from dml_teach.errors import DmlTeachError

MARKET = "market1501-128x64"  # where `market1501.prepare` puts its images
COURSE = ("jupyterlab", "ipywidgets", "jupytext", "matplotlib")


def examine(root: Path | None = None) -> str:
    """A report in plain text; `root` is where to look for CIFAR-10 and CIFAR-100."""
    missing = [name for name in COURSE if importlib.util.find_spec(name) is None]
    cifar10, cifar100 = (cifar.locate(archive, root) for archive in (cifar.CIFAR10, cifar.CIFAR100))
    facts = [
        ("dml_teach", f"{__version__} on Python {platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("PyTorch", f"{torch.__version__}, torchvision {provenance.version('torchvision') or 'missing'}"),
        ("device", _device()),
        ("precision", _precision()),
        ("peers", _peers()),
        ("networks", ", ".join(models.NAMES)),
        ("course", "ready" if not missing else f"missing: {', '.join(missing)}"),
        ("bundled data", _bundled()),
        ("CIFAR-10", str(cifar10 or "not found")),
        ("CIFAR-100", str(cifar100 or "not found")),
        *_retrieval(),
    ]
    width = max(len(name) for name, _ in facts)
    lines = [f"{name:<{width}}  {value}" for name, value in facts]
    return "\n".join([*lines, "", "Next", *(f"  {step}" for step in _next(missing, cifar100 is not None))])


def _device() -> str:
    device = devices.choose()
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)} (cuda)"
    return f"{provenance.processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads ({device.type})"


def _precision() -> str:
    device = devices.choose()
    auto = devices.precision("auto", device)
    faster = {"bf16": "multiplies bf16 in hardware", "fp16": "has no bf16", "fp32": "gains nothing from less"}
    return f"{auto} for laptop and paper recipes ({device.type} {faster[auto]}), fp32 in the classroom; channels_last"


def _peers() -> str:
    if devices.choose().type == "cpu":
        return "a thread for each, with one thread inside; depthwise convolutions in fp32; plain optimizers"
    return "one after the other in the device's queue; fused optimizers on CUDA; compiling when asked (--compile)"


def _bundled() -> str:
    try:
        return f"{len(bundled.load('train'))} training and {len(bundled.load('test'))} test images of Fashion-MNIST"
    except DmlTeachError as error:
        return f"damaged: {error}"


def _retrieval() -> list[tuple[str, str]]:
    """Where the tests of retrieval are: in the folder that `market1501.cache_folder` names."""
    kept = market1501.cache_folder()
    market, characters = kept / MARKET, kept / omniglot.FILE
    drawn = any(kept.glob(f"{tiny_market.NAME} *".replace(" ", "_")))
    return [
        ("TinyMarket", "drawn" if drawn else "is drawn on first use, in seconds"),
        ("Omniglot", str(characters) if characters.is_file() else f"not found; --data FOLDER with {omniglot.FILE}"),
        (
            "Market-1501",
            str(market) if market.is_dir() else "not prepared; dml-teach data market1501 --from PATH of your copy",
        ),
    ]


def _next(missing: list[str], cifar100: bool) -> list[str]:
    """Pairs of a command and what it does, as indented lines."""
    course = ("jupyter lab book/", "the course; begin with 00_welcome")
    if missing:
        course = (f"{Path(sys.executable).name} -m pip install 'dml_teach[course]'", "what the notebooks need")
    train = ("dml-teach train cifar100 --download", "fetches CIFAR-100 (169 MB) and trains; or --data FOLDER")
    if cifar100:
        train = ("dml-teach train cifar100 --subset 10000", "two ResNet-32 that teach each other")
    demo = ("dml-teach demo", "independent, distilled and mutual networks, three minutes")
    people = ("dml-teach train tiny-market", "two networks that learn to find people again, who are drawn by code")
    return [line for command, purpose in (demo, course, train, people) for line in (command, f"    {purpose}")]
