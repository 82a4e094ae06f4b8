"""The director of retrainings: which comes next, what its results mean, when it has ended.

What failed is tried again when the command is given again: a lost machine says nothing of a configuration. What
diverged is not: it would again.
"""

import math
from collections.abc import Mapping
from typing import Any

from study.ledger.events import CONFIRM, Reported
from study.ledger.ledger import Writer
from study.ledger.records import StudyRecord, TrialState
from study.running.director import Director, Running
from study.running.taking import BadReport, Reached, read_metrics
from study.study_file.config import StudyConfig
from study.study_file.seeds import retraining_seed
from trainables.faults import ERROR
from trainables.held_out import TEST
from trainables.trial import report_keys


class Retrainer(Director):
    """Runs the newest plan of a group. To confirm, each is evaluated on test images at its end."""

    def __init__(self, config: StudyConfig, study: StudyRecord, writer: Writer, group: str) -> None:
        """Find what is still to be done.

        Args:
            config: the resolved study.
            study: what the ledger holds, the plan too.
            writer: the ledger, owned.
            group: whose plan.
        """
        super().__init__(writer, report_keys(config.evaluation))
        self.command = group  # type: ignore[misc]  # they have one name
        self._test_keys = config.evaluation.keys if group == CONFIRM else ()
        asked = study.asked(group)
        known = {retraining.id: retraining for retraining in study.retrainings}
        for id in asked.due:
            changed = study.trials[id.trial].config | {"seed": retraining_seed(config.seed, id.seed)}
            found = known.get(id)
            reports = {report.kimg: report.estimate for report in found.reports} if found else {}
            number, attempts = asked.planned.index(id), found.attempts if found else 0
            self._unfinished.append(Running(number, id, changed, attempts, reports))

    def _end_of(self, running: Running) -> int:
        return running.id.budget

    def _goes_on(self, running: Running, reached: Reached, result: Mapping[str, Any], *new: Reported) -> bool:
        if reached.kimg < running.id.budget:
            self._write(*new)
            return True
        if not self._test_keys:
            self._end(running, TrialState.COMPLETED, *new)
            return False
        chosen = running.best.kimg if running.best else None
        try:
            test = self._test(result, chosen)
        except BadReport as error:
            self._end(running, TrialState.FAILED, *new, cause=f"{ERROR}: {error}")
        else:
            self._end(running, TrialState.COMPLETED, *new, chosen=chosen, test=test)
        return False

    def _test(self, result: Mapping[str, Any], chosen: int | None) -> dict[str, float]:
        if result.get("chosen") != chosen:
            raise BadReport(f"evaluated on test images was the generator of {result.get('chosen')} kimg, not {chosen}")
        evaluated = read_metrics(result, [TEST + name for name in self._test_keys])
        if bad := [name for name, value in evaluated.items() if not math.isfinite(value)]:
            raise BadReport(f"metric {bad[0]} is {evaluated[bad[0]]}")
        return {name.removeprefix(TEST): value for name, value in evaluated.items()}
