"""What a training's metrics are called in MLflow, so that its pages show first what one looks for.

MLflow puts the charts of a run in sections by what is before the `/` of their names, sorts both by name, and has what
is in no section at the end. The pictures of samples are in the section `samples`, see `images.py`.
"""

SECTIONS = {
    "scores": ("fid_best", "fid", "inception_score", "kid", "kid_std", "precision", "recall"),
    "training": ("loss_g", "loss_d", "d_real", "d_fake", "grad_norm_g", "grad_norm_d"),
    "variety": ("class_kl", "collapsed", "coverage", "density", "modes_covered"),
}
"""What is not here, as kimg and seconds, is in no section."""

_TEST = "test_"
_SECTION = {name: section for section, names in SECTIONS.items() for name in names}


_ORDER = ("scores", "", "variety", "training")  # of MLflow's tables, which show values as they came


def first_read(name: str) -> int:
    """Return where a metric comes among those of a report, by its name in MLflow."""
    section = name.rpartition("/")[0]
    return _ORDER.index(section) if section in _ORDER else len(_ORDER)


def placed(name: str) -> str:
    """Return MLflow's name of a metric of a report, or of one on test images.

    >>> placed("fid"), placed("test_fid"), placed("kimg")
    ('scores/fid', 'scores/test_fid', 'kimg')
    """
    section = _SECTION.get(name.removeprefix(_TEST))
    return f"{section}/{name}" if section else name
