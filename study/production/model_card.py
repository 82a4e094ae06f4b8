"""The model card of a trained generator: a README.md on what it is, how good it is, where it is from, how to use it."""

import yaml

from study.analysis.export import Origin
from study.production.folder import ProductionFolder, TrainingMetrics
from study.views.seen_images import is_seen, split_words
from study.views.tables import number
from trainables.data import DataFacts
from trainables.data.licences import LICENCES
from trainables.display import in_markdown
from trainables.evaluation.image_counts import ImageCounts
from trainables.evaluation.prepare import Prepared
from trainables.generator import GeneratorFacts

_MEANINGS = {
    "fid": "Fréchet distance of features (lower is better)",
    "kid": "kernel distance of features (lower)",
    "kid_std": "its standard deviation over subsets",
    "precision": "generated images that look real (higher)",
    "recall": "real images that the generator can make (higher)",
    "density": "as precision, robust to outliers (higher)",
    "coverage": "as recall, robust to outliers (higher)",
    "inception_score": "of the extractor's classes (higher)",
    "modes_covered": "classes that appear",
    "class_kl": "distance of the classes' frequencies to the data's (lower)",
}


def model_card(
    facts: GeneratorFacts, prepared: Prepared, measured: TrainingMetrics, origin: Origin, folder: ProductionFolder
) -> str:
    """Return Markdown."""
    name = folder.path.resolve().name
    return "\n\n".join(
        (
            f"# {in_markdown(name)}: a generator of {facts.trial.data.name} images",
            f"![{folder.grid.name}]({folder.grid.name})",
            "Samples, not selected: `ganstudy sample` with its defaults draws these.",
            _what(facts),
            _quality(facts, prepared, measured),
            data_text(facts, prepared.dataset.facts),
            _origin(facts, measured, origin),
            _use(facts, folder),
            "## Configuration",
            f"```yaml\n{yaml.safe_dump(facts.trial.to_dict(), sort_keys=False)}```\n",
        )
    )


def _what(facts: GeneratorFacts) -> str:
    trial = facts.trial
    colour = {1: "grey", 3: "colour"}[facts.channels]
    average = f"; its weights are a moving average (half-life {trial.ema_kimg:g} kimg)" if trial.ema_kimg else ""
    asked = f"; it takes one of {facts.classes} classes" if trial.uses_labels else "; it takes no class"
    return (
        f"It makes {colour} images of {facts.size} x {facts.size} pixels from {trial.latent.dimension} numbers (latent "
        f"`{trial.latent.name}`){asked}. The architecture is `{trial.model.name}`, the loss `{trial.loss}`; it was "
        f"trained until its discriminator had seen {facts.kimg} thousand real images{average}."
    )


def _quality(facts: GeneratorFacts, prepared: Prepared, measured: TrainingMetrics) -> str:
    evaluation = facts.trial.evaluation
    chosen = measured.generator or {}
    tests = measured.test or {}
    split = split_words(evaluation.split, facts.trial.to_dict())
    title = split + (" (chosen by it)" if chosen.get("chosen") != "last" else "")
    heads = ["metric", title, *(["test split"] if tests else []), "meaning"]
    rows = [
        [f"`{key}`", f"{chosen[key]:.4g}", *([f"{tests[key]:.4g}"] if tests else []), _MEANINGS.get(key, "")]
        for key in evaluation.keys
    ]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ["---"] * len(heads), *rows])
    floor = (
        f"images have {number(measured.fid_floor)}, one half against the other. A generator that copies train images "
        "would have the lowest FID"
        if is_seen(facts.trial.to_dict())
        else f"training images have {number(measured.fid_floor)} against the test split"
    )
    scale = (
        f"Against the {split} uniform noise has FID {number(measured.fid_ceiling)}; real {floor}. FIDs can be compared "
        "only where the fingerprints are equal: they name data, split, extractor "
        f"(`{prepared.extractor.name}`) and the number of generated images ({evaluation.count})."
    )
    prints = f"Fingerprints: {evaluation.split} `{facts.fid_fingerprint}`"
    prints += f", test `{tests['fid_fingerprint']}`." if tests else "."
    best = ""
    if chosen.get("chosen") != "last":
        best = (
            f"\n\nThe generator has the lowest FID of {len(measured.reports)} reports, so its FID on the "
            f"{split} is a little too low"
        ) + (", the one on the test split is not." if tests else ".")
    return f"## Quality\n\n{table}\n\n{scale} {prints}{best}"


def data_text(facts: GeneratorFacts, data: DataFacts) -> str:
    """Return what the generator was trained on, and under which licence, as a section of Markdown."""
    name = facts.trial.data.name
    classes = f" in {data.classes} classes" if data.classes else ""
    return (
        f"## Data\n\n`{name}`: {data.images['train']} images{classes} were trained on; digest of the data "
        f"`{data.digest}`.\n\nLicence of the data: {LICENCES[name]}"
    )


def _origin(facts: GeneratorFacts, measured: TrainingMetrics, origin: Origin) -> str:
    if origin.study is None:
        text = "Its configuration is not from a study"
    else:
        text = (
            f"Its configuration was found by trial {origin.trial} of the study `{in_markdown(origin.study)}` "
            f"(`{in_markdown(str(origin.study_uid))}`)"
        )
        if origin.fid_best is not None:
            text += f", whose best FID was {number(origin.fid_best)} at {origin.kimg_best} kimg"
            counts = ImageCounts.of(facts.trial.evaluation, origin.full_count_at)
            images = counts.at(origin.kimg_best or 0)
            text += "" if images == counts.full else f" (of {images} generated images, which cannot be compared)"
            text += "" if origin.fid_fingerprint in (None, facts.fid_fingerprint) else " (of another fingerprint)"
    return f"## Origin\n\n{text}. Trained with seed {facts.trial.seed}, as training `{measured.uid}`."


def _use(facts: GeneratorFacts, folder: ProductionFolder) -> str:
    shape = f"64 x {facts.channels} x {facts.size} x {facts.size}"
    one_class = f"\nganstudy sample . -n 64 --class 0 --out class-0.png   # 0 to {facts.classes - 1}"
    return f"""## Use

```sh
ganstudy sample . -n 64 --seed 1 --out grid.png{one_class if facts.trial.uses_labels else ""}
ganstudy sample . -n 10000 --npz images.npz
ganstudy sample . --interpolate --out strip.png
ganstudy evaluate . --split test
ganstudy export-onnx . generator.onnx   # needs: pip install 'ganstudy[onnx]'
ganstudy train {folder.config.name} --kimg {facts.kimg} --out elsewhere   # train it again
```

```python
from pathlib import Path
from trainables.generator import Generator

images = Generator.read(Path(".")).sample(64, seed=1).images  # uint8, {shape}
```

`{folder.generator.name}` needs neither the data nor the other files, and reading it runs no code of its own."""
