"""Two-branch pose network with refinement stages.

Paper: Z. Cao, T. Simon, S.-E. Wei, Y. Sheikh, "Realtime multi-person 2D pose estimation using part
affinity fields", CVPR 2017, arXiv:1611.08050.

Figure 3 for the COCO skeleton, with the first stage and two of its refinement stages.
"""

from .builder import GraphBuilder
from .inputs import images
from .registry import network
from .vgg import stage

# 19 limbs with a vector each; 18 joints and the background.
FIELDS, HEATMAPS = 38, 19
REFINEMENTS = 2


def first(g: GraphBuilder, x: str, out: int) -> str:
    """The first stage of one branch, on image features alone."""
    for _ in range(3):
        x = g.conv_relu(x, 128, 3)
    return g.conv(g.conv_relu(x, 512, 1), out, 1, gain=1.0)


def refine(g: GraphBuilder, x: str, out: int) -> str:
    """A later stage of one branch, on features and the last stage's results."""
    for _ in range(5):
        x = g.conv_relu(x, 128, 7)
    return g.conv(g.conv_relu(x, 128, 1), out, 1, gain=1.0)


@network("openpose", images(3, 368, 368))
def openpose(g: GraphBuilder, x: str) -> None:
    """Part affinity fields and joint heatmaps at an eighth of the resolution."""
    for width, depth in ((64, 2), (128, 2), (256, 4)):
        x = g.max_pool(stage(g, x, width, depth), 2, 2)
    x = stage(g, x, 512, 2)
    maps = g.conv_relu(g.conv_relu(x, 256, 3), 128, 3)
    with g.scope("stage1"):
        fields, heatmaps = first(g, maps, FIELDS), first(g, maps, HEATMAPS)
    for number in range(REFINEMENTS):
        with g.scope(f"stage{number + 2}"):
            x = g.concat(fields, heatmaps, maps)
            fields, heatmaps = refine(g, x, FIELDS), refine(g, x, HEATMAPS)
    g.output("fields", fields)
    g.output("heatmaps", heatmaps)
