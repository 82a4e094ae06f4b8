"""A secret through every option, key and variable there is: none is in what a command prints, nor in what it writes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from study.cli import app, main
from study.ledger.events import AttemptStarted, StudyOpened, TrialProposed
from study.ledger.ledger import Ledger
from study.study_file.config import StudyConfig
from study.study_file.keys import Key, study_keys
from trainables.display import one_line, quoted, redacted, shown
from trainables.gan.config import TrialConfig

SECRET = "hunter2x"
STUDY: dict[str, Any] = {
    "name": "new",
    "data": {"name": "digits"},
    "space": {"base": "quick"},
    "trials": 3,
    "schedule": {"grace_kimg": 1, "max_kimg": 3},
    "storage": {"path": "runs"},
}
NOWHERE = {"name": "npz", "path": "nowhere.npz"}  # found out last, and before any work
TRIAL = {
    "data": {"name": "digits"},
    "model": {"name": "mlp", "width": 16, "depth": 1},
    "seed": 1,
    "evaluation": {"count": 300},
}
ADDRESSES = (
    f"http://me:{SECRET}@h",
    f"http://me:{SECRET}@",
    f"http://me:{SECRET}@h:1",
    f"http://me:{SECRET}@[h",
    f"http://me:{SECRET}",
    f"http://me:a/b@c:{SECRET}@h/x",
    f"https://{SECRET}@h",
    f"s3://KEY:{SECRET}@bucket/x",
    f"me:{SECRET}@h:6379",
    f":{SECRET}@h",
    f"postgresql://me:{SECRET}@h/db?sslmode=on",
    f"postgresql://me@h/db?password={SECRET}",
    f"postgresql://me:a@{SECRET}@h/db",
    f"postgresql://me:{SECRET}/db",
    f"https://h/x?access_token={SECRET}&a=1",
    f"https://h/x?X-Amz-Signature={SECRET}",
)
TEXTS = (
    *ADDRESSES,
    f"user=me password={SECRET} host=h",
    f"user=me password = 'my {SECRET}' host=h",
    f"AccountKey={SECRET};Suffix=x",
    f"{{'uri': 'http://h', 'password': '{SECRET}'}}",
    f'{{"token":"{SECRET}"}}',
    f"{{uri: http://h, password: {SECRET}}}",
    f"MLFLOW_TRACKING_TOKEN={SECRET}",
    f"Authorization: Basic {SECRET}",
    f"authorization: Bearer {SECRET}",
    # What others make of them: pydantic cuts out of the middle, SQLAlchemy and psycopg, requests, Path.
    f"input_value='http://me:{SECRET[:6]}...er2@host', input_type=str",
    f"Could not parse SQLAlchemy URL from given URL string 'postgres//me:{SECRET}@h'",
    f"HTTPConnectionPool(host='h'): Max retries exceeded with url: /api?token={SECRET} (Caused by X('http://a:{SECRET}@h'))",
    f"there is no folder /home/me/{Path(f's3://KEY:{SECRET}@bucket/x')}; correct it",
)


@pytest.mark.parametrize("text", TEXTS)
def test_every_form_is_known_within_any_text(text: str) -> None:
    for whole in (text, f"Invalid value for '--x': '{text}' is not valid.", f"cannot reach {text}; see: ganstudy"):
        assert SECRET[:6] not in redacted(whole), redacted(whole)
        assert redacted(redacted(whole)) == redacted(whole)
    for value in (text, {"mlflow": [text]}, {"key": {text: 1}}, [text, ("x", text)], {"password": ["a", SECRET]}):
        assert SECRET[:6] not in quoted(value, 1000)
        assert SECRET[:6] not in quoted(value)


@pytest.mark.parametrize("value", [f"http://me:my {SECRET}@h", f"password=my own {SECRET}", f"{{password: a {SECRET}"])
def test_a_secret_with_spaces_is_hidden_where_the_value_is_known(value: str) -> None:
    assert SECRET not in quoted(value)


@pytest.mark.parametrize(
    "text",
    [
        "http://host:5000/x, postgresql://host/db?sslmode=on&passfile=/x, http://[::1]:5000/x",
        "sqlite:////tmp/a@b.db, models:/name@champion, 12:30 me@h",
        "no password: use PGPASSWORD or ~/.pgpass; the token was wrong: set RAY_AUTH_TOKEN",
        "trial 3 of 4: best FID 12.5; go on with: ganstudy launch a.yaml --set trials=40 --address host:6379",
    ],
)
def test_what_holds_no_secret_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == one_line(text) == text


def test_secrets_of_the_environment_are_known_in_any_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)
        assert shown(f"server said: {SECRET}, {SECRET}!") == "server said: ***, ***!"
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGPASSWORD", "postgres")
    assert shown("postgresql://h/db") == "postgresql://h/db", "not within another word"
    monkeypatch.setenv("PWD", "/home/me/work")
    assert shown("/home/me/work/x.png") == "/home/me/work/x.png", "a folder, and no password"


def test_a_shown_value_is_short() -> None:
    assert quoted("x" * 1000) == f"'{'x' * 55}...{'x' * 20}'"
    assert quoted(3) == "3"


# Through the commands


class Typed:
    """A folder with a study `kept` and an export; commands that are run in it must keep the secret."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._monkeypatch, self._capfd = monkeypatch, capfd
        config = StudyConfig.model_validate(STUDY | {"name": "kept"})
        folder = config.folder
        folder.path.mkdir(parents=True)
        folder.study_file.write_text(yaml.safe_dump(config.to_dict()))
        with Ledger.open(folder.ledger, schema="kept", create=True) as ledger, ledger.own("host", 1) as writer:
            opened = StudyOpened("uid", config.to_dict(), "fingerprint", 0.5, 100.0, {})
            proposed = TrialProposed(0, TrialConfig.from_dict(TRIAL).to_dict(), {}, "sampler", {})
            writer.append(opened, proposed, AttemptStarted(0, 1))
        (root / "study.yaml").write_text(yaml.safe_dump(STUDY))
        (root / "no-data.yaml").write_text(yaml.safe_dump(STUDY | {"data": NOWHERE}))
        (root / "best.yaml").write_text(yaml.safe_dump({"trial": TRIAL | {"data": NOWHERE}}))

    def run(self, *words: str) -> int:
        """Run a command; return its exit code."""
        self._monkeypatch.setattr(sys, "argv", ["ganstudy", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = self._capfd.readouterr()
        assert SECRET not in out + err, (words, out, err)
        assert "Traceback" not in out + err
        return int(left.value.code or 0)

    def written(self) -> list[str]:
        """The files that hold the secret."""
        files = (path for path in self.root.rglob("*") if path.is_file())
        return [str(path) for path in files if SECRET.encode() in path.read_bytes()]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    monkeypatch.chdir(tmp_path)
    for name in ("GANSTUDY_STORAGE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)

    def started(*arguments: object, **options: object) -> None:
        raise ConnectionError(f"cannot reach {arguments} {options}")

    monkeypatch.setattr("ray.init", started)
    return Typed(tmp_path, monkeypatch, capfd)


# What each command must be given to get as far as it can without training anything.
GIVEN = {
    "launch": ["no-data.yaml", "--dry-run"],
    "export": ["kept", "out.yaml"],
    "compare": ["kept", "kept"],
    "export-optuna": ["kept", "x.log"],
    "run-trial": ["best.yaml", "--kimg", "1"],
    "train": ["best.yaml", "--kimg", "1"],
    "sample": ["best.yaml"],
    "evaluate": ["best.yaml"],
    "data describe": ["no-data.yaml"],
    "spaces": [],
    "spaces show": ["quick"],
    "init": ["digits", "digits.yaml"],
    "doctor": ["--quick"],
    "list": [],
    "sync": ["kept"],
}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", {})
    if path and (not below or path == ("spaces",)):
        yield path, command
    for name, one in below.items():
        yield from commands(one, (*path, name))


COMMANDS = {" ".join(path): command for path, command in commands(get_command(app))}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_secret_through_every_option(name: str, typed: Typed) -> None:
    command, given = COMMANDS[name], GIVEN.get(name, ["kept"])
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    for value in ADDRESSES:
        typed.run(*name.split(), *given, value)
        typed.run(*name.split(), f"--{value}={value}")
        for index in range(len(arguments)):
            changed = [*given]
            changed[index : index + 1] = [value]
            typed.run(*name.split(), *changed)
        for option in command.params:
            if option.param_type_name == "option" and not option.is_flag:
                typed.run(*name.split(), *given, option.opts[0], value)
    assert typed.written() == []


@pytest.mark.parametrize("name", ["launch", "confirm"])
def test_an_address_of_a_cluster_is_not_shown(name: str, typed: Typed) -> None:
    for value in ADDRESSES:
        assert typed.run(name, "no-data.yaml" if name == "launch" else "kept", "--address", value)


def places(keys: tuple[Key, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key's place, with what else must be set for it to stand there."""
    for key in keys:
        yield key.path, {}
        yield from places(key.keys)
        for kind, (_, below) in key.variants.items():
            for place, others in places(below):
                needed = {one.name: "pictures" if one.name == "path" else 8 for one in below if one.required}
                yield place, {key.path: {"name": kind} | needed, **others}


@pytest.mark.parametrize("value", [ADDRESSES[0], f"postgresql://me@h/db?password={SECRET}"])
def test_a_secret_through_every_key(value: str, typed: Typed) -> None:
    """The value as it is, and in every wrong nesting; by `--set`, and some in the file itself."""
    nested = ([value], {"x": value}, {"name": value}, {"password": SECRET}, {value: 1}, [[{"uri": value}]])
    shapes = (value, *(nested if value == ADDRESSES[0] else ()))
    found = list(places(study_keys()))
    assert {place for place, _ in found} >= {"mlflow.uri", "storage.ledger", "data.root", "data.path", "warm_start"}
    for place, needed in found:
        before = [word for key, other in needed.items() for word in ("--set", f"{key}={yaml.safe_dump(other)}")]
        for shape in shapes:
            text = yaml.safe_dump(shape, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
            refused = typed.run("launch", "study.yaml", "--dry-run", *before, "--set", f"{place}={text}")
            assert refused, (place, shape)
        typed.run("launch", "study.yaml", "--dry-run", "--set", f"{place}.{value}=1")
        typed.run("launch", "study.yaml", "--dry-run", "--set", f"{place}.{value}.x=1")
        typed.run("launch", "study.yaml", "--dry-run", "--set", f"{place}=[{value}")
        typed.run("launch", "study.yaml", "--dry-run", "--set", f"{place}")
    assert typed.written() == []


def test_a_secret_in_a_file_that_is_no_study_file(typed: Typed) -> None:
    long = "x" * 60
    for text in (
        f"mlflow: {ADDRESSES[0]}",
        f"mlflow: [{ADDRESSES[0]}",
        f"{long}: {{{long}: {ADDRESSES[0]}",
        f"a: 1\n  mlflow: {ADDRESSES[0]}: {long}",
        f"{ADDRESSES[0]}: 1\n{ADDRESSES[0]}: 2",
        f"- {ADDRESSES[0]}",
        f"uri: !!float {ADDRESSES[0]}",
    ):
        for name in ("bad.yaml", "best.yaml"):
            (typed.root / name).write_text(text)
        assert typed.run("launch", "bad.yaml", "--dry-run") == 2
        assert typed.run("data", "describe", "bad.yaml") == 2
        assert typed.run("run-trial", "best.yaml", "--kimg", "1") == 2


@pytest.mark.parametrize(
    "name",
    ["GANSTUDY_STORAGE", "RAY_ADDRESS", "MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_PASSWORD", "XDG_CACHE_HOME", "HOME"],
)
def test_a_secret_in_a_variable(name: str, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, ADDRESSES[0])
    for words in (["status", "kept"], ["launch", "no-data.yaml", "--dry-run"], ["doctor", "--quick", "--json"]):
        typed.run(*words)
    for value in ADDRESSES[1:] if name == "GANSTUDY_STORAGE" else ():
        monkeypatch.setenv(name, value)
        typed.run("list")
