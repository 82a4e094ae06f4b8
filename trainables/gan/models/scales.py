"""How often architectures after DCGAN and the residual networks halve an image."""

_SMALL = 32


def halvings(size: int) -> int:
    """Return how often images of `size` pixels are halved: twice up to 32, larger ones until 4 to 7 pixels are left.

    Radford et al. 2016 start G at 4 x 4 for 64 pixels; 28 and 32 pixels keep a map of 7 or 8.
    """
    return 2 if size <= _SMALL else (size // 4).bit_length() - 1


def check_halvings(name: str, size: int) -> None:
    """Raise ValueError with the rule if `size` cannot be halved evenly that often."""
    step = 2 ** halvings(size)
    if size <= _SMALL and (size % step or size < 8):
        raise ValueError(f"{name} needs an image size that is a multiple of 4 and at least 8, not {size}")
    if size % step:
        rule = f"between {4 * step} and {8 * step} pixels a multiple of {step}"
        raise ValueError(f"{name} needs an image size that is {rule}, not {size}")


def doubled_sizes(size: int, doublings: int) -> list[int]:
    """Return the sizes of a generator's maps: from the smallest, each at most twice the one before, to `size`.

    Rounded up where a size is odd, so 28 has 4, 7, 14, 28: a map of 4 is doubled and its last row and column dropped,
    as TensorFlow's transposed convolution of Kurach et al. 2019 does.
    """
    return [-(-size // 2**k) for k in range(doublings, -1, -1)]
