"""One verdict on which trials are tied with the best, from the best evidence, wherever it is told."""

from dataclasses import replace

import pytest
from confirmations import Fids, confirmed_study
from made_up import study, trial

from study.analysis.ranking import rank
from study.analysis.standing import Standing, standings
from study.ledger.events import NoiseMeasured
from study.ledger.records import StudyRecord
from study.views.noise import ranking_lines
from study.views.tables import standing_words


def measured(record: StudyRecord, kimg: int, *fids: float) -> StudyRecord:
    """`record` with the noise of trial 1's seeds at `kimg`."""
    return replace(record, measured=tuple(NoiseMeasured(1, kimg, "seed", i, f, None) for i, f in enumerate(fids, 1)))


def ties(record: StudyRecord) -> dict[int, bool]:
    return {number: standing.tied for number, standing in standings(record).items()}


def test_trials_closer_to_the_first_than_the_noise_are_tied() -> None:
    """Seeds 19 and 21: s = sqrt(2) with one degree of freedom, for which t is tan(0.95 pi / 2) = 12.7: 25.4 FID."""
    record = study(
        *(trial(0, {81: 10.0}), trial(1, {81: 35.0}), trial(2, {81: 36.0}), trial(3, {27: 9.0}, "stopped")),
        trial(4, {81: 10.5}, "diverged"),
    )
    assert ties(measured(record, 81, 19.0, 21.0)) == {1: True, 2: False}
    assert ties(measured(record, 27, 19.0, 21.0)) == {}  # of another budget than the first's
    assert ties(measured(record, 81, 19.0)) == {}
    assert ties(record) == {}
    assert ties(study()) == {}


def test_without_any_noise_only_equal_trials_are_tied() -> None:
    record = study(trial(0, {81: 10.0}), trial(1, {81: 10.0}), trial(2, {81: 10.001}))
    assert ties(measured(record, 81, 20.0, 20.0)) == {1: True, 2: False}


# The best three at the full budget of 9 kimg, the best first, and one that was not confirmed.
TRIALS = (trial(0, {9: 10.0}), trial(1, {9: 10.5}), trial(2, {9: 12.0}), trial(3, {9: 500.0}))

NOISY: Fids = {i: (20.0 * i, 20.0 * i) for i in (1, 2, 3)}
"""Seeds differ by 20, so that by noise alone every trial is tied."""


def noisy(above: float, *uneven: float) -> Fids:
    """Above `NOISY` by so much at each seed, on test images."""
    return {i: (20.0 * i, 20.0 * i + above + more) for i, more in zip((1, 2, 3), uneven or (0, 0.1, 0.2), strict=True)}


def confirmed(*found: Fids) -> StudyRecord:
    return confirmed_study(study(*TRIALS), dict(enumerate(found)), 3, list(range(len(found))))


def test_a_confirmation_decides_where_the_noise_says_tied() -> None:
    record = confirmed(NOISY, noisy(1.0), noisy(1.0, -9.0, 0.0, 9.0))
    assert standings(replace(record, plans=()))[1].tied, "retrainings alone: their noise"
    found = standings(record)
    assert (found[1].tied, found[1].evidence, found[1].gap) == (False, "confirmation", pytest.approx(1.1))
    assert (found[2].tied, found[2].evidence, found[2].gap) == (True, "confirmation", pytest.approx(1.0))
    assert (found[3].tied, found[3].evidence, found[3].gap) == (False, "noise", 490.0)


def test_the_confirmed_winner_is_the_best_though_another_ranks_first() -> None:
    record = confirmed(noisy(5.0), NOISY)
    assert rank(record.trials)[0].trial.number == 0
    found = standings(record)
    assert found.keys() == {0, 2, 3}
    assert found[0] == Standing(best=1, tied=False, gap=pytest.approx(5.1), evidence="confirmation")
    assert found[2] == Standing(best=1, tied=True, gap=1.5, evidence="noise")
    (line, *_) = (line for line in ranking_lines(record, rank(record.trials), "noise") if "confirmed best" in line)
    assert line == "confirmed best: trial 1, mean test FID 40.00 over 3 seeds; ahead of trial 0"


def test_a_confirmation_that_decides_nothing_leaves_the_noise() -> None:
    unfinished = confirmed(NOISY, {1: (20.0, 90.0), 2: (40.0, 95.0), 3: "interrupted"})
    assert {standing.evidence for standing in standings(unfinished).values()} == {"noise"}
    of_one_seed = confirmed_study(study(*TRIALS), {0: {1: (20.0, 20.0)}, 1: {1: (20.0, 90.0)}}, 1, [0, 1])
    assert standings(of_one_seed) == {}


@pytest.mark.parametrize(
    ("standing", "words"),
    [
        (None, ""),
        (Standing(0, True, 0.871, "noise"), "+0.87 tied"),
        (Standing(0, False, 12.0, "noise"), "+12.00"),
        (Standing(0, True, 0.5, "confirmation"), "+0.50 tied, confirmed"),
        (Standing(0, False, 0.5, "confirmation"), "+0.50 confirmed"),
    ],
)
def test_a_standing_in_words(standing: Standing | None, words: str) -> None:
    assert standing_words(standing) == words
