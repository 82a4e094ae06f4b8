"""Train the classifier of Fashion-MNIST that ships: `python -m trainables.evaluation.train_classifier`.

Writes the weights and, beside them, where they come from; prints the SHA-256 to pin in `extractors.py`.
Trains on the 50,000 train images only; the test accuracy is on the official 10,000, which decide nothing.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch

from trainables.data.fashion_mnist import FashionMnist
from trainables.evaluation import classifier
from trainables.evaluation.extractors import SHIPPED_SHA256, shipped_path
from trainables.evaluation.extractors_trained import serialise
from trainables.files import write_named
from trainables.tensors import weights_digest
from trainables.threads import fixed_threads

ACCURACY_MIN = 0.91


def main(arguments: list[str] | None = None) -> int:
    """Train, measure and write; return 1 and write nothing if the accuracy is below 91 %."""
    parser = argparse.ArgumentParser(prog="python -m trainables.evaluation.train_classifier", description=__doc__)
    parser.add_argument("--threads", type=int, default=2, help="changes the last bits of the weights")
    parser.add_argument("--output", type=Path, default=shipped_path(), help="the .safetensors file to write")
    options = parser.parse_args(arguments)

    dataset = FashionMnist().load()
    print(f"fashion_mnist: {len(dataset.train)} train images, digest {dataset.digest[:16]}", flush=True)
    with fixed_threads(options.threads):
        start = time.perf_counter()
        model = classifier.train(dataset, _print_progress)
        seconds = time.perf_counter() - start
        test = classifier.accuracy(model, dataset.test)
        validation = classifier.accuracy(model, dataset.validation)
    print(f"trained in {seconds:.0f} s: test accuracy {test:.2%}, validation accuracy {validation:.2%}")
    if test < ACCURACY_MIN:
        print(f"test accuracy {test:.2%} is below {ACCURACY_MIN:.0%}: nothing written")
        return 1

    arrays = classifier.state_arrays(model)
    content = serialise(arrays, test)
    sha256 = hashlib.sha256(content).hexdigest()
    facts: dict[str, Any] = {
        "file": options.output.name,
        "sha256": sha256,
        "weights_digest": weights_digest(arrays),
        "test_accuracy": test,
        "validation_accuracy": validation,
        "recipe": classifier.recipe(),
        "data": "fashion_mnist, size 28, first 50,000 of the official train images",
        "data_digest": dataset.digest,
        "threads": options.threads,
        "torch": torch.__version__.split("+")[0],
        "script": "python -m trainables.evaluation.train_classifier",
    }
    write_named(options.output, content)
    write_named(options.output.with_suffix(".json"), (json.dumps(facts, indent=2) + "\n").encode())
    print(f"wrote {options.output} ({len(content)} bytes)")
    pinned = "as pinned" if sha256 == SHIPPED_SHA256 else "not what is pinned: set SHIPPED_SHA256 to it"
    print(f"sha256 {sha256} ({pinned})")
    return 0


def _print_progress(step: int, steps: int, loss: float) -> None:
    print(f"step {step:5d} of {steps}  loss {loss:.4f}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
