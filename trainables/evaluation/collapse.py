"""Whether a generator has collapsed: it makes few kinds of images, but not because it has learnt little so far.

A generator that has learnt little covers few classes and has no recall either, but its FID is falling, or at its
best, and its images do not lie among the real ones. So a lack of variety (few classes, or next to no recall) is a
collapse in two cases only:

- the images are good nevertheless (density): it does a small part of its task well;
- the FID has risen above the trial's best: it had more variety, or was on its way to it, and lost it.

The thresholds separate runs measured on Fashion-MNIST (small DCGANs and MLPs, 1 kimg to a report), and real images
of some of the classes. This is not `diverged`: every number is finite, and a trial may recover.
"""

from collections.abc import Mapping

FEW = 0.5
"""Fraction of the data's classes below which few are covered: a healthy run had 0.6 or more from 1 kimg on."""

NO_RECALL = 0.01
"""Recall below which there is next to none: one real image of each class, repeated, has 0; healthy runs exceed it
within 7 kimg."""

GOOD = 0.7
"""Density of good images: real images of one class have 0.95 to 1.05, generators of 10 kimg 0.3 to 0.5. (Not precision:
that is fooled by outliers with large balls. And not lower: where reals are few, 180 digits say, noise has 0.4.)"""

RISE_FEW_CLASSES, RISE_NO_RECALL = 1.25, 2.0
"""FID over the best. Runs that went on to get better wavered by 1.17 (hinge, spectral norm) and 1.23 (Wasserstein
without a penalty); those that lost all classes but one stayed at 1.3 to 1.6. Recall alone is the weaker sign."""


def collapsed(measured: Mapping[str, float], fid_best: float, classes: int) -> bool:
    """Tell whether a generator has collapsed.

    Args:
        measured: by an `Evaluator`. What is missing counts as healthy: without `modes_covered` and `recall` the
            answer is no.
        fid_best: the lowest FID of the trial, this one included.
        classes: the number of classes that the real images have.
    """
    few_classes = measured.get("modes_covered", classes) < FEW * classes
    no_recall = measured.get("recall", 1.0) < NO_RECALL
    rise = measured["fid"] / fid_best if fid_best > 0 else 1.0
    good = measured.get("density", 0.0) >= GOOD
    return (
        ((few_classes or no_recall) and good)
        or (few_classes and rise >= RISE_FEW_CLASSES)
        or (no_recall and rise >= RISE_NO_RECALL)
    )
