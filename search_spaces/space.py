"""`Space`: what varies in a study, and under which conditions, as data."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from optuna.distributions import BaseDistribution

from search_spaces.distributions import kind_of, suggest_with
from search_spaces.dotted import GIVEN_BY_STUDY, check_settable, nest
from search_spaces.hints import Value, is_one_of, nearest
from search_spaces.narrowing import fix, narrow
from search_spaces.parameter import Baseline, Condition, Parameter
from search_spaces.probing import pairwise
from search_spaces.structure import possible, situations
from trainables.data import SOURCES
from trainables.display import quoted
from trainables.errors import InvalidInput
from trainables.gan.config import TrialConfig
from trainables.nested import flatten

__all__ = ["Baseline", "Condition", "Parameter", "Space", "SpaceRow", "Suggest", "Value", "suggest_with"]

Suggest = Callable[[str, BaseDistribution], Any]
"""Called for the value of one active parameter; must return one from its distribution."""


class SpaceRow(NamedTuple):
    """A line of the table that a space prints."""

    name: str
    kind: str
    range: str
    when: str


@dataclass(frozen=True)
class Space:
    """A conditional search space over `TrialConfig`.

    Attributes:
        name: what `SPACES` and study files call it.
        description: one line for `ganstudy spaces`.
        parameters: what varies; a parameter comes after those that its conditions look at.
        constants: settings that are the same in every trial, by path.
        baselines: configurations to try first.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    constants: Mapping[str, Value] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a space that contradicts itself.

        Raises:
            InvalidInput: naming the parameter, the rule and what to do.
        """
        self._check_names()
        self._check_paths()
        for index, parameter in enumerate(self.parameters):
            for condition in parameter.when:
                self._check_condition(index, parameter, condition)
        self._check_exclusive()
        self._check_baselines()

    # -- sampling -------------------------------------------------------------------------------------------

    def sample(self, suggest: Suggest) -> dict[str, Value]:
        """Ask `suggest` for every active parameter, in order; return the values by name."""
        params, _ = self._walk(lambda parameter: suggest(parameter.name, parameter.distribution))
        return params

    def build(
        self,
        params: Mapping[str, Value],
        *,
        data: Mapping[str, Any],
        evaluation: Mapping[str, Any],
        seed: int,
    ) -> TrialConfig:
        """Return the trial that `params` stand for.

        Args:
            params: values of exactly the active parameters, as from `sample`.
            data: `TrialConfig.data`, as plain data.
            evaluation: `TrialConfig.evaluation`, as plain data.
            seed: of the trial.

        Raises:
            InvalidInput: if `params` are not in the space, or do not make a valid configuration.
        """
        given = {"data": dict(data), "evaluation": dict(evaluation), "seed": seed}
        return TrialConfig.from_dict(nest(self.settings_of(params)) | given, f"space {self.name}")

    def distributions(self, params: Mapping[str, Value]) -> dict[str, BaseDistribution]:
        """Return the distributions of the active parameters, which are the keys of `params`.

        Raises:
            InvalidInput: if `params` are not in the space.
        """
        self.check(params)
        return {p.name: p.distribution for p in self.parameters if p.name in params}

    # -- membership -----------------------------------------------------------------------------------------

    def contains(self, what: TrialConfig | Mapping[str, Value]) -> bool:
        """Tell whether a configuration, or values by parameter name, could have been sampled here."""
        try:
            if isinstance(what, TrialConfig):
                self.params_of(what)
            else:
                self.check(what)
        except InvalidInput:
            return False
        return True

    def check(self, params: Mapping[str, Value]) -> None:
        """Refuse values that are not exactly the active parameters', each in range.

        Raises:
            InvalidInput: naming the first that is missing, inactive, unknown or out of range.
        """
        self.settings_of(params)

    def settings_of(self, params: Mapping[str, Value]) -> dict[str, Value]:
        """Return every setting that the constants and `params` fill, by path.

        Raises:
            InvalidInput: as `check`.
        """
        names = [p.name for p in self.parameters]
        for name in params:
            if name not in names:
                raise InvalidInput(f"{quoted(name)}: no parameter of space {self.name}; {nearest(name, names)}")

        def value_of(parameter: Parameter) -> Value:
            if parameter.name not in params:
                raise InvalidInput(f"{parameter.name!r}: is active and has no value; {_advice(parameter)}")
            return params[parameter.name]

        active, filled = self._walk(value_of)
        for name in params:
            if name not in active:
                when = " and ".join(str(c) for p in self.parameters if p.name == name for c in p.when)
                raise InvalidInput(f"{quoted(name)}: is only active when {when}; leave it out")
        return filled

    def params_of(self, config: TrialConfig) -> dict[str, Value]:
        """Return the values by parameter name that build `config`.

        Raises:
            InvalidInput: naming the first setting of `config` that this space cannot have.
        """
        whole = config.to_dict()
        given = {key: whole.pop(key) for key in GIVEN_BY_STUDY}
        settings = flatten(whole)
        params = self._params_at(settings)
        rebuilt = flatten(self.build(params, **given).to_dict())
        for path, value in settings.items():
            if path not in rebuilt or rebuilt[path] != value:
                raise InvalidInput(
                    f"{path} = {quoted(value)}: space {self.name} only has {quoted(rebuilt.get(path))} there; fix it"
                )
        return params

    def probes(self) -> Iterator[dict[str, Value]]:
        """Yield values by parameter name that cover every pair of bounds and choices that can occur together."""
        return pairwise(self.parameters, self.constants)

    def check_closed(self) -> None:
        """Build trials with every pair of bounds and choices that can occur together.

        Raises:
            InvalidInput: with the first that is not a valid `TrialConfig`.
        """
        for params in self.probes():
            try:
                self.build(params, data={"name": next(iter(SOURCES))}, evaluation={}, seed=0)
            except InvalidInput as error:
                raise InvalidInput(f"{error}; such trials are possible in this space") from None

    # -- smaller spaces -------------------------------------------------------------------------------------

    def narrowed(self, changes: Mapping[str, Any]) -> "Space":
        """Return a part of this space, with the baselines in it.

        Args:
            changes: by parameter name or path: {"low": .., "high": ..} or a list of choices.

        Raises:
            InvalidInput: if something is unknown or not a part of what it was.
        """
        if not changes:
            return self
        parameters = narrow(self.parameters, self.constants, changes)
        smaller = replace(self, parameters=parameters, baselines=())
        return replace(smaller, baselines=tuple(b for b in self.baselines if smaller.contains(b.params)))

    def fixed(self, changes: Mapping[str, Any]) -> "Space":
        """Return the space in which `changes` no longer vary; baselines take the new values if they then fit.

        Args:
            changes: values by parameter name or by path, nested or dotted.

        Raises:
            InvalidInput: if something is unknown, out of range, or makes an invalid configuration possible.
        """
        if not changes:
            return self
        parameters, constants, new = fix(self.parameters, self.constants, changes)
        smaller = replace(self, parameters=parameters, constants=constants, baselines=())
        smaller.check_closed()
        return replace(smaller, baselines=tuple(self._refitted(smaller, new)))

    def _refitted(self, smaller: "Space", new: Mapping[str, Value]) -> Iterator[Baseline]:
        seen: list[Mapping[str, Value]] = []
        for baseline in self.baselines:
            before = self.settings_of(baseline.params)
            try:
                params = smaller._params_at({**before, **new})
            except InvalidInput:
                continue
            if params in seen:
                continue
            seen.append(params)
            after = smaller.settings_of(params)
            changed = [f"{path} = {after[path]}" for path in new if before.get(path) != after.get(path)]
            source = "; with ".join([baseline.source, ", ".join(changed)]) if changed else baseline.source
            yield Baseline(baseline.name, source, params)

    # -- description ----------------------------------------------------------------------------------------

    def rows(self) -> list[SpaceRow]:
        """Return a table: parameters in order, then constants."""
        varying = [
            SpaceRow(
                name=p.name,
                kind=kind_of(p.distribution).label,
                range=kind_of(p.distribution).describe(p.distribution),
                when=" and ".join(str(condition) for condition in p.when),
            )
            for p in self.parameters
        ]
        return varying + [SpaceRow(path, "constant", str(value), "") for path, value in self.constants.items()]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types; equal exactly for equal spaces."""
        return {
            "name": self.name,
            "description": self.description,
            "parameters": [_plain(parameter) for parameter in self.parameters],
            "constants": dict(self.constants),
            "baselines": [{"name": b.name, "source": b.source, "params": dict(b.params)} for b in self.baselines],
        }

    # -- within ---------------------------------------------------------------------------------------------

    def _walk(self, value_of: Callable[[Parameter], Any]) -> tuple[dict[str, Value], dict[str, Value]]:
        """Return (values of the active parameters by name, settings by path), asking `value_of` in order.

        Raises:
            InvalidInput: for a value out of range.
        """
        params: dict[str, Value] = {}
        filled = dict(self.constants)
        for parameter in self.parameters:
            if parameter.active(filled):
                value = value_of(parameter)
                if not kind_of(parameter.distribution).contains(parameter.distribution, value):
                    raise InvalidInput(f"{parameter.name} = {quoted(value)}: out of range; {_advice(parameter)}")
                params[parameter.name] = value
                filled.update(parameter.fills(value))
        return params, filled

    def _params_at(self, settings: Mapping[str, Any]) -> dict[str, Value]:
        """Return the parameters' values, given the settings by path.

        Raises:
            InvalidInput: if an active parameter has no value of its range there.
        """

        def value_of(parameter: Parameter) -> Value:
            value = parameter.reads(settings)
            if value is None:
                there = ", ".join(f"{path} = {quoted(settings.get(path))}" for path in parameter.paths)
                raise InvalidInput(f"{there}: not in {parameter.name!r} of {self.name}; {_advice(parameter)}")
            return value

        params, _ = self._walk(value_of)
        return params

    def _check_names(self) -> None:
        for what, names in (
            ("parameter", [p.name for p in self.parameters]),
            ("baseline", [b.name for b in self.baselines]),
        ):
            for index, name in enumerate(names):
                if name in names[:index]:
                    raise InvalidInput(f"{what} {quoted(name)}: is defined twice; rename one")
        for parameter in self.parameters:
            filling = [p for p in self.parameters if {parameter.name, f"{parameter.name}.name"} & {*p.paths}]
            if filling and filling != [parameter]:
                raise InvalidInput(
                    f"parameter {parameter.name!r}: is also a setting that another one fills, so a study "
                    "file could mean either; rename it"
                )

    def _check_paths(self) -> None:
        paths = {*self.constants, *(path for p in self.parameters for path in p.paths)}
        for path in sorted(paths):
            check_settable(path)
            inside = [other for other in paths if other.startswith(f"{path}.")]
            if inside:
                raise InvalidInput(
                    f"setting {quoted(path)}: cannot be filled as {inside[0]!r} lies in it; fill only one"
                )
        for parameter in self.parameters:
            if taken := [path for path in parameter.paths if path in self.constants]:
                raise InvalidInput(f"parameter {parameter.name!r}: {taken[0]!r} is a constant too; keep only one")

    def _check_condition(self, index: int, parameter: Parameter, condition: Condition) -> None:
        rule = f"parameter {parameter.name!r}: condition on {condition.parent!r}"
        earlier, later = self.parameters[:index], self.parameters[index:]
        if any(condition.parent in p.paths for p in later):
            raise InvalidInput(f"{rule}, which comes later; order parameters so that parents come first")
        fillers = [p for p in earlier if condition.parent in p.paths]
        if not fillers and condition.parent not in self.constants:
            known = {*self.constants, *(path for p in earlier for path in p.paths)}
            raise InvalidInput(f"{rule}, which nothing fills; {nearest(condition.parent, known)}")
        if not all(p.choices for p in fillers):
            raise InvalidInput(f"{rule}, which is a range; a condition looks at choices only")
        can = possible(earlier, self.constants, condition.parent)
        if not condition.values:
            raise InvalidInput(f"{rule} has no values; give at least one or leave it out")
        for value in condition.values:
            if not is_one_of(value, can):
                raise InvalidInput(f"{rule} is {quoted(value)}, which it never is; use {', '.join(map(str, can))}")

    def _check_exclusive(self) -> None:
        for path in dict.fromkeys(path for p in self.parameters for path in p.paths):
            names = [p.name for p in self.parameters if path in p.paths]
            if len(names) < 2:
                continue
            for situation in situations(self.parameters, self.constants, names):
                both = [name for name in names if name in situation]
                if len(both) > 1:
                    raise InvalidInput(
                        f"parameters {both[0]!r} and {both[1]!r}: both fill {path!r} and can be active together; "
                        "make their conditions exclude each other"
                    )

    def _check_baselines(self) -> None:
        for baseline in self.baselines:
            try:
                self.check(baseline.params)
            except InvalidInput as error:
                raise InvalidInput(f"baseline {baseline.name!r}: {error}") from None


def _advice(parameter: Parameter) -> str:
    return f"give {kind_of(parameter.distribution).describe(parameter.distribution)}"


def _plain(parameter: Parameter) -> dict[str, Any]:
    kind = kind_of(parameter.distribution)
    plain: dict[str, Any] = {
        "name": parameter.name,
        "kind": kind.label,
        **kind.to_dict(parameter.distribution),
        "places": list(parameter.paths),
        "when": [{"parent": c.parent, "values": list(c.values)} for c in parameter.when],
    }
    if parameter.expands is not None:
        plain["expands"] = [dict(parameter.expands[value]) for value in parameter.choices]
    return plain
