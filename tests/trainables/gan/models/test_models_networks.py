"""Each architecture against the table of its paper: layers, sizes, numbers of weights, first weights, dropout."""

import copy
from functools import partial
from itertools import pairwise

import pytest
import torch
from model_cases import LATENT, MODELS, Case, seeded
from small_trials import global_randomness_untouched
from torch import Tensor, nn
from torch.nn import functional

from trainables.gan.models import ImageShape, Model
from trainables.gan.models.dropout import Dropout, dropouts_of, reseed_dropout
from trainables.gan.models.initialise import initialise
from trainables.gan.models.normalisation import NORMALISATIONS
from trainables.gan.models.resnet import Resnet
from trainables.gan.models.scales import doubled_sizes, halvings
from trainables.gan.models.upsample import Upsample

PLAIN = NORMALISATIONS["none"]
RGB = 3


def model(name: str, **knobs: object) -> Model:
    return MODELS[name].model_validate(knobs)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def convolution(inputs: int, outputs: int, kernel: int, bias: bool = True) -> int:
    """Its number of weights; a linear layer is one with kernel 1."""
    return inputs * outputs * kernel**2 + bias * outputs


def layers(net: nn.Module) -> list[tuple[str, int, int, int]]:
    """(kind, kernel, stride, outputs) of the convolutions of a stack, in order."""
    return [
        ("deconv" if isinstance(m, nn.ConvTranspose2d) else "conv", m.kernel_size[0], m.stride[0], m.out_channels)
        for m in net.modules()
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)
    ]


def maps(net: nn.Module, kind: type[nn.Module], inputs: Tensor) -> list[tuple[int, int]]:
    """(channels, size) of what each module of `kind` gives, in order."""
    seen: list[tuple[int, int]] = []
    for module in net.modules():
        if isinstance(module, kind):
            module.register_forward_hook(
                lambda _module, _inputs, output: seen.append((output.shape[1], output.shape[2]))
            )
    net(inputs)
    return seen


# ---------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(("size", "times"), [(8, 2), (28, 2), (32, 2), (48, 3), (64, 4), (96, 4), (128, 5)])
def test_images_are_halved_to_a_small_map(size: int, times: int) -> None:
    assert halvings(size) == times
    assert size <= 32 or 4 <= size / 2**times < 8


@pytest.mark.parametrize("size", [4, 9, 30])
@pytest.mark.parametrize("name", ["dcgan", "upsample", "sndcgan", "resnet"])
def test_refuses_what_does_not_halve_twice(name: str, size: int) -> None:
    with pytest.raises(ValueError, match=rf"{name} needs an image size .* multiple of 4 and at least 8, not {size}"):
        model(name).check_shape(ImageShape(1, size))


@pytest.mark.parametrize("name", ["dcgan", "upsample", "resnet"])
def test_refuses_larger_images_that_do_not_halve_evenly(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} needs an image size .*between 64 and 128 .*multiple of 16, not 100"):
        model(name).check_shape(ImageShape(1, 100))
    model(name).check_shape(ImageShape(1, 96))


def test_an_odd_map_is_reached_by_rounding_up() -> None:
    assert doubled_sizes(28, 3) == [4, 7, 14, 28]
    assert doubled_sizes(128, 5) == [4, 8, 16, 32, 64, 128]
    # A map of 4 resized (nearest) to 7 is the map doubled to 8 without its last row and column.
    x = torch.rand(1, 2, 4, 4, generator=seeded())
    doubled = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(nn.Upsample(size=(7, 7), mode="nearest")(x), doubled[..., :7, :7])


# ----------------------------------------------------------------------------------------------------------- mlp


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_mlp_has_as_many_hidden_layers_as_it_says(depth: int) -> None:
    mlp, shape = model("mlp", depth=depth, width=7), ImageShape(3, 8)
    g, d = mlp.generator(LATENT, shape), mlp.trunk(shape, PLAIN)

    def sizes(net: nn.Module) -> list[int]:
        return [m.out_features for m in net.modules() if isinstance(m, nn.Linear)]

    assert sizes(g) == [7] * depth + [3 * 8 * 8]
    assert sizes(d) == [7] * depth


