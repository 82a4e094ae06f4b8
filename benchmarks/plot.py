"""Puts the committed results into docs/performance.md, as tables and plots: `python benchmarks/plot.py`.

Reads benchmarks/results/*.json; replaces what stands between `<!-- NAME -->` and `<!-- /NAME -->` in the page, and
writes docs/images/bench-*.svg. What was not measured is said to be so. Measures nothing itself.
"""

import json
import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import yaml

ROOT = Path(__file__).parents[1]
PAGE, IMAGES, RESULTS = ROOT / "docs" / "performance.md", ROOT / "docs" / "images", ROOT / "benchmarks" / "results"
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#7f7f7f")
TICKS = 15, 20, 30, 50, 100
LEVELS = TICKS[:3]
Result = Mapping[str, Any]


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Markdown, the first column to the left and the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def where(result: Result) -> str:
    """The machine in a line."""
    m = result["machine"]
    flags = ", ".join(m["flags"])
    load = result.get("load_before", m["load_average"])
    gpu = f"{m['gpu']}; " if m.get("gpu") else ""
    machine = f"{gpu}{m['cpu']} ({m['cores']} cores; {flags}), torch {m['versions']['torch']}"
    return f"\n\n{machine}, {m['at']}, load {load[0]} before."


def step(result: Result) -> str:
    """Ours against others, each network."""
    parts = []
    for network, of in result["compared"].items():
        rows = [
            (case, f"{r['images_per_second']:,.0f}", f"{r['low']:,.0f} to {r['high']:,.0f}")
            for case, r in of["rates"].items()
        ]
        ratios = [
            (pair, f"{r['median']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}") for pair, r in of["ratios"].items()
        ]
        parts += [
            f"**{network}**",
            table(["", "images/s", "over rounds"], rows),
            table(["ratio", "median", "over rounds"], ratios),
        ]
    _bars(result)
    parts.append("![Images per second of one core](images/bench-step.svg)")
    for network, of in result["variants"].items():
        names = [name.removesuffix(", float32") for name in of if name.endswith(", float32")]
        rates = [[f"{of[f'{name}, {p}']['images_per_second']:,.0f}" for p in ("float32", "bf16")] for name in names]
        parts += [
            f"**{network}** with",
            table(["", "float32, images/s", "bf16"], [(n, *r) for n, r in zip(names, rates, strict=True)]),
        ]
    return "\n\n".join(parts) + where(result)


def step_profile(result: Result) -> str:
    """Where a step's time goes."""
    cases = result["cases"]
    groups = list(next(iter(cases.values()))["share"])
    rows = [
        (case, f"{of['ms_per_step']:.2f}", *(f"{of['share'][g]:.0%}" for g in groups)) for case, of in cases.items()
    ]
    return table(["", "ms a step", *groups], rows) + where(result)


def evaluation(result: Result) -> str:
    """Where an evaluation's time goes, and what cheaper ones change."""
    generators = result["generators"]
    phases = list(next(iter(generators.values()))["phases"])
    one = [
        (name, f"{g['train_seconds_per_kimg']:.2f}", *(f"{g['phases'][p]:.3f}" for p in phases))
        for name, g in generators.items()
    ]
    two = []
    for name, g in generators.items():
        for kind, of in g["judged"].items():
            count, precision = kind.split(", ")
            moved = ""
            if precision == "bf16":
                plain = g["judged"][f"{count}, float32"]
                moved = f"{(of['mean'] - plain['mean']) / max(plain['sd'], 1e-9):+.1f}"
            two.append((name, count, precision, f"{of['mean']:.2f}", f"{of['sd']:.2f}", moved, f"{of['seconds']:.2f}"))
    head = ["", "images", "", "FID", "sd over latents", "bf16 moves it by, in sd", "seconds"]
    tables = [table(["seconds", "training, per kimg", *phases], one), table(head, two), _shares(generators)]
    return "\n\n".join(tables) + where(result)


