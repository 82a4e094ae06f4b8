"""Student's t, in closed form: scipy's takes 0.4 s to import, and `ganstudy best` as a whole no more than 0.5 s."""

import math

_HALVINGS = 60  # of an interval of pi/2: down to the last bits of a double


def student_t(level: float, degrees: int) -> float:
    """Return the t for which |T| <= t with probability `level`, T being Student's with `degrees` >= 1 of freedom.

    Abramowitz & Stegun 1964, equations 26.7.3 and 26.7.4, inverted by bisection over the angle atan(t / sqrt(degrees)).
    """
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _within(middle, degrees) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def _within(angle: float, degrees: int) -> float:
    """P(|T| <= sqrt(degrees) * tan(angle))."""
    odd = degrees % 2
    cosine = math.cos(angle)
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1, (degrees - odd) // 2 + 1):
        total += term
        term *= cosine * cosine * (2 * k - 1 + odd) / (2 * k + odd)
    series = math.sin(angle) * total
    return 2 / math.pi * (angle + series) if odd else series
