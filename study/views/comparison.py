"""Two studies side by side, as columns."""

from collections.abc import Iterable

from rich.console import Console

from study.analysis.compare import Comparison, Confirmed, Side
from study.analysis.confirmation import LEVEL
from study.ledger.records import TrialState
from study.terminal.say import say
from study.views.tables import duration, folded_table, number


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print both sides as columns."""
    sides = comparison.sides
    states = [str(state) for state in TrialState if any(side.states.get(state) for side in sides)]
    names = [
        "trials",
        *states,
        "kimg over all trials",
        "training and evaluation",
        "wall time",
        *(f"best FID at {kimg} kimg" for kimg in sides[0].best_at),
        f"lowest FID after {comparison.cost:,} kimg",
        "best trial",
        "",
    ]
    columns = [("", "left"), *((side.name, "left") for side in sides)]
    console.print(folded_table(columns, zip(names, *(_cells(side, states) for side in sides), strict=True)))
    if comparison.apart:
        console.print()
        settings = [[key, *(str(value) for value in values)] for key, values in comparison.apart.items()]
        console.print(folded_table([("settings that differ", "left"), *columns[1:]], settings))
    say(console, _verdict(comparison), "dim")


def _cells(side: Side, states: Iterable[str]) -> list[str]:
    best = side.best
    return [
        str(side.trials),
        *(str(side.states.get(state, 0)) for state in states),
        f"{side.kimg:,}",
        duration(side.seconds),
        duration(side.wall_seconds),
        *(number(fid) for fid in side.best_at.values()),
        number(side.best_at_equal_cost),
        f"{number(best['fid_best'])} (trial {best['trial']}, {best['kimg']} kimg)" if best else "-",
        best["configuration"] if best else "",
    ]


def _verdict(comparison: Comparison) -> str:
    """What it comes to, by the best evidence: confirmed winners on test images, else the studies' own FIDs."""
    return _confirmed(comparison, comparison.confirmed) if comparison.confirmed else _by_noise(comparison)


def _confirmed(comparison: Comparison, found: Confirmed) -> str:
    a, b = comparison.sides
    first, second = (f"{number(mean)} over {seeds} seeds" for mean, seeds in zip(found.means, found.seeds, strict=True))
    means = f"mean test FIDs of the confirmed winners: {a.name} {first}, {b.name} {second}"
    if found.interval is None:
        return f"{means}; of one seed nothing is known of chance"
    low, high = found.interval
    apart = f"{(a if low > 0 else b).name} is ahead" if low > 0 or high < 0 else "they are tied"
    return f"{means}: {apart}, {LEVEL:.0%} interval of the difference {number(low)} to {number(high)} (Welch's t)"


def _by_noise(comparison: Comparison) -> str:
    kimg, least, sides = comparison.noise_kimg, comparison.least_difference, comparison.sides
    if kimg is None:
        return "there is no budget at which both have reported"
    a, b = (side.best_at[kimg] for side in sides)
    if a is None or b is None:
        return f"at {kimg} kimg one of the two has no trial that is ranked"
    lead = f"at {kimg} kimg {sides[0 if a < b else 1].name} is ahead by {abs(a - b):.3g}" if a != b else "equal"
    if least is None:
        return f"{lead}; the noise there is not measured (ganstudy noise), and the best of more trials is lower by luck"
    known = "more" if abs(a - b) > least else "no more"
    return f"{lead}: {known} than single runs differ by chance ({least:.3g}); the best of more trials is lower by luck"
