"""Two studies side by side, as columns."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from study.analysis.compare import Comparison, Side
from study.ledger.records import TrialState
from study.terminal.say import say
from study.views.tables import duration, folded_table, number


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print both sides as columns."""
    sides = comparison.sides
    rows: list[list[str | Text]] = [
        ["trials", *(str(side.trials) for side in sides)],
        *_rows(
            (str(state), [str(s.states.get(state, 0)) for s in sides]) for state in TrialState if _any(sides, state)
        ),
        ["kimg over all trials", *(f"{side.kimg:,}" for side in sides)],
        ["training and evaluation", *(duration(side.seconds) for side in sides)],
        ["wall time", *(duration(side.wall_seconds) for side in sides)],
        *_rows((f"best FID at {kimg} kimg", [number(s.best_at[kimg]) for s in sides]) for kimg in sides[0].best_at),
        [f"lowest FID after {comparison.cost:,} kimg", *(number(side.best_at_equal_cost) for side in sides)],
        ["best trial", *(_best(side) for side in sides)],
        ["", *(side.best["configuration"] if side.best else "" for side in sides)],
    ]
    columns = [("", "left"), *((side.name, "left") for side in sides)]
    console.print(folded_table(columns, rows))
    if comparison.apart:
        console.print()
        settings = [[key, *(str(value) for value in values)] for key, values in comparison.apart.items()]
        console.print(folded_table([("settings that differ", "left"), *columns[1:]], settings))
    say(console, _verdict(comparison), "dim")


def _rows(pairs: Iterable[tuple[str, list[str]]]) -> Iterable[list[str | Text]]:
    return ([name, *values] for name, values in pairs)


def _any(sides: Iterable[Side], state: TrialState) -> bool:
    return any(side.states.get(state) for side in sides)


def _best(side: Side) -> str:
    return (
        f"{number(side.best['fid_best'])} (trial {side.best['trial']}, {side.best['kimg']} kimg)" if side.best else "-"
    )


def _verdict(comparison: Comparison) -> str:
    kimg, least, sides = comparison.noise_kimg, comparison.least_difference, comparison.sides
    if kimg is None:
        return "the two have no budget in common at which both have reported"
    a, b = (side.best_at[kimg] for side in sides)
    if a is None or b is None:
        return f"at {kimg} kimg one of the two has no trial that ranks"
    lead = f"at {kimg} kimg {sides[0 if a < b else 1].name} is ahead by {abs(a - b):.3g}" if a != b else "equal"
    if least is None:
        return f"{lead}; the noise there is not measured (ganstudy noise), and the best of more trials is lower by luck"
    known = "more" if abs(a - b) > least else "no more"
    return f"{lead}: {known} than single runs differ by chance ({least:.3g}); the best of more trials is lower by luck"
