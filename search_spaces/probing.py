"""Few configurations that together hold every pair of values that can meet: what `Space.check_closed` tries.

A rule of `TrialConfig` speaks of one or two fields (a penalty and a normalisation), so pairs suffice; their number
does not grow with the product of all choices, as that of the combinations does.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from search_spaces.distributions import kind_of
from search_spaces.hints import Value
from search_spaces.parameter import Parameter

_PATIENCE = 100
"""Rows without a new pair after which none is expected."""


@dataclass
class _Probe:
    """A bound or choice of a parameter.

    Attributes:
        value: of the parameter.
        bit: its own, among all probes of the space.
        met: the bits of the probes that were in a row with it, before it.
        taken: whether a row has it.
    """

    value: Value
    bit: int
    met: int = 0
    taken: bool = False


def pairwise(parameters: Sequence[Parameter], constants: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Yield values by name of the active parameters, until every pair of probes that can meet has done so.

    Greedy: each parameter in turn takes the probe that meets most of the row so far for the first time. Which of equal
    ones is drawn (always alike): turns would go in step and never bring some parents together.
    """
    rng = random.Random(0)
    probes: dict[str, list[_Probe]] = {}
    count = 0
    for parameter in parameters:
        values = kind_of(parameter.distribution).probes(parameter.distribution)
        probes[parameter.name] = [_Probe(value, 1 << (count + k)) for k, value in enumerate(values)]
        count += len(values)
    idle = 0
    while idle < _PATIENCE:
        row: dict[str, Value] = {}
        bits, new = 0, not parameters
        filled = dict(constants)
        for parameter in parameters:
            if not parameter.active(filled):
                continue
            options = probes[parameter.name]
            news = [(bits & ~probe.met).bit_count() for probe in options]
            chosen = rng.choice([probe for probe, one in zip(options, news, strict=True) if one == max(news)])
            new = new or not chosen.taken or bool(bits & ~chosen.met)
            chosen.met |= bits
            chosen.taken = True
            bits |= chosen.bit
            row[parameter.name] = chosen.value
            filled.update(parameter.fills(chosen.value))
        if new:
            yield row
        if not parameters:
            return
        idle = 0 if new else idle + 1
