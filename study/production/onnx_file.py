"""A generator as an ONNX file: `ganstudy export-onnx` and `ganstudy promote --onnx`."""

from pathlib import Path

from rich.console import Console

from study.production.found import Asked, find_generator
from study.terminal.hints import shown_path
from study.terminal.say import say, say_written
from study.terminal.screen import Screen
from trainables.files import check_named, is_standard_output, write_named
from trainables.generator import Generator, GeneratorFacts
from trainables.onnx_export import CHECKED, TOLERANCE, OnnxFile, as_onnx, check_onnx

_SHOWN = 16  # images in the example


def export_onnx(asked: Asked, file: Path, console: Console) -> None:
    """Write a generator as an ONNX file, once ONNX Runtime has made the same images of it.

    Raises:
        InvalidInput: if the file cannot be written, or there is no such generator.
        GanStudyError: if a package is missing, or the study's trial has no generator.
        CorruptFile: if the file's images are others than the network's.
    """
    check(file, "FILE")
    console = beside(file, console)
    found = find_generator(asked, "cpu", console)
    made = converted(found.generator)
    write_named(file, made.content)
    tell(found.generator.facts, file, made, found.origin, console)


def check(file: Path, option: str) -> None:
    """Refuse before any work a file that cannot be written, or packages that are missing."""
    check_named(file, option)
    check_onnx("ONNX")


def beside(file: Path, console: Console) -> Console:
    """Where to talk while `file` is written: to standard error if that is standard output."""
    return Screen(stderr=True) if is_standard_output(file) else console


def converted(generator: Generator) -> OnnxFile:
    """Return it as ONNX, with what it says of itself.

    Raises:
        CorruptFile: if its images are others than the network's.
    """
    facts = generator.facts
    about = {
        "kimg": str(facts.kimg),
        "fid": f"{facts.fid:.6g}",
        "fid_fingerprint": facts.fid_fingerprint,
        "fid_images": str(facts.images_judged),
        "weights": facts.weights,
    }
    return as_onnx(generator, {f"ganstudy.{key}": value for key, value in about.items()})


def tell(facts: GeneratorFacts, file: Path, made: OnnxFile, origin: str, console: Console) -> None:
    """Say what was written and how it was checked, and the lines of Python that load it."""
    checked = " and ".join(map(str, CHECKED))
    say_written(
        console,
        file,
        f"{origin}, as ONNX; in ONNX Runtime its images, in batches of {checked}, differ from the network's by at most "
        f"{made.difference:.1e} of 1 (allowed: {TOLERANCE:g})",
    )
    for line in usage(facts, shown_path(file)):
        say(console, f"  {line}")


def usage(facts: GeneratorFacts, file: str) -> list[str]:
    """Lines of Python that load the file and sample it, without this program and without torch."""
    latents = facts.trial.latent.in_numpy(str(_SHOWN))
    given = (
        f'"latents": ({latents}).astype("float32")' if " + " in latents else f'"latents": {latents}.astype("float32")'
    )
    if facts.trial.uses_labels:
        given += f', "labels": numpy.random.randint({facts.classes}, size={_SHOWN})'
    shape = f"{_SHOWN} x {facts.channels} x {facts.size} x {facts.size}"
    return [
        f"import numpy, onnxruntime{', scipy.stats' if 'scipy' in latents else ''}",
        f"session = onnxruntime.InferenceSession({file!r})",
        f"images = session.run(None, {{{given}}})[0]  # float32, {shape}, from 0 to 1",
    ]
