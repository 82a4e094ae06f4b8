"""How the class of an image reaches G and D. A new one is one class and one row in `CONDITIONINGS`.

D is a trunk (the architecture's, images to features) with a head (the conditioning's, features to scores), so
that every conditioning works with every architecture. G learns the class from a one-hot code beside the latent.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from trainables.gan.models.normalisation import Normalisation
from trainables.variants import Variant

Wrap = Callable[[nn.Module], nn.Module]


class Scores(NamedTuple):
    """What D says about a batch of N images."""

    logits: Tensor
    """Real or generated, (N,)."""
    classes: Tensor | None = None
    """Logits of the image's class, (N, classes), where D tells classes apart."""


class Discriminator(nn.Module):
    """D: `trunk` (N, C, H, W) -> (N, F), then `head` (N, F), labels -> `Scores`."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Scores:
        """Score images (N, C, H, W); `labels` (N,) integers where the head uses them."""
        scores: Scores = self.head(self.trunk(images), labels)
        return scores


class _PlainHead(nn.Module):
    """A logit that is linear in the features; labels are ignored."""

    def __init__(self, features: int, wrap: Wrap) -> None:
        super().__init__()
        self.psi = wrap(nn.Linear(features, 1))

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Scores:
        return Scores(self.psi(features).flatten(0))


class _ProjectionHead(nn.Module):
    """psi(phi) + <V y, phi>: the plain logit plus the features' product with a vector per class."""

    def __init__(self, features: int, classes: int, wrap: Wrap) -> None:
        super().__init__()
        self.psi = wrap(nn.Linear(features, 1))
        self.embedding = wrap(nn.Embedding(classes, features))

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Scores:
        product = (self.embedding(_needed(labels)) * features).sum(1)
        return Scores(self.psi(features).flatten(0) + product)


class _ClassifierHead(nn.Module):
    """The plain logit, and logits of the classes; labels are ignored (the losses use them)."""

    def __init__(self, features: int, classes: int, wrap: Wrap) -> None:
        super().__init__()
        self.source = wrap(nn.Linear(features, 1))
        self.classifier = wrap(nn.Linear(features, classes))

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Scores:
        return Scores(self.source(features).flatten(0), self.classifier(features))


class Conditioning(Variant):
    """Base: labels reach neither G nor D."""

    name: str
    uses_labels: ClassVar[bool] = False
    """The data must have labels, and both G's input and D's head take them."""

    def latent_inputs(self, latent: int, classes: int) -> int:
        """Return how many numbers G's first layer takes for a latent of `latent` numbers."""
        return latent + classes if self.uses_labels else latent

    def generator_input(self, z: Tensor, labels: Tensor | None, classes: int) -> Tensor:
        """Return G's input (N, latent_inputs): `z` (N, latent), with the one-hot label behind it if labels are used.

        Mirza & Osindero 2014.
        """
        if not self.uses_labels:
            return z
        return torch.cat([z, functional.one_hot(_needed(labels), classes).to(z.dtype)], dim=1)

    def head(self, features: int, classes: int, normalisation: Normalisation) -> nn.Module:
        """Return D's last layers: features (N, F), labels (N,) or None -> `Scores`."""
        return _PlainHead(features, normalisation.wrap)

    def discriminator_loss(
        self, real: Scores, fake: Scores, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> Tensor | None:
        """Return a scalar to add to D's loss, or None."""
        return None

    def generator_loss(self, fake: Scores, fake_labels: Tensor | None) -> Tensor | None:
        """Return a scalar to add to G's loss, or None."""
        return None


class NoConditioning(Conditioning):
    """Labels are not used."""

    name: Literal["none"] = "none"


class Projection(Conditioning):
    """D's logit is psi(phi(x)) + <V y, phi(x)>. Miyato & Koyama 2018, eq. 4; V is normalised as D's other weights."""

    name: Literal["projection"] = "projection"
    uses_labels: ClassVar[bool] = True

    def head(self, features: int, classes: int, normalisation: Normalisation) -> nn.Module:
        """Return the head with a vector of `features` numbers per class."""
        return _ProjectionHead(features, classes, normalisation.wrap)


class AuxiliaryClassifier(Conditioning):
    """D also tells the class; G wants its images told right. AC-GAN, Odena et al. 2017, eqs. 2 and 3.

    D minimises L_S + real_weight * CE(real) + fake_weight * CE(generated), G its own loss + generator_weight *
    CE(generated), CE the mean cross-entropy with the true labels or with those G was given. The paper has all
    weights 1; Gulrajani et al. 2017 (their CIFAR-10 code) train the classifier on reals alone (fake_weight 0)
    and give G 0.1.
    """

    name: Literal["acgan"] = "acgan"
    real_weight: float = Field(default=1.0, gt=0, le=100)
    fake_weight: float = Field(default=1.0, ge=0, le=100)
    generator_weight: float = Field(default=1.0, ge=0, le=100)
    uses_labels: ClassVar[bool] = True

    def head(self, features: int, classes: int, normalisation: Normalisation) -> nn.Module:
        """Return the head with a logit per class beside the one for real or generated."""
        return _ClassifierHead(features, classes, normalisation.wrap)

    def discriminator_loss(
        self, real: Scores, fake: Scores, real_labels: Tensor | None, fake_labels: Tensor | None
    ) -> Tensor:
        """Return the weighted cross-entropies on real and generated images."""
        of_real, of_fake = _cross_entropy(real, real_labels), _cross_entropy(fake, fake_labels)
        return self.real_weight * of_real + self.fake_weight * of_fake

    def generator_loss(self, fake: Scores, fake_labels: Tensor | None) -> Tensor:
        """Return the weighted cross-entropy on generated images."""
        return self.generator_weight * _cross_entropy(fake, fake_labels)


def _needed(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ValueError("this conditioning needs labels: pass those of the images")
    return labels.long()


def _cross_entropy(scores: Scores, labels: Tensor | None) -> Tensor:
    if scores.classes is None:
        raise ValueError("scores without classes: evaluate the images by a discriminator with acgan's own head")
    return functional.cross_entropy(scores.classes, _needed(labels))


CONDITIONINGS: dict[str, type[Conditioning]] = {
    "none": NoConditioning,
    "projection": Projection,
    "acgan": AuxiliaryClassifier,
}