def _shares(generators: Result) -> str:
    """The part of a trial's time that its reports take at the quickstart's schedule, from what was measured."""
    study = yaml.safe_load((ROOT / "studies" / "quickstart.yaml").read_text())
    schedule, full, fewer = study["schedule"], study["evaluation"]["count"], study["evaluation"]["rung_count"]
    end, every = schedule["max_kimg"], schedule["grace_kimg"]
    rungs = [every * schedule["reduction_factor"] ** i for i in range(9)]
    budgets = [rung for rung in rungs if rung < end] + [end]
    ways = [(f"{n:,} {p}", n, p) for p in ("float32", "bf16") for n in (full, fewer)]
    rows = []
    for name, g in generators.items():
        if not name.endswith(f", {every} kimg"):
            continue
        rest = g["phases"]["pictures"] + g["phases"]["checkpoint"]
        for budget in budgets:
            shares = []
            for _, below, precision in ways:
                at = [full if kimg == end else below for kimg in range(every, budget + 1, every)]
                judging = sum(g["judged"][f"{count}, {precision}"]["seconds"] + rest for count in at)
                spent = g["phases"]["pictures"] + judging  # the first report has those of step 0 too
                shares.append(f"{spent / (spent + budget * g['train_seconds_per_kimg']):.1%}")
            rows.append((f"{name.partition(',')[0]}, trained to {budget} kimg", *shares))
    return table([f"reports, of a trial's time; below {end} kimg by", *(name for name, *_ in ways)], rows)


def quality(result: Result) -> str:
    """Cheaper steps against plain ones."""
    rows = []
    for name, of in result["compared"].items():
        for way, fid in of["fid"].items():
            d = of["less_plain"].get(way)
            apart = (f"{d['mean']:+.2f}", f"{d['low']:+.2f} to {d['high']:+.2f}") if d else ("", "")
            verdict = ("no loss" if d["no_loss"] else "not shown") if d else ""
            rows.append((f"{name}, {way}", fid["seeds"], f"{fid['mean']:.2f} ± {fid['sd']:.2f}", *apart, verdict))
    head = ["", "seeds", "FID", "less plain", "95 % interval", "loss below 5 %"]
    return f"At {result['settings']['kimg']} kimg:\n\n" + table(head, rows) + where(result)


def overhead(result: Result) -> str:
    """What a study costs beside training."""

    def seconds(key: str) -> str:
        of = result[key]
        return f"{of['median']:.2f} s ({of['low']:.2f} to {of['high']:.2f})" if of else "-"

    cpu = result["cpu_per_second"]
    rows = [
        ("wall time", f"{result['wall_seconds']:.0f} s"),
        ("launch to the first trial's work", f"{result['launch_to_first_step_seconds']:.1f} s"),
        ("busy part of the slots, to the end", f"{result['busy']:.1%}"),
        ("... until the last trial starts", f"{result['busy_until_the_last_trial_starts']:.1%}"),
        ("evaluation, of the busy time", f"{result['evaluation_of_busy']:.1%}"),
        ("between two reports of a trial", seconds("between_reports_seconds")),
        ("from a trial's end to the next one's work", seconds("switch_seconds")),
        ("after the last report", f"{result['end_seconds']:.1f} s"),
        *((f"CPU of {kind}, per second", f"{share:.3f} s") for kind, share in cpu.items()),
    ]
    return table([f"{result['settings']['study']}, {result['trials']} trials", ""], rows) + where(result)


def switch(result: Result) -> str:
    """Ours beside Ray Tune's own."""
    rounds, more = result["rounds"], result["ours_less_ray_tune"]

    def row(name: str, seconds: Sequence[float]) -> tuple[str, str, str]:
        ms = [1000 * value for value in seconds]
        return name, f"{statistics.median(ms):.0f} ms", f"{min(ms):.0f} to {max(ms):.0f}"

    rows = [
        row("ganstudy", [of["ours"] for of in rounds]),
        row("Ray Tune, of trials that do nothing", [of["ray_tune"] for of in rounds]),
        row("the difference", [more[key] for key in ("low", "median", "high")]),
    ]
    return table(["from a trial's end to the next one's work", "median", "over rounds"], rows) + where(result)