def test_mlps_first_weights_keep_the_variance_through_leaky_layers() -> None:
    mlp = model("mlp", width=256)
    net = mlp.trunk(ImageShape(1, 28), PLAIN)
    mlp.initialise(net, seeded())
    for layer in (m for m in net.modules() if isinstance(m, nn.Linear)):
        expected = (2 / (1 + 0.2**2) / layer.in_features) ** 0.5  # He et al. 2015, eq. 15
        assert layer.weight.std().item() == pytest.approx(expected, rel=4 / (2 * layer.weight.numel()) ** 0.5)
        assert not layer.bias.any()


# --------------------------------------------------------------------------------------------------------- dcgan


def test_dcgan_at_64_pixels_is_radfords() -> None:
    dcgan, shape = model("dcgan", width=128, kernel=5), ImageShape(RGB, 64)
    with torch.device("meta"):
        g, d = dcgan.generator(100, shape), dcgan.trunk(shape, PLAIN)
    widths = [1024, 512, 256, 128, RGB]  # fig. 1: a map of 4 x 4 x 1024, then doubled four times by 5 x 5
    assert layers(g) == [("deconv", 5, 2, width) for width in widths[1:]]
    assert layers(d) == [("conv", 5, 2, width) for width in widths[-2::-1]]
    weights = 100 * 4 * 4 * 1024 + sum(convolution(i, o, 5, bias=o == RGB) for i, o in pairwise(widths))
    norms = 2 * sum(widths[:-1])
    assert count(g) == weights + norms
    assert dcgan.features(shape) == 4 * 4 * 1024


