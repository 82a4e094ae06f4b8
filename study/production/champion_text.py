"""What is said of a registered generator: how to load it, what it takes and gives, where it is from."""

from dataclasses import dataclass

from rich.console import Console

from study.mlflow.store import display_uri
from study.production.model_card import data_text
from study.terminal.say import say
from study.views.tables import number
from trainables.data import Dataset
from trainables.generator import GeneratorFacts

ALIAS = "champion"
_SHOWN = 16  # images in the example


@dataclass(frozen=True)
class Registered:
    """Where a generator is now; `new` tells whether this version was made just now."""

    name: str
    version: str
    new: bool


def model_uri(name: str) -> str:
    """Return what MLflow loads the champion by."""
    return f"models:/{name}@{ALIAS}"


def usage(facts: GeneratorFacts, name: str, uri: str) -> list[str]:
    """Return lines of Python that load the champion of `name` and sample it, without this program.

    Args:
        facts: the generator's.
        name: of the registered model.
        uri: of the MLflow store; credentials in it are left out.
    """
    shape = f"{_SHOWN} x {facts.channels} x {facts.size} x {facts.size}"
    lines = [
        "import mlflow, torch",
        f'mlflow.set_tracking_uri("{display_uri(uri)}")',
        f'model = mlflow.pytorch.load_model("{model_uri(name)}")',
    ]
    inputs = [facts.trial.latent.in_torch(str(_SHOWN))]
    if facts.trial.uses_labels:
        lines.append(f"labels = torch.randint({facts.classes}, ({_SHOWN},))")
        inputs.append("labels")
    return [*lines, f"images = model({', '.join(inputs)})  # float32, {shape}, from 0 to 1"]


def description(facts: GeneratorFacts, dataset: Dataset, found: str, name: str, uri: str) -> str:
    """Return the model version's page in Markdown; `found` is a sentence on where the generator is from."""
    parts = [f"{found}{_quality(facts)}", f"## Use\n\n{_signature(facts)}", _code(usage(facts, name, uri))]
    parts.append(f"The champion may be another by now; `models:/{name}/NUMBER` loads this version by its number.")
    if facts.trial.uses_labels:
        parts.append("Load it with `mlflow.pytorch`, as here: MLflow's `pyfunc` can only give a model one tensor.")
    return "\n\n".join([*parts, data_text(facts, dataset)])


def about(name: str) -> str:
    """Return the description of the registered model, of whatever version."""
    return (
        f"Generators registered by ganstudy under the name `{name}`. `{model_uri(name)}` is the one to use; each "
        "version says what it takes, what it gives, and how good it is."
    )


def tell(registered: Registered, facts: GeneratorFacts, uri: str, origin: str, console: Console) -> None:
    """Say what was registered, where it is, and how to load it."""
    new = "" if registered.new else " (it was there already)"
    say(
        console,
        f"{registered.name} version {registered.version} is its {ALIAS}{new}: {origin}, {facts.kimg} kimg, "
        f"FID {number(facts.fid)}",
    )
    say(console, f"registry: {display_uri(uri)}\nload it where torch and mlflow are, ganstudy is not needed:")
    for line in usage(facts, registered.name, uri):
        say(console, f"  {line}")


def _quality(facts: GeneratorFacts) -> str:
    evaluation = facts.trial.evaluation
    return (
        f" Architecture `{facts.trial.model.name}`, loss `{facts.trial.loss}`, {facts.kimg} thousand real images shown "
        f"to its discriminator. FID {number(facts.fid)} on the {evaluation.split} split with "
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
    lines.append('N is any number, 1 too. On a GPU: `model.to("cuda")`, with inputs that are there')
    return "\n".join(f"- {line}" for line in lines)


def _code(lines: list[str]) -> str:
    return "\n".join(["```python", *lines, "```"])
