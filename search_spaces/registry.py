"""The spaces that a study file can name. A new one is one file and one row in `SPACES`."""

from search_spaces.conditional import CONDITIONAL
from search_spaces.gan28 import GAN28
from search_spaces.gan32 import GAN32
from search_spaces.kurach import KURACH
from search_spaces.lucic import LUCIC_NARROW, LUCIC_WIDE
from search_spaces.quick import QUICK
from search_spaces.space import Space

SPACES: dict[str, Space] = {
    space.name: space for space in (QUICK, GAN28, GAN32, CONDITIONAL, LUCIC_WIDE, LUCIC_NARROW, KURACH)
}
