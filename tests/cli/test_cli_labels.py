"""Files of labels, and what counts as a classifier's output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lanewise.cli import labels


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nsea, the\n",
        "\ufeffcat\r\ndog\r\nsea, the",
        "0: cat\n1: dog\n2: sea, the\n",
        "2: sea, the\n0:cat\n1 : dog\n",
        "{0: 'cat',\n 1: 'dog',\n 2: 'sea, the'}",
        '{"0": ["n01", "cat"], "1": ["n02", "dog"], "2": ["n03", "sea, the"]}',
        '["cat", "dog", "sea, the"]',
    ],
)
def test_forms_of_labels(text: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    assert labels.read_labels(path) == {0: "cat", 1: "dog", 2: "sea, the"}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((10,), (1, 10)),
        ((1, 10), (1, 10)),
        ((4, 10), (4, 10)),
        ((2, 10, 1, 1), (2, 10)),
        ((2, 1, 1, 10), (2, 10)),
        ((2, 10, 7, 7), None),
        ((1, 1), None),
        ((), None),
        ((0, 10), None),
    ],
)
def test_what_a_classifier_gives(shape: tuple[int, ...], expected: tuple[int, int] | None) -> None:
    found = labels.class_scores(np.zeros(shape, np.float32))
    assert (None if found is None else found.shape) == expected
    assert labels.class_scores(np.zeros(shape, np.int64)) is None


def test_probabilities_are_kept_and_scores_are_not() -> None:
    given = np.array([[0.25, 0.75], [1.0, 0.0]], np.float32)
    found, softmax = labels.probabilities(given)
    assert not softmax
    np.testing.assert_array_equal(found, given)
    for scores in ([[0.25, 0.25]], [[2.0, -1.0]], [[1e4, -1e4]]):
        found, softmax = labels.probabilities(np.array(scores, np.float32))
        assert softmax
        np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)


def test_ties_keep_their_order() -> None:
    guesses = labels.top(np.array([0.2, 0.4, 0.4, 0.0]), 3, {1: "b"})
    assert [(guess.index, guess.label) for guess in guesses] == [(1, "b"), (2, ""), (0, "")]
