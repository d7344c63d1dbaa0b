"""Show and Tell, a CNN + LSTM image captioner.

Paper: O. Vinyals, A. Toshev, S. Bengio, D. Erhan, "Show and tell: a neural image caption
generator", CVPR 2015, arXiv:1411.4555.

Inception-BN reads the image; its features are the first input of an LSTM of 512 cells, the words so
far the next ones. The vocabulary is the 12,000 words of the authors' release.
"""

import numpy as np

from .builder import GraphBuilder
from .inception_bn import features
from .inputs import Input, images, words
from .registry import network

WORDS, EMBEDDING, CELLS, LENGTH = 12_000, 512, 512, 20


@network(
    "show_and_tell",
    images(3, 224, 224, name="image"),
    Input("tokens", ("N", LENGTH), words(WORDS), np.int64),
)
def show_and_tell(g: GraphBuilder, image: str, tokens: str) -> None:
    """Logits [N, 1 + LENGTH, words]: the word that follows the image and each token."""
    seen = g.op("Unsqueeze", g.dense(features(g, image), EMBEDDING, gain=1.0), g.ints(0))
    table = g.weight("embedding", g.normal([WORDS, EMBEDDING], 1.0))
    said = g.op("Gather", table, g.op("Transpose", tokens, perm=[1, 0]))
    x = g.lstm(g.concat(seen, said, axis=0), CELLS)
    g.output("logits", g.op("Transpose", g.matmul(x, WORDS), perm=[1, 0, 2]))
