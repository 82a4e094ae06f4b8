"""The texts about a registered generator: how to load it, what it takes and gives, where it is from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rich.console import Console

from study.mlflow.store import display_uri
from study.production.model_card import data_text
from study.terminal.say import say
from study.views.seen_images import split_words
from study.views.tables import number
from trainables.data import DataFacts
from trainables.generator import GeneratorFacts

ALIAS = "champion"
_SHOWN = 16  # images in the example


@dataclass(frozen=True)
class Candidate:
    """A generator that is to become the champion.

    Attributes:
        facts: the generator's.
        data: what it was trained on.
        model: the registered model's name.
        uri: of the MLflow store; credentials in it are not shown.
        origin: where it is from, in a few words for the terminal.
        found: the same as a sentence of Markdown.
        tags: the same for programs.
        ceiling: the FID of uniform noise on the same scale.
        confirmed: it won a confirmation of its study.
    """

    facts: GeneratorFacts
    data: DataFacts
    model: str
    uri: str
    origin: str
    found: str
    tags: Mapping[str, str]
    ceiling: float
    confirmed: bool = False

    @property
    def study(self) -> str | None:
        """The uid of the study that it is from."""
        return self.tags.get("ganstudy.study")


def model_uri(name: str) -> str:
    """Return what MLflow loads the champion by."""
    return f"models:/{name}@{ALIAS}"


def about(name: str) -> str:
    """Return the description of the registered model, of whatever version."""
    return (
        f"Generators registered by ganstudy under the name `{name}`. `{model_uri(name)}` is the one to use; each "
        "version says what it takes, what it gives, and how good it is."
    )


def description(candidate: Candidate) -> str:
    """Return the model version's page in Markdown."""
    facts = candidate.facts
    code = "\n".join(["```python", *_usage(candidate), "```"])
    parts = [f"{candidate.found}{_quality(facts)}", f"## Use\n\n{_signature(facts)}", code]
    parts.append(
        f"Another may be the champion by now; `models:/{candidate.model}/NUMBER` loads a version by its number."
    )
    if facts.trial.uses_labels:
        parts.append("Load it with `mlflow.pytorch`, as here: MLflow's `pyfunc` can only give a model one tensor.")
    return "\n\n".join([*parts, data_text(facts, candidate.data)])


def tell(candidate: Candidate, version: str, new: bool, notes: Iterable[str], console: Console) -> None:
    """Say what was registered, what there is to know of it, where it is, and how to load it."""
    known = "" if new else " (already registered)"
    say(
        console,
        f"{candidate.model} version {version} is its {ALIAS}{known}: {candidate.origin}, {candidate.facts.kimg} kimg, "
        f"FID {number(candidate.facts.fid)}",
    )
    for note in notes:
        say(console, note)
    say(
        console,
        f"registry: {display_uri(candidate.uri)}\nload it wherever torch and mlflow are; ganstudy is not needed:",
    )
    for line in _usage(candidate):
        say(console, f"  {line}")


def _usage(candidate: Candidate) -> list[str]:
    """Lines of Python that load the champion and sample it, without this program."""
    facts = candidate.facts
    shape = f"{_SHOWN} x {facts.channels} x {facts.size} x {facts.size}"
    # From a folder with `?`, `#` or `%` in its name MLflow loads only what it has copied elsewhere.
    module, copied = (", tempfile", ", dst_path=tempfile.mkdtemp()") if "%" in candidate.uri else ("", "")
    lines = [
        f"import mlflow{module}, torch",
        f'mlflow.set_tracking_uri("{display_uri(candidate.uri)}")',
        f'model = mlflow.pytorch.load_model("{model_uri(candidate.model)}"{copied})',
    ]
    inputs = [facts.trial.latent.in_torch(str(_SHOWN))]
    if facts.trial.uses_labels:
        lines.append(f"labels = torch.randint({facts.classes}, ({_SHOWN},))")
        inputs.append("labels")
    return [*lines, f"images = model({', '.join(inputs)})  # float32, {shape}, from 0 to 1"]


def _quality(facts: GeneratorFacts) -> str:
    images = split_words(facts.trial.evaluation.split, facts.trial.to_dict())
    return (
        f" Architecture `{facts.trial.model.name}`, loss `{facts.trial.loss}`, {facts.kimg} thousand real images shown "
        f"to its discriminator. FID {number(facts.fid)} on the {images} with "
        f"{facts.images_judged} generated images, fingerprint `{facts.fid_fingerprint}`: FIDs compare "
        "only where both are the same."
    )


def _signature(facts: GeneratorFacts) -> str:
    """A list: MLflow's page gives the cells of a table no space between them."""
    colour = {1: "grey", 3: "RGB"}[facts.channels]
    latent = facts.trial.latent
    lines = [f"It takes `latents`, float32, N x {latent.dimension}, drawn as `{latent.in_torch('N')}`"]
    if facts.trial.uses_labels:
        lines.append(f"and `labels`, int64, N, the classes, from 0 to {facts.classes - 1}")
    shape = f"N x {facts.channels} x {facts.size} x {facts.size}"
    lines.append(f"It gives images, float32, {shape}, {colour}, from 0 to 1; `(255 * images).round().byte()` is uint8")
    lines.append("N is any number, 1 too. `latents` may be float64, as NumPy draws them; `model.half()` halves all")
    lines.append('On a GPU: `model.to("cuda")`, with inputs that are on it too')
    return "\n".join(f"- {line}" for line in lines)