@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("size", [28, 32, 64])
def test_dcgans_kernel_changes_no_size(kernel: int, size: int) -> None:
    dcgan, shape = model("dcgan", width=4, kernel=kernel), ImageShape(1, size)
    times = halvings(size)
    sizes = [size // 2**k for k in range(times, -1, -1)]
    g, d = dcgan.generator(LATENT, shape), dcgan.trunk(shape, PLAIN)
    assert [s for _, s in maps(g, nn.ConvTranspose2d, torch.zeros(2, LATENT))] == sizes[1:]
    assert [s for _, s in maps(d, nn.Conv2d, torch.zeros(2, 1, size, size))] == sizes[-2::-1]
    assert all(m.kernel_size == (kernel, kernel) for m in d.modules() if isinstance(m, nn.Conv2d))


def test_dcgans_first_weights_are_those_of_its_paper() -> None:
    dcgan = model("dcgan", width=64)
    for net in (dcgan.generator(64, ImageShape(1, 28)), dcgan.trunk(ImageShape(1, 28), NORMALISATIONS["batch"])):
        dcgan.initialise(net, seeded())
        for name, value in net.named_parameters():
            spread, n = value.std(correction=0).item(), value.numel()
            if name.endswith("bias"):
                assert not value.any()
            else:
                centre = 1 if value.ndim == 1 else 0  # a norm's gain
                assert value.mean().item() == pytest.approx(centre, abs=4 * 0.02 / n**0.5)
                assert spread == pytest.approx(0.02, rel=4 / (2 * n) ** 0.5)


# ------------------------------------------------------------------------------------------------------- sndcgan


@pytest.mark.parametrize("size", [28, 32, 64])
def test_sndcgan_is_table_3(size: int) -> None:
    sndcgan, shape, base = model("sndcgan"), ImageShape(RGB, size), -(-size // 8)
    with torch.device("meta"):
        g, d = sndcgan.generator(128, shape), sndcgan.trunk(shape, PLAIN)
    # Miyato et al. 2018, table 3 (a): dense to M x M x 512, three 4 x 4 deconvolutions of stride 2, a 3 x 3.
    of_g = [("deconv", 4, 2, 256), ("deconv", 4, 2, 128), ("deconv", 4, 2, 64), ("conv", 3, 1, RGB)]
    assert layers(g) == of_g
    channels = [512, 256, 128, 64]
    deconvolutions = sum(convolution(i, o, 4, bias=False) for i, o in pairwise(channels))
    norms = 2 * sum(channels)
    assert count(g) == 128 * 512 * base**2 + deconvolutions + convolution(64, RGB, 3) + norms
    # (b): pairs of a 3 x 3 of stride 1 and a 4 x 4 of stride 2, a last 3 x 3, dense to 1.
    widths, kernels = [64, 64, 128, 128, 256, 256, 512], [3, 4, 3, 4, 3, 4, 3]
    assert layers(d) == [("conv", k, 2 if k == 4 else 1, w) for w, k in zip(widths, kernels, strict=True)]
    assert count(d) == sum(convolution(i, o, k) for (i, o), k in zip(pairwise([RGB, *widths]), kernels, strict=True))
    assert sndcgan.features(shape) == 512 * base**2
    assert {m.negative_slope for m in d.modules() if isinstance(m, nn.LeakyReLU)} == {0.1}


def test_sndcgan_has_at_28_pixels_the_network_of_32() -> None:
    sndcgan = model("sndcgan", width=4)
    nets = [
        (sndcgan.generator(LATENT, shape), sndcgan.trunk(shape, PLAIN))
        for shape in (ImageShape(1, 28), ImageShape(1, 32))
    ]
    for one, other in zip(*nets, strict=True):
        assert [p.shape for p in one.parameters()] == [p.shape for p in other.parameters()]
    assert [s for _, s in maps(nets[0][0], nn.BatchNorm2d, torch.rand(2, LATENT, generator=seeded()))] == [4, 7, 14, 28]
    assert [s for _, s in maps(nets[0][1], nn.Conv2d, torch.zeros(2, 1, 28, 28))] == [28, 14, 14, 7, 7, 4, 4]


@pytest.mark.parametrize("width", [16, 64])
def test_sndcgans_first_weights_are_the_papers_at_its_width(width: int) -> None:
    sndcgan = model("sndcgan", width=width)
    net = sndcgan.trunk(ImageShape(1, 28), PLAIN)
    sndcgan.initialise(net, seeded())
    for layer in (m for m in net.modules() if isinstance(m, nn.Conv2d)):
        expected = 0.02 * (64 / width) ** 0.5
        assert layer.weight.std().item() == pytest.approx(expected, rel=4 / (2 * layer.weight.numel()) ** 0.5)


# -------------------------------------------------------------------------------------------------------- resnet


def test_resnet_at_32_pixels_is_table_4() -> None:
    resnet, shape = model("resnet"), ImageShape(RGB, 32)
    with torch.device("meta"):
        g, d = resnet.generator(128, shape), resnet.trunk(shape, PLAIN)
    # G: dense to 4 x 4 x 256, three blocks of 256 that double, batch norm, a 3 x 3. The paper's code has biases
    # everywhere; those of the dense layer and of the blocks are left out here, because the last norm cancels them.
    w = 256
    block = 2 * convolution(w, w, 3, bias=False) + convolution(w, w, 1, bias=False) + 2 * 2 * w
    assert count(g) == 128 * 4 * 4 * w + 3 * block + 2 * w + convolution(w, RGB, 3)
    # D: a block from the image and one that halve, two that do not and whose shortcut is the identity.
    w = 128
    plain = 2 * convolution(w, w, 3)
    first = convolution(RGB, w, 3) + convolution(w, w, 3) + convolution(RGB, w, 1)
    assert count(d) == first + plain + convolution(w, w, 1) + 2 * plain
    assert resnet.features(shape) == w


BLOCKS = {
    # table 4; 28 pixels with G's first map of 4 doubled to 7
    28: ([(2, 7), (2, 14), (2, 28)], [(1, 14), (1, 7), (1, 7), (1, 7)]),
    32: ([(2, 8), (2, 16), (2, 32)], [(1, 16), (1, 8), (1, 8), (1, 8)]),
    # Miyato & Koyama's snresnet_64 and resnet_64
    64: ([(8, 8), (4, 16), (2, 32), (1, 64)], [(1, 32), (2, 16), (4, 8), (8, 4), (16, 2)]),
    # table 5
    128: ([(16, 8), (8, 16), (4, 32), (2, 64), (1, 128)], [(1, 64), (2, 32), (4, 16), (8, 8), (16, 4), (16, 4)]),
}


@pytest.mark.parametrize(("size", "blocks"), BLOCKS.items(), ids=map(str, BLOCKS))
def test_resnets_blocks_are_those_of_the_tables(
    size: int, blocks: tuple[list[tuple[int, int]], list[tuple[int, int]]]
) -> None:
    width, shape = 4, ImageShape(RGB, size)
    resnet = model("resnet", width=width)
    g, d = resnet.generator(LATENT, shape), resnet.trunk(shape, PLAIN)
    up, down = (type(next(m for m in net.modules() if hasattr(m, "shortcut"))) for net in (g, d))
    of_g, of_d = blocks
    assert maps(g, up, torch.rand(2, LATENT, generator=seeded())) == [(width * k, s) for k, s in of_g]
    assert maps(d, down, torch.zeros(2, RGB, size, size)) == [(width * k, s) for k, s in of_d]


def test_resnets_features_are_sums_over_positions() -> None:
    resnet, shape = model("resnet", width=4), ImageShape(RGB, 32)
    net = resnet.trunk(shape, PLAIN)
    resnet.initialise(net, seeded())
    x = torch.rand(2, RGB, 32, 32, generator=seeded())
    before = nn.Sequential(*list(net)[:-1])(x)  # type: ignore[call-overload]
    assert before.shape == (2, 4, 8, 8)
    torch.testing.assert_close(net(x), before.flatten(2).sum(2))


def test_a_doubling_block_is_a_shortcut_and_two_convolutions() -> None:
    """The block of Gulrajani et al. 2017 written out, in float64; it resizes before its 1 x 1, as the papers' code."""
    resnet = Resnet(width=4)
    g = resnet.generator(LATENT, ImageShape(1, 32)).double().eval()
    block = next(m for m in g.modules() if hasattr(m, "shortcut"))
    x = torch.randn(2, 8, 4, 4, generator=seeded(), dtype=torch.float64)

    def doubled(y: Tensor) -> Tensor:
        return y.repeat_interleave(2, 2).repeat_interleave(2, 3)

    h = functional.conv2d(doubled(block.norm1(x).clamp(min=0)), block.conv1.weight, padding=1)
    h = functional.conv2d(block.norm2(h).clamp(min=0), block.conv2.weight, padding=1)
    expected = h + functional.conv2d(doubled(x), block.shortcut.weight)
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_a_halving_block_is_a_shortcut_and_two_convolutions() -> None:
    resnet = Resnet(width=4)
    d = resnet.trunk(ImageShape(1, 32), PLAIN).double()
    first, second = (m for m in list(d.modules()) if hasattr(m, "shortcut") and isinstance(m.shortcut, nn.Conv2d))
    x = torch.randn(2, 1, 32, 32, generator=seeded(), dtype=torch.float64)

    def convolve(y: Tensor, layer: nn.Conv2d, padding: int = 1) -> Tensor:
        return functional.conv2d(y, layer.weight, layer.bias, padding=padding)

    def halved(y: Tensor) -> Tensor:
        return (y[..., ::2, ::2] + y[..., 1::2, ::2] + y[..., ::2, 1::2] + y[..., 1::2, 1::2]) / 4

    residual = halved(convolve(convolve(x, first.conv1).clamp(min=0), first.conv2))
    expected = residual + convolve(halved(x), first.shortcut, 0)
    torch.testing.assert_close(first(x), expected, rtol=1e-12, atol=1e-12)
    x = expected
    residual = halved(convolve(convolve(x.clamp(min=0), second.conv1).clamp(min=0), second.conv2))
    expected = residual + halved(convolve(x, second.shortcut, 0))
    torch.testing.assert_close(second(x), expected, rtol=1e-12, atol=1e-12)


def test_resnets_first_weights_are_glorots() -> None:
    resnet = model("resnet", width=32)
    for net in (
        resnet.generator(64, ImageShape(RGB, 32)),
        resnet.trunk(ImageShape(RGB, 32), NORMALISATIONS["spectral"]),
    ):
        resnet.initialise(net, seeded())
        for name, value in net.named_parameters():
            if value.ndim < 2:
                continue
            fans = (value.shape[0] + value.shape[1]) * value[0, 0].numel()
            gain = 2**0.5 if "conv" in name else 1
            limit = gain * (6 / fans) ** 0.5
            assert value.abs().max().item() == pytest.approx(limit, rel=0.2)
            assert value.abs().max().item() <= limit * (1 + 1e-6)
            assert value.std().item() == pytest.approx(limit / 3**0.5, rel=4 / value.numel() ** 0.5)


# ------------------------------------------------------------------------------------------------------ upsample


@pytest.mark.parametrize("resize", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [28, 64])
def test_upsample_without_skips_is_resize_and_convolve(size: int, resize: str) -> None:
    upsample, shape = model("upsample", width=4, resize=resize), ImageShape(1, size)
    g, d = upsample.generator(LATENT, shape), upsample.trunk(shape, PLAIN)
    widths = [4 * min(2**k, 8) for k in range(halvings(size), -1, -1)]
    assert layers(g) == [("conv", 3, 1, width) for width in [*widths[1:], 1]]
    assert layers(d) == [("conv", 3, 1, width) for width in reversed(widths)]
    assert [m.mode for m in g.modules() if isinstance(m, nn.Upsample)] == [resize] * halvings(size)
    assert not [m for m in g.modules() if isinstance(m, nn.ReLU)]


def test_an_output_skip_sums_the_images_of_all_maps() -> None:
    """Karras et al. 2020, fig. 7 (b): every map makes an image; each is resized bilinearly and added to the next."""
    upsample, shape = Upsample(width=4, skip="output"), ImageShape(RGB, 28)
    net = upsample.generator(LATENT, shape)
    upsample.initialise(net, seeded())
    images: list[Tensor] = []
    made = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    for layer in made:
        layer.register_forward_hook(lambda _module, _inputs, output: images.append(output))
    found = net(torch.randn(2, LATENT, generator=seeded()))
    assert [image.shape[2] for image in images] == [7, 14, 28]
    resize = partial(functional.interpolate, scale_factor=2, mode="bilinear")
    small, middle, large = images
    torch.testing.assert_close(found, torch.tanh(resize(resize(small) + middle) + large))
    assert found.abs().mean() < 0.7  # tanh is not saturated at the start


# ------------------------------------------------------------------------------------------------------- dropout


def test_dropout_zeroes_the_share_it_says_and_keeps_the_mean() -> None:
    layer, n = Dropout(0.3), 20_000
    reseed_dropout([layer], 5)
    x = torch.full((100, n // 100), 2.0)
    y = layer(x)
    kept = y != 0
    assert kept.float().mean().item() == pytest.approx(0.7, abs=4 * (0.3 * 0.7 / n) ** 0.5)
    torch.testing.assert_close(y[kept], x[kept] / 0.7)
    rows = kept.float().mean(1)
    assert rows.std() < 2 * (0.3 * 0.7 / x.shape[1]) ** 0.5  # each number for itself, not whole rows
    assert torch.equal(layer.eval()(x), x)


def test_dropouts_masks_follow_from_the_seed_alone() -> None:
    x = torch.ones(50, 50)

    def masks(seed: int, state: int) -> list[Tensor]:
        torch.manual_seed(state)
        net = nn.Sequential(Dropout(0.5), Dropout(0.5))
        reseed_dropout(dropouts_of(net), seed)
        with global_randomness_untouched():
            return [layer(x) for layer in (*net, *net)]  # two layers, twice each

    one, again, other = masks(1, 1), masks(1, 2), masks(2, 1)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not any(torch.equal(a, b) for i, a in enumerate(one) for b in one[:i])


def test_a_step_of_dropout_is_repeated_by_its_seed() -> None:
    net, x = Dropout(0.5), torch.ones(50, 50)
    with pytest.raises(RuntimeError, match="dropout without a seed"):
        net(x)
    net.reseed(3)
    first, second = net(x), net(x)
    assert not torch.equal(first, second)
    net.reseed(3)
    other = copy.deepcopy(net)
    assert torch.equal(net(x), first)
    late = copy.deepcopy(net)  # in the middle of a step
    assert torch.equal(net(x), second)
    assert torch.equal(late(x), second)
    assert torch.equal(other(x), first)
    assert not list(net.state_dict())


def test_dropout_passes_the_gradient_of_what_it_kept() -> None:
    layer, x = Dropout(0.5), torch.ones(20, 20, requires_grad=True)
    layer.reseed(1)
    y = layer(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize("p", [-0.1, 1.0])
def test_dropout_refuses_what_is_no_probability(p: float) -> None:
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        Dropout(p)


def test_dcgan_drops_behind_each_activation_of_d_and_only_if_asked() -> None:
    shape = ImageShape(1, 28)
    with_it, without = model("dcgan", width=4, dropout=0.3), model("dcgan", width=4)
    assert len(dropouts_of(with_it.trunk(shape, PLAIN))) == 2
    assert not dropouts_of(without.trunk(shape, PLAIN))
    assert not dropouts_of(with_it.generator(LATENT, shape))
    one, other = (Case(m, PLAIN, shape).discriminator() for m in (with_it, without))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    images = Case(with_it, PLAIN, shape).images()
    assert torch.equal(one.eval()(images).logits, other.eval()(images).logits)
    assert not torch.equal(one.train()(images).logits, other.train()(images).logits)


# ----------------------------------------------------------------------------------------------------- in general


def test_a_kind_of_layer_without_a_rule_is_refused() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.PReLU())
    with pytest.raises(TypeError, match="no rule to initialise PReLU"):
        initialise(net, weight=partial(nn.init.normal_, generator=seeded()))
