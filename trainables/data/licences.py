"""The licence of each source's images, as far as their authors state one: for model cards.

A new source needs a row here; a test compares the names.
"""

OWN = "Not known to ganstudy: the images are the user's own. Say here where they are from and who may use them."

LICENCES: dict[str, str] = {
    "fashion_mnist": "MIT licence, © 2017 Zalando SE (https://github.com/zalandoresearch/fashion-mnist).",
    "mnist": (
        "© Yann LeCun and Corinna Cortes; usually given as CC BY-SA 3.0 (by Keras, for one), which its own page does "
        "not say. Derived from NIST's Special Databases 1 and 3."
    ),
    "cifar10": (
        "None stated by its authors, who ask to cite: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny "
        "Images (https://www.cs.toronto.edu/~kriz/cifar.html). The pictures are from the web; their owners are unknown."
    ),
    "digits": (
        "CC BY 4.0, as UCI gives it: the test part of Optical Recognition of Handwritten Digits (Alpaydin & Kaynak "
        "1998, https://archive.ics.uci.edu/dataset/80), which scikit-learn ships."
    ),
    "folder": OWN,
    "npz": OWN,
}