def sampling(result: Result) -> str:
    """How long a slot waits for its next configuration."""
    ways = result["next_seconds"]
    rows = [(count, *(_milliseconds(way[count]) for way in ways.values())) for count in next(iter(ways.values()))]
    found = result["knowledge"]
    best, apart = found["best"], found["ahead_less_free"]
    means = " and ".join(f"{statistics.mean(fids):.2f} {way}" for way, fids in best.items())
    told = (
        f"Mean best FID of {len(next(iter(best.values())))} made-up studies of {found['trials']} trials: {means}; "
        f"the difference is {apart['mean']:+.2f} ({apart['low']:+.2f} to {apart['high']:+.2f})."
    )
    return f"{table(['trials before', *ways], rows)}\n\n{told}" + where(result)


def _milliseconds(of: Mapping[str, float]) -> str:
    median, low, high = (1000 * of[part] for part in ("median", "low", "high"))
    return f"{median:.0f} ms ({low:.0f} to {high:.0f})"


def memory(result: Result) -> str:
    """RSS."""
    sizes = result["rss_mb"]
    places = [f"{sizes[at]:.0f} MB after {at + 1}" for at in (0, len(sizes) // 2, len(sizes) - 1)]
    return f"{', '.join(places)} trials: {result['kb_per_trial']:.0f} KB a trial over the second half." + where(result)


def study(result: Result, image: str = "bench-study") -> str:
    """Ours against what a user would take instead."""
    seconds = 60 * result["settings"]["minutes"]

    def parts(found: Iterable[float | None]) -> str:
        return ", ".join("never" if at is None else f"{at:.0%}" for at in found)

    rows = []
    for name, of in result["compared"].items():
        own = parts(run["curve"][-1][0] / seconds for run in result["runs"] if run["name"] == name and run["curve"])
        bests = ", ".join(f"{fid:.1f}" for fid in of["best"])
        ours = parts(of.get("ours_reached_it_after", []))
        rows.append((name, f"{of['median_best']:.1f}", bests, sum(of["trials"]), sum(of["completed"]), own, ours))
    head = [
        "",
        "median best FID",
        "best FID by seed",
        "trials",
        "trained to the end",
        "reached after (of the time)",
        "ours reached that FID after",
    ]
    columns = [f"to an FID of {fid}" for fid in reversed(LEVELS)]
    times = table(["seconds by seed", *columns], [(name, *_times(result, name)) for name in result["compared"]])
    _curves(result, image)
    plot = f"![Best FID against wall time](images/{image}.svg)"
    return (
        f"{result['settings']['minutes']:g} minutes each:\n\n"
        + f"{table(head, rows)}\n\n{times}\n\n{plot}"
        + where(result)
    )


def _times(result: Result, name: str) -> list[str]:
    """The seconds after which each seed's curve came down to each level."""
    curves = [run["curve"] for run in result["runs"] if run["name"] == name]
    reached = [[next((f"{at:.0f}" for at, best in c if best <= fid), "never") for c in curves] for fid in LEVELS]
    return [", ".join(of) for of in reversed(reached)]


def gpu(result: Result) -> str:
    """Eager against graphs, some trials on one GPU at once."""
    counts, parts = result["settings"]["trials"], []
    for network, of in result["compared"].items():
        rates, rows = of["rates"], []
        for kind in dict.fromkeys(name.rsplit(", ", 1)[0] for name in rates if not name.endswith("floor")):
            rows.append((kind, *(f"{rates[f'{kind}, {count}']['images_per_second']:,.0f}" for count in counts)))
        rows += [
            (name, f"{rate['images_per_second']:,.0f}", *[""] * (len(counts) - 1))
            for name, rate in rates.items()
            if name.endswith("floor")
        ]
        ratios = [(p, f"{r['median']:.2f}", f"{r['low']:.2f} to {r['high']:.2f}") for p, r in of["ratios"].items()]
        head = [f"**{network}**, images/s together", *(f"{n} trial{'s' * (n > 1)}" for n in counts)]
        parts += [table(head, rows), table(["ratio", "median", "over rounds"], ratios)]
    warning = "" if result["settings"]["device"] == "cuda" else "Not of a GPU: the script was only tried out.\n\n"
    return warning + "\n\n".join(parts) + where(result)


SECTIONS: dict[str, Callable[[Result], str]] = {
    "step": step,
    "step_profile": step_profile,
    "evaluation": evaluation,
    "quality": quality,
    "overhead": overhead,
    "switch": switch,
    "sampling": sampling,
    "memory": memory,
    "study": study,
    "study_long": partial(study, image="bench-study-long"),
    "study_average": partial(study, image="bench-study-average"),
    "gpu": gpu,
}
MISSING = {"gpu": "Not measured: no GPU was lent."}
"""What is said where there is no result, if not that it was not measured yet."""


def _bars(result: Result) -> None:
    lines, top = [], 30
    for network, of in result["compared"].items():
        most = max(r["images_per_second"] for r in of["rates"].values())
        lines.append(_text(10, top, network, weight="bold"))
        for case, r in of["rates"].items():
            top += 20
            colour = COLOURS[0] if case.startswith("ours") else COLOURS[3] if case.startswith("bare") else COLOURS[1]
            width = 320 * r["images_per_second"] / most
            lines.append(f'<rect x="290" y="{top - 12}" width="{width:.1f}" height="15" fill="{colour}"/>')
            lines.append(_text(10, top, case) + _text(296 + width, top, f"{r['images_per_second']:,.0f}"))
        top += 34
    _save("bench-step", 690, top, lines)


def _curves(result: Result, image: str) -> None:
    runs = [run for run in result["runs"] if run["curve"]]
    seconds = 60 * result["settings"]["minutes"]
    high = max(fid for run in runs for _, fid in run["curve"])
    low = min(run["best"] for run in runs)

    def down(fid: float) -> float:  # on a logarithmic scale: the last gains are the smallest
        return 20 + 280 * math.log(high / fid) / math.log(high / low)

    def at(second: float, fid: float) -> str:
        return f"{60 + 560 * second / seconds:.1f},{down(fid):.1f}"

    lines = ['<path d="M60,20 V300 H620" fill="none" stroke="#444"/>', _text(5, 14, "FID")]
    for fid in (low, *(tick for tick in TICKS if 1.1 * low < tick < high)):
        lines.append(f'<path d="M60,{down(fid):.1f} H620" stroke="#ddd"/>')
        lines.append(_text(20, down(fid) + 4, f"{fid:.3g}"))
    lines += [_text(560, 320, f"{seconds / 60:g} min")]
    names = list(dict.fromkeys(run["name"] for run in runs))
    for run in runs:
        points, last = [], None
        for second, fid in [*run["curve"], (seconds, run["best"])]:
            points += [at(second, last)] if last is not None else []
            points.append(at(second, fid))
            last = fid
        colour = COLOURS[names.index(run["name"])]
        lines.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    for place, name in enumerate(names):
        lines.append(f'<rect x="480" y="{30 + 20 * place}" width="12" height="12" fill="{COLOURS[place]}"/>')
        lines.append(_text(498, 41 + 20 * place, name))
    _save(image, 690, 330, lines)


def _text(x: float, y: float, words: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{escape(words)}</text>'


def _save(name: str, width: int, height: int, lines: Sequence[str]) -> None:
    size = f'width="{width}" height="{height}" font-family="sans-serif" font-size="13"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    back = '<rect width="100%" height="100%" fill="white"/>'
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.svg").write_text("\n".join([head, back, *lines, "</svg>"]) + "\n")


def main() -> None:
    """Fill the page in."""
    text = PAGE.read_text()
    for name, section in SECTIONS.items():
        file = RESULTS / f"{name}.json"
        missing = MISSING.get(name, "Not measured yet.")
        words = section(json.loads(file.read_text())) if file.exists() else missing
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text, found = pattern.subn(lambda match, words=words: f"{match[1]}\n{words}\n\n{match[2]}", text)
        if not found:
            raise SystemExit(f"{PAGE.name}: no place for {name}")
    PAGE.write_text(text)
    print(f"filled in: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
