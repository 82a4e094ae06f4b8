"""The Ray Tune trainable: the only file of this package that knows Ray.

A trial ends in one of these ways here, each as a report, so that no failure of a trial reaches Tune as an exception
(which it would retry): it `diverged`, it `failed` with a typed cause, or the study must `halt` because of its node: a
full disk, a missing module, code that differs from the driver's.
"""

import math
import socket
from functools import cache
from pathlib import Path
from typing import Any

from ray import tune

from trainables.checkpoint import read_checkpoint, write_checkpoint
from trainables.errors import Diverged, OtherCode
from trainables.evaluation.evaluator import Evaluator
from trainables.evaluation.prepare import Prepared
from trainables.faults import DIVERGED, FAILED, HALT, Watchdog, cause_of, disk_remedy, end_with_raylet, is_disk_shut
from trainables.gan.config import TrialConfig
from trainables.held_out import TEST, evaluate_best
from trainables.source import digest, read_code
from trainables.threads import use_threads
from trainables.trial import METRICS, Trial


@cache
def own_code() -> str:
    """Return the hash of this package's source files, as they were when first asked for."""
    return digest(read_code(["trainables"]), "trainables")


class GanTrainable(tune.Trainable):
    """A trial under Tune, to be wrapped as `tune.with_parameters(GanTrainable, prepared=...)`.

    With `test` (`prepared` for the test split), the result at `test_at` kimg also has `chosen`, the kimg of the best
    FID, and `test/fid` and so on: that generator's metrics on test images.

    Its config: `trial` (a `TrialConfig` as dict), `folder` (of this trial, on storage that all nodes see),
    `report_kimg`, `threads` (of torch, per trial), `device` ("cpu" or "cuda"), `attempt` (the number of this start),
    `reported` (kimg of the newest report that is known), `deadline_seconds` (between two reports, or None),
    `test_at` (only with `test`), `full_count_at` and `cuda_graphs` (see `Trial`), `code` (`own_code` of the driver).

    Results hold `trainables.trial.METRICS` and `attempt`; and `ended` and `cause` when the trial came to its own end:
    `fid` is NaN then, since Tune wants the metric in every result.
    """

    _prepared: Prepared | None = None
    _test: Prepared | None = None
    _evaluator: Evaluator | None = None

    def setup(self, config: dict[str, Any], prepared: Prepared | None = None, test: Prepared | None = None) -> None:
        """Build the trial, or keep the failure for the first `step`."""
        if prepared is not None and self._prepared is None:
            self._prepared, self._test = (
                prepared,
                test,
            )  # Tune passes them again for each trial, equal but unpacked anew
        end_with_raylet()
        self._trial: Trial | None = None
        self._failure: dict[str, Any] | None = None
        self._folder = Path(config["folder"])
        self._watchdog = Watchdog(self._folder, config["deadline_seconds"])
        use_threads(config["threads"])
        if overdue := self._watchdog.overdue():
            self._failure = self._ended(FAILED, overdue)
            return
        try:
            if config.get("code", own_code()) != own_code():  # on a node that came later, or edited in the meantime
                raise OtherCode(f"{Path(__file__).parent} is not the driver's")
            with self._watchdog.watching():
                assert self._prepared is not None
                self._trial = Trial(
                    TrialConfig.from_dict(config["trial"]),
                    self._prepared,
                    self._folder,
                    config["device"],
                    config["attempt"],
                    config["reported"],
                    evaluator=self._evaluator_on(config["device"]),
                    full_count_at=config["full_count_at"],
                    cuda_graphs=config.get("cuda_graphs", False),
                )
        except Exception as error:
            self._failure = self._failed(error)

    def _evaluator_on(self, device: str) -> Evaluator:
        """Return the evaluator of this process's trials: all are of one study, on one device."""
        assert self._prepared is not None
        self._evaluator = self._evaluator or Evaluator(self._prepared, device)
        return self._evaluator

    def step(self) -> dict[str, Any]:
        """Return the next report, or how the trial ended."""
        if self._trial is None:
            return self._failure or {}
        try:
            with self._watchdog.watching():
                report = self._trial.next_report(self.config["report_kimg"])
                return report | self._on_test(report["kimg"]) | {"attempt": self.config["attempt"]}
        except Diverged as error:
            return self._ended(DIVERGED, f"Diverged: {error}", self._trial.session.kimg)
        except Exception as error:
            return self._failed(error, self._trial.session.kimg)

    def _on_test(self, kimg: float) -> dict[str, Any]:
        if self._test is None or kimg < self.config["test_at"]:
            return {}
        config = TrialConfig.from_dict(self.config["trial"])
        chosen, test = evaluate_best(config, self._test, self._folder, self.config["device"])
        return {"chosen": chosen, **{TEST + name: value for name, value in test.items()}}

    def _failed(self, error: Exception, kimg: int = 0) -> dict[str, Any]:
        cause = cause_of(error)
        if is_disk_shut(error, self._folder.parent):
            return self._ended(HALT, f"{cause}; {disk_remedy(cause)}", kimg)
        if isinstance(error, ImportError | OtherCode):
            return self._ended(HALT, f"{cause}; install on {socket.gethostname()} what the driver has", kimg)
        return self._ended(FAILED, cause, kimg)

    def _ended(self, how: str, cause: str, kimg: int = 0) -> dict[str, Any]:
        blank = dict.fromkeys(METRICS, math.nan)
        return blank | {"kimg": kimg, "ended": how, "cause": cause, "attempt": self.config["attempt"]}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over another trial in the same process."""
        self.config = new_config
        self.setup(new_config)
        return True

    def cleanup(self) -> None:
        """Release the networks."""
        self._trial = None

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write a checkpoint for Tune (the trial writes its own, in its folder, without being asked).

        Tune asks at the end of every trial, even if its setup failed: there is nothing to write then.
        """
        if self._trial is not None:
            write_checkpoint(Path(checkpoint_dir), self._trial.checkpoint())

    def load_checkpoint(self, checkpoint_dir: str) -> None:  # type: ignore[override]
        """Go on from what `save_checkpoint` wrote."""
        if self._trial is not None:
            self._trial.restore(read_checkpoint(Path(checkpoint_dir)))
