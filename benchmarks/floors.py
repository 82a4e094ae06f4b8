"""The train-versus-test floor and the noise ceiling of every metric: `python benchmarks/floors.py`.

Real train images against the test images (a perfect generator does as well), and uniform noise against them, for
several numbers of generated images. One thread, about two minutes on Fashion-MNIST with the classifier extractor.
"""

import argparse
from pathlib import Path

from trainables.data import FashionMnist, Split
from trainables.evaluation.config import Evaluation
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.extractors_inception import InceptionExtractor
from trainables.evaluation.metrics import METRICS
from trainables.evaluation.prepare import noise_images, prepare, sampled, split_images
from trainables.threads import fixed_threads


def main() -> None:
    """Print one row for the floor and one for the ceiling of each number of images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 5_000, 1_000])
    parser.add_argument("--inception", type=Path, help="torch-fidelity's weights, to measure with these instead")
    options = parser.parse_args()
    values = {"split": Split.TEST, "metrics": tuple(METRICS)}
    if options.inception:
        values["extractor"] = InceptionExtractor(weights=options.inception)
    for i, count in enumerate(options.counts):
        evaluation = Evaluation.model_validate(values | {"count": count})
        with fixed_threads(1):
            prepared = prepare(FashionMnist(), evaluation)
            evaluator = Evaluator(prepared)
            if i == 0:
                print("| images | of | " + " | ".join(evaluator.keys) + " |")
                print("|" + "---|" * (2 + len(evaluator.keys)))
            train = split_images(sampled(prepared.dataset.train, count), evaluation.batch)
            noise = noise_images(evaluation, prepared.extractor.input_shape)
            for name, images in (("train", train), ("noise", noise)):
                measured = evaluator.evaluate(images)
                print(f"| {count:,} | {name} | " + " | ".join(f"{measured[key]:.3g}" for key in evaluator.keys) + " |")


if __name__ == "__main__":
    main()
