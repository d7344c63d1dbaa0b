"""Deep bidirectional LSTM acoustic model.

Paper: A. Graves, A.-r. Mohamed, G. Hinton, "Speech recognition with deep recurrent neural
networks", ICASSP 2013, arXiv:1303.5778.

CTC-5L-250H of table 1: five bidirectional LSTM layers of 250 cells with peepholes, from 123
filter-bank features per frame to the 61 phones of TIMIT and CTC's blank. Three seconds of speech,
in frames of 10 ms.
"""

from .builder import GraphBuilder
from .inputs import Input, speech
from .registry import network

FRAMES, FEATURES, LAYERS, CELLS, PHONES = 300, 123, 5, 250, 62


@network("acoustic_lstm", Input("frames", (FRAMES, "N", FEATURES), speech))
def acoustic_lstm(g: GraphBuilder, x: str) -> None:
    """Phone posteriors [frames, N, phones] from feature frames."""
    for _ in range(LAYERS):
        x = g.lstm(x, CELLS, bidirectional=True, peephole=True)
    g.output("posteriors", g.softmax(g.matmul(x, PHONES)))
