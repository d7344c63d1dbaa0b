"""Fast R-CNN's head.

Paper: R. Girshick, "Fast R-CNN", ICCV 2015, arXiv:1504.08083.

The head that follows the convolutions of VGG-16, for the 20 classes of PASCAL VOC and the
background: RoI max pooling, fc6 and fc7, class probabilities, one regressed box per class, and
non-maximum suppression of each class. The feature map is that of an 800 x 600 image.
"""

from .builder import GraphBuilder
from .inputs import Input, natural, regions
from .registry import network

HEIGHT, WIDTH, STRIDE = 600, 800, 16
REGIONS, CLASSES = 128, 21
# Regression targets were divided by these in training, for dx, dy, dw, dh.
TARGET_STD = (0.1, 0.1, 0.2, 0.2)


def decode(g: GraphBuilder, rois: str, deltas: str) -> str:
    """Boxes [regions, classes, 4] in the image (Girshick et al., arXiv:1311.2524, appendix C).

    `rois` is [regions, 5], and `deltas`, the regressed offsets, is [regions, 4 * classes].
    """
    corners = g.op("Unsqueeze", g.slice(rois, 1, 1, 5), g.ints(1))
    low, high = g.ops("Split", 2, corners, g.ints(2, 2), axis=2)
    size = g.op("Add", g.op("Sub", high, low), g.const(1))
    centre = g.op("Add", low, g.op("Mul", size, g.const(0.5)))
    scaled = g.op("Mul", g.reshape(deltas, -1, CLASSES, 4), g.const(TARGET_STD))
    shift, log_scale = g.ops("Split", 2, scaled, g.ints(2, 2), axis=2)
    centre = g.op("Add", g.op("Mul", shift, size), centre)
    half = g.op("Mul", g.op("Mul", g.op("Exp", log_scale), size), g.const(0.5))
    edge = g.const([WIDTH - 1, HEIGHT - 1])
    ends = [g.op("Sub", centre, half), g.op("Add", centre, half)]
    return g.concat(*[g.op("Min", g.op("Max", e, g.const(0)), edge) for e in ends], axis=2)


@network(
    "fast_rcnn_head",
    Input("features", (1, 512, HEIGHT // STRIDE, WIDTH // STRIDE), natural),
    Input("rois", (REGIONS, 5), regions(HEIGHT, WIDTH)),
)
def fast_rcnn_head(g: GraphBuilder, features: str, rois: str) -> None:
    """Probabilities and boxes of all regions, and what suppression keeps of them."""
    x = g.op("MaxRoiPool", features, rois, pooled_shape=[7, 7], spatial_scale=1 / STRIDE)
    x = g.flatten(x)
    x = g.relu(g.dense(x, 4096))
    x = g.relu(g.dense(x, 4096))
    prob = g.classifier(x, CLASSES)
    boxes = decode(g, rois, g.dense(x, 4 * CLASSES, gain=1.0))
    # Each class is a batch of its own to NonMaxSuppression, which shares boxes between the classes
    # of a batch.
    scores = g.slice(g.op("Transpose", prob, perm=[1, 0]), 0, 1, CLASSES)
    scores = g.op("Unsqueeze", scores, g.ints(1))
    candidates = g.slice(g.op("Transpose", boxes, perm=[1, 0, 2]), 0, 1, CLASSES)
    limits = g.ints(REGIONS), g.const([0.3]), g.const([0.05])
    kept = g.op("NonMaxSuppression", candidates, scores, *limits)
    where = g.op("Gather", kept, g.ints(0, 2), axis=1)
    g.output("prob", prob)
    g.output("boxes", boxes)
    g.output("kept", kept)
    g.output("kept_boxes", g.op("GatherND", candidates, where))
    g.output("kept_scores", g.op("GatherND", scores, kept))
