"""How many real images an FID needs."""

from trainables.data.images import Dataset, Split
from trainables.evaluation.config import Evaluation


def too_few(dataset: Dataset, evaluation: Evaluation, dimension: int) -> str | None:
    """Say why the images are too few for an FID, and what to do; None if they are not.

    A split that is measured must have more images than there are features, else their covariance is singular. The
    floor compares train and test images, or two halves of them where every image is in every split.

    Args:
        dataset: the images.
        evaluation: how generators are measured.
        dimension: the number of features.
    """
    counts = {split: len(dataset.split(split)) for split in Split}
    least, total = 2 * (dimension + 1), sum(counts.values())
    rule = f"must be more than the extractor's {dimension} features"
    if dataset.shared:
        total = counts[Split.TRAIN]
        few = f"{dataset.name}: {total // 2} images in each half: {rule}; give more images"
        return f"{few} (now {total}, at least {least})" if total < least else None
    split = next((one for one in (evaluation.split, Split.TRAIN, Split.TEST) if counts[one] <= dimension), None)
    if split is None:
        return None
    now = ", ".join(f"{count} {one}" for one, count in counts.items())
    needed = f"at least {dimension + 1} {split} images"
    if 0.09 * total <= counts[split] <= 0.11 * total:  # a tenth, as the sources take where nobody else divides
        needed += f", about {10 * (dimension + 1)} in all"
    few = f"{dataset.name}: {counts[split]} {split} images: {rule}; give more images ({needed}; now {now})"
    if dataset.shared is None:
        return few
    if total < least:
        return f"{few}; with data.splits: all, {least} are enough"
    return f"{few}, or set data.splits: all, which measures against all {total}, the images that the GAN trains on"
