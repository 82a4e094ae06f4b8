"""A few configurations that cover every pair of values that can occur together: `Space.check_closed` tries them.

A rule of `TrialConfig` concerns one or two fields (a penalty and a normalisation), so pairs suffice; unlike
combinations, their number does not grow with the product of all choices.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from search_spaces.distributions import kind_of
from search_spaces.hints import Value
from search_spaces.parameter import Parameter

_PATIENCE = 100
"""Stop after this many rows without a new pair."""


@dataclass
class _Probe:
    """A bound or choice of a parameter.

    Attributes:
        value: of the parameter.
        bit: its own, among all probes of the space.
        met: the bits of the probes that came before it in a row.
        taken: whether a row has it.
    """

    value: Value
    bit: int
    met: int = 0
    taken: bool = False


def pairwise(parameters: Sequence[Parameter], constants: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
    """Yield values by name of the active parameters, until every pair of probes that can meet has done so.

    Greedy: each parameter in turn takes the probe with the most new pairs in the row so far. Ties are broken by a fixed
    generator: taking turns would keep some parents from ever meeting.
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
