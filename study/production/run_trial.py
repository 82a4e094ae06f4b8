"""`ganstudy run-trial`: one trial without a study, from an exported file."""

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from study.analysis.export import Origin, read_export
from study.data_paths import AS_CONFIGURED, BY_OPTION, DataPaths, saying
from study.device import device_of
from study.terminal.say import say
from trainables.errors import Diverged, InvalidInput
from trainables.evaluation.prepare import prepare
from trainables.files import check_writable
from trainables.gan.config import TrialConfig
from trainables.threads import fixed_threads
from trainables.trial import Trial


@dataclass(frozen=True)
class Repeat:
    """What `ganstudy run-trial` was asked for; None as its help says."""

    file: Path
    kimg: int
    report_kimg: int | None
    out: Path | None
    device: str
    paths: DataPaths = AS_CONFIGURED


def run_trial(options: Repeat, console: Console) -> bool:
    """Train an exported configuration, printing each FID beside the study's.

    Returns:
        Whether every FID that the study also measured came out the same to the last bit.

    Raises:
        InvalidInput: if the configuration or the schedule is not valid.
        Diverged: if training became non-finite.
    """
    exported, kimg, folder = read_export(options.file), options.kimg, options.out
    origin = exported.origin or Origin()
    every = options.report_kimg or origin.report_kimg or kimg
    if kimg < 1 or every < 1 or kimg % every:
        raise InvalidInput(f"--kimg {kimg} is not a multiple of the {every} kimg between reports; set --report-kimg")
    device = device_of(options.device)
    config = TrialConfig.from_dict(exported.trial)
    if folder is not None:
        check_writable(folder, "--out", "choose another folder")
    # Not from the cache: this is the independent check of a study's FIDs, so it measures all of them anew.
    with saying(BY_OPTION):
        prepared = prepare(*options.paths.applied(config))
    known: dict[int, float] = {}
    if origin.fid_fingerprint == prepared.fingerprint:
        known = dict(origin.fids)
    elif exported.origin:
        console.print("the FID fingerprint differs from the study's: its FIDs are not shown")
    kept_or_temporary = nullcontext(folder) if folder else TemporaryDirectory(prefix="ganstudy-")
    with kept_or_temporary as used, fixed_threads(origin.threads):
        trial = Trial(config, prepared, Path(used), device, full_count_at=origin.full_count_at)
        return _train(trial, kimg, every, known, console)


def _train(trial: Trial, kimg: int, every: int, known: dict[int, float], console: Console) -> bool:
    same, compared = True, 0
    while trial.session.kimg < kimg or trial.unreported:
        try:
            report = trial.next_report(every)
        except Diverged as error:
            raise Diverged(f"the trial diverged: {error}") from None
        at, fid = int(report["kimg"]), report["fid"]
        beside = ""
        if at in known:
            exact = known[at] == fid
            same, compared = same and exact, compared + 1
            beside = "  the same as in the study" if exact else f"  in the study {known[at]!r}"
        console.print(f"{at:5d} kimg  FID {fid!r}{beside}  {report['images_per_second']:.0f} images/s")
    if not compared:
        say(console, "nothing was compared: the file has no FID of the study at any of these budgets")
    return same
