"""Which generator is meant: a trained one, by its path, or that of a study's best trial or a given one, by its name."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from study.analysis.best_checkpoint import best_checkpoint, read_best_checkpoint
from study.analysis.export import threads_per_trial, winner
from study.analysis.ranking import chosen_trial
from study.data_paths import AS_CONFIGURED, BY_LAUNCH, DataPaths, saying
from study.folder import StudyFolder, storage_root
from study.ledger.catalogue import find_study, load_study, study_names
from study.ledger.records import StudyRecord, TrialRecord
from study.mlflow.data import known_data
from study.terminal.hints import shown_path
from study.terminal.say import say
from study.views.tables import counts_line, number
from trainables.data import DataFacts
from trainables.display import quoted
from trainables.errors import GanStudyError, InvalidInput
from trainables.gan.config import TrialConfig
from trainables.generator import FILE, Generator, from_checkpoint
from trainables.nearest import did_you_mean
from trainables.paths import absolute, expanded, is_file, is_folder


@dataclass(frozen=True)
class Asked:
    """What a command was given: a path or a study's name, and for a study the trial and the storage folder."""

    given: str
    trial: int | None = None
    storage: Path | None = None


@dataclass(frozen=True)
class Found:
    """A generator and where it is from.

    Attributes:
        generator: on the device that was asked for.
        origin: in a few words.
        trial: its trial of a study; None if it was trained for production.
        paths: where the study has its data now.
    """

    generator: Generator
    origin: str
    trial: int | None = None
    paths: DataPaths = AS_CONFIGURED


def find_generator(asked: Asked, device: str, console: Console) -> Found:
    """Find what is asked for, and say it where a name means two things.

    A trained generator of that path is taken, else the study of that name. With a trial or a storage folder it is the
    study. A study's own folder names it too.

    Raises:
        InvalidInput: if there is no such generator, study or trial.
        GanStudyError: if the trial has not reported, or its checkpoint is gone.
        CorruptFile: if the generator is damaged.
    """
    path, study = expanded(Path(asked.given)), _study_of(asked)
    trained = is_file(path / FILE) or (is_file(path) and path.suffix == Path(FILE).suffix)
    of_study = next((f"--{name}" for name in ("trial", "storage") if getattr(asked, name) is not None), None)
    if of_study and not study:
        if trained or _is_path(asked.given):
            what = "a trained generator" if trained else "a path, not a study's name"
            raise InvalidInput(f"{of_study} is for a study, and {asked.given} is {what}: leave {of_study} out")
        find_study(asked.given, asked.storage)  # raises
    if study and trained and not of_study:
        say(
            console,
            f"{asked.given} is a trained generator here and a study in {shown_path(study.root)}: the generator is "
            "taken; --trial N takes the study's",
        )
    if study and (of_study or not trained):
        return _of_study(study, asked.trial, device)
    if not (_is_path(asked.given) or trained or is_file(path) or is_folder(path)):
        root = storage_root(None)
        hint = did_you_mean(asked.given, study_names(root)) or "`ganstudy list` shows the studies"
        raise InvalidInput(
            f"{quoted(asked.given)}: neither a study in {root} nor the folder or file of a trained generator; {hint}"
        )
    return Found(Generator.read(path, device), shown_path(path))


def trial_generator(
    folder: StudyFolder, study: StudyRecord, trial: TrialRecord, device: str = "cpu"
) -> tuple[Generator, DataFacts]:
    """Return the generator of a trial's best FID, and what is known of the data, which need not be there.

    Raises:
        GanStudyError: if the trial has not reported, or its checkpoint is gone.
        CorruptFile: if that is damaged.
        DataNotFound: if an older ganstudy began the study, and its data is gone.
    """
    if trial.kimg_best is None:
        raise GanStudyError(f"trial {trial.number} has not reported yet, so it has no generator; choose another")
    checkpoint = read_best_checkpoint(best_checkpoint(folder, trial, "choose another trial"), trial)
    config = TrialConfig.from_dict(trial.config, f"trial {trial.number}")
    data = known_data(study.versions)
    if data is None:
        with saying(BY_LAUNCH):
            data = DataPaths.of(study.config).applied(config)[0].load().facts
    facts, weights = from_checkpoint(checkpoint, config, data, study.fingerprint, threads_per_trial(study.config))
    return Generator(facts, weights, device), data


def _of_study(folder: StudyFolder, number_of: int | None, device: str) -> Found:
    study = load_study(folder)
    trial = winner(study) if number_of is None else chosen_trial(study, number_of)
    if trial is None:
        raise GanStudyError(f"no trial of {folder.name} has reported yet; {counts_line(study)}")
    generator, _ = trial_generator(folder, study, trial, device)
    facts = generator.facts
    origin = f"trial {trial.number} of {folder.name}, {facts.kimg} kimg, FID {number(facts.fid)}"
    return Found(generator, origin, trial.number, DataPaths.of(study.config))


def _study_of(asked: Asked) -> StudyFolder | None:
    """The study of that name, or whose own folder it is."""
    path = absolute(Path(asked.given))
    with suppress(InvalidInput):
        own = StudyFolder(path.parent, path.name)
        if asked.storage is None and is_file(own.study_file) and is_folder(own.trials):
            return own
    with suppress(InvalidInput):
        named = StudyFolder(storage_root(asked.storage), asked.given)
        if is_file(named.study_file):
            return named
    return None


def _is_path(given: str) -> bool:
    return "/" in given or given.startswith("~") or Path(given).suffix == Path(FILE).suffix
