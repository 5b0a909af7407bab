"""List the byte-identical images of CIFAR-100 in book/recordings/duplicates/cifar100.json: hashes, labels, no pixels.

python tools/duplicates.py DIR        DIR is the folder of the data set, or its parent
"""

import argparse
import json
import sys
from pathlib import Path

import torch

from dml_teach import provenance
from dml_teach.data import cifar, duplicates
from dml_teach.errors import DmlTeachError
from dml_teach.files import write_atomic

TARGET = Path(__file__).resolve().parents[1] / "book" / "recordings" / "duplicates" / "cifar100.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        files = {part: cifar.load(cifar.CIFAR100, part, chosen.data) for part in ("train", "test")}
        found = duplicates.find(files)
        recorded = {
            "data": "cifar100",
            "images": {part: len(images) for part, images in files.items()},
            "provenance": provenance.collect(torch.device("cpu")) | {"command": "duplicates.py cifar"},
            "twins": [{"sha256": t.sha256, "copies": [copy._asdict() for copy in t.copies]} for t in found],
        }
        TARGET.parent.mkdir(exist_ok=True)
        write_atomic(TARGET, (json.dumps(recorded, indent=1) + "\n").encode())
    except (DmlTeachError, OSError) as error:
        print(f"duplicates: error: {error}", file=sys.stderr)
        return 2
    print(f"written: {TARGET} ({len(found)} images with copies, {sum(t.conflict for t in found)} with other labels)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
