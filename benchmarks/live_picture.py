"""Takes docs/images/live.svg: what `ganstudy launch` shows while a small real study runs, by rich's own export.

    python benchmarks/live_picture.py docs/images/live.svg

Also prints, for each trial's end, the forecast that stood there and what it then took in truth.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from study.ledger.events import Ended, Event
from study.ledger.records import Fold
from study.mlflow.settings import prepare_environment
from study.running.ray_environment import prepare_ray_environment
from study.study_file.config import read_study

WIDTH = 110
SETTINGS = ("trials=12", "schedule.grace_kimg=2", "schedule.max_kimg=18", "evaluation.count=2000")
TAKEN_AT = 8  # trials that have ended


def main(target: Path) -> None:
    """Run the study and take the picture."""
    prepare_environment()
    prepare_ray_environment(local=True)
    from study.running import launch, trials
    from study.running.progress import LiveTable

    forecasts: list[tuple[float, float | None]] = []

    class Watched(LiveTable):
        def show(self, event: Event, line: object) -> None:
            if isinstance(event, Ended):
                forecasts.append((time.monotonic(), self.board.seconds_left()))
                if self.board.finished == TAKEN_AT:
                    picture = Console(width=WIDTH, record=True, force_terminal=True, file=io.StringIO())
                    picture.print(self._draw())
                    picture.save_svg(str(target), title="ganstudy launch")

    trials.progress = Watched  # type: ignore[assignment]
    file = Path(__file__).parents[1] / "studies" / "quickstart.yaml"
    with tempfile.TemporaryDirectory() as storage:
        config = read_study(file, SETTINGS, Path(storage))
        launch.launch(config, None, Console(width=WIDTH), Fold())
    end = forecasts[-1][0]
    for at, forecast in forecasts[:-1]:
        print(f"{at - forecasts[0][0]:6.0f} s: forecast {forecast or 0:4.0f} s, in truth {end - at:4.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
