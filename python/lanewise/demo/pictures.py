"""Labelled rows of images as one picture. Nothing here knows what the images show."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

GAP = 12
LABEL_HEIGHT = 34
TEXT_SIZE = 20


def enlarge(image: Image.Image, factor: int) -> Image.Image:
    """`image` with every pixel shown as a square of `factor` pixels."""
    size = (image.width * factor, image.height * factor)
    return image.resize(size, Image.Resampling.NEAREST)


def sheet(labels: Sequence[str], rows: Sequence[Sequence[Image.Image]]) -> Image.Image:
    """Lays images out in columns under `labels`.

    Args:
        labels: one text per column.
        rows: rows of one image per column; images of a row are of one height, all images
            of one width.

    Returns:
        An RGB picture on white.
    """
    width = max(image.width for row in rows for image in row)
    heights = [max(image.height for image in row) for row in rows]
    size = (
        GAP + len(labels) * (width + GAP),
        LABEL_HEIGHT + GAP + sum(height + GAP for height in heights),
    )
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(TEXT_SIZE)
    for column, label in enumerate(labels):
        draw.text((GAP + column * (width + GAP), GAP), label, fill="black", font=font)
    top = LABEL_HEIGHT + GAP
    for row, height in zip(rows, heights, strict=True):
        for column, image in enumerate(row):
            picture.paste(image, (GAP + column * (width + GAP), top))
        top += height + GAP
    return picture
