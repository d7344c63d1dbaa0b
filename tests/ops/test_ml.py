"""Classical models of ai.onnx.ml against onnxruntime: trees, linear functions, support vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper

import lanewise as lw
from tests.ops.ml_models import agree, fails, forest, model, oracle, rows, run, voted

FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING
TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
LABELS: dict[int, list[dict[str, Any]]] = {
    2: [{"ints": [7, -3]}, {"strings": ["no", "yes"]}],
    3: [{"ints": [4, 0, 9]}, {"strings": ["a", "b", "c"]}],
}


def integers(x: Any) -> Any:
    """Values that meet the trees' thresholds, some missing."""
    x = np.round(x)
    x[np.random.default_rng(1).random(x.shape) < 0.1] = np.nan
    return x


def labels_of(count: int, which: int, ints: str = "ints") -> tuple[int, dict[str, Any]]:
    ((kind, values),) = LABELS[count][which].items()
    name = f"classlabels_{ints if kind == 'ints' else 'strings'}"
    return (INT64 if kind == "ints" else STRING), {name: values}


@pytest.mark.parametrize("aggregate", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.parametrize("base", [False, True])
def test_tree_regressor(aggregate: str, targets: int, base: bool) -> None:
    nodes, votes = forest(targets, 7, 5, range(targets))
    given = {"base_values": [0.5] * targets} if base else {}
    for n in (1, 33, 0):
        x = integers(rows(n, n, 5))
        proto = model(
            "TreeEnsembleRegressor", [x], n_targets=targets, aggregate_function=aggregate,
            **nodes, **voted("target", votes), **given,
        )  # fmt: skip
        if n:
            agree(proto, [x])
        else:
            assert run(proto, [x])[0].shape == (0, targets)


def two_scores(score: Any, transform: str) -> Any:
    """One score as two classes' where a transform is asked for, in ONNX's reference.

    onnxruntime leaves them untransformed by SOFTMAX, and one of them unset by PROBIT.
    """
    pair = np.stack([-score, score], axis=1)
    if transform == "SOFTMAX":
        return np.exp(pair) / np.exp(pair).sum(axis=1, keepdims=True)
    assert transform == "LOGISTIC"
    return 1 / (1 + np.exp(-pair))


def classifier(transform: str, low: float, ids: list[int]) -> tuple[Any, Any]:
    classes = 3 if len(ids) == 3 else 2
    code, labels = labels_of(classes, len(ids) % 2, "int64s")
    nodes, votes = forest(11, 5, 4, ids, low=low)
    x = integers(rows(3, 40, 4))
    proto = model(
        "TreeEnsembleClassifier", [x], [code, FLOAT], post_transform=transform,
        **nodes, **voted("class", votes), **labels,
    )  # fmt: skip
    return proto, x


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("low", [-1.0, 0.0])
@pytest.mark.parametrize("ids", [[0, 1], [0, 1, 2]])
def test_tree_classifier(transform: str, low: float, ids: list[int]) -> None:
    proto, x = classifier(transform, low, ids)
    if len(ids) == 3:
        return agree(proto, [x])
    # Of two classes, onnxruntime gives 1 or 0 as the label, whatever the labels are.
    (labels, scores), wanted = run(proto, [x]), oracle(proto, [x])
    np.testing.assert_allclose(scores, wanted[1], rtol=1e-5, atol=1e-6)
    raw = run(classifier("NONE", low, ids)[0], [x])[1]
    assert labels.tolist() == [[7, -3][i] for i in np.argmax(raw, axis=1)]


@pytest.mark.parametrize("low", [-1.0, 0.0])
@pytest.mark.parametrize("ids", [[0], [1]])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC"])
def test_tree_classifier_of_one_score(transform: str, low: float, ids: list[int]) -> None:
    proto, x = classifier(transform, low, ids)
    agree(proto, [x])
    softmax = run(classifier("SOFTMAX", low, [0])[0], [x])[1]
    score = run(classifier("NONE", low, [0])[0], [x])[1][:, 1]
    np.testing.assert_allclose(softmax, two_scores(score, "SOFTMAX"), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "int64", "int32"])
def test_trees_over_other_types(dtype: str) -> None:
    nodes, votes = forest(2, 3, 4, [0])
    x = np.round(rows(8, 25, 4)).astype(dtype)
    attributes = {**nodes, **voted("target", votes)}
    plain = model("TreeEnsembleRegressor", [x.astype(np.float32)], n_targets=1, **attributes)
    for name in ("nodes_values", "target_weights") if dtype == "float64" else ():
        values = np.array(attributes.pop(name), np.float64)
        attributes[f"{name}_as_tensor"] = numpy_helper.from_array(values)
    got = run(model("TreeEnsembleRegressor", [x], n_targets=1, **attributes), [x])[0]
    wanted = oracle(plain, [x.astype(np.float32)])[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("which", [0, 1])
def test_linear_classifier(transform: str, classes: int, which: int) -> None:
    code, labels = labels_of(classes, which)
    x = rows(4, 30, 6)
    weights = {
        "coefficients": rows(5, classes * 6).tolist(), "intercepts": rows(6, classes).tolist()
    }  # fmt: skip
    proto = model(
        "LinearClassifier", [x], [code, FLOAT], post_transform=transform, **weights, **labels
    )
    agree(proto, [x])


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_linear_classifier_of_one_score(transform: str) -> None:
    x = rows(4, 30, 6)
    proto = model(
        "LinearClassifier", [x], [INT64, FLOAT], post_transform=transform,
        coefficients=rows(5, 6).tolist(), intercepts=[0.25], classlabels_ints=[3, 8],
    )  # fmt: skip
    if transform == "NONE":
        return agree(proto, [x])
    score = x.astype(np.float64) @ rows(5, 6) + 0.25
    labels, scores = run(proto, [x])
    np.testing.assert_allclose(scores, two_scores(score, transform), rtol=1e-5, atol=1e-6)
    assert labels.tolist() == np.where(score > 0, 8, 3).tolist()


@pytest.mark.parametrize(
    ("transform", "targets"), [("NONE", 1), ("NONE", 4), ("LOGISTIC", 4), ("SOFTMAX", 4)]
)
def test_linear_regressor(transform: str, targets: int) -> None:
    x = rows(7, 9, 5)
    proto = model(
        "LinearRegressor", [x], targets=targets, post_transform=transform,
        coefficients=rows(8, 5 * targets).tolist(), intercepts=rows(9, targets).tolist(),
    )  # fmt: skip
    agree(proto, [x])


KERNELS = ["LINEAR", "POLY", "RBF", "SIGMOID"]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_svm_regressor(kernel: str, one_class: int) -> None:
    x = rows(1, 12, 3)
    proto = model(
        "SVMRegressor", [x], kernel_type=kernel, kernel_params=[0.1, 0.5, 2.0], n_supports=6,
        support_vectors=rows(2, 18).tolist(), coefficients=rows(3, 6).tolist(), rho=[0.3],
        one_class=one_class,
    )  # fmt: skip
    agree(proto, [x], rtol=1e-4)


def test_svm_regressor_without_vectors() -> None:
    x = rows(1, 12, 3)
    given = {"kernel_params": [0.0, 0.0, 0.0], "rho": [0.3]}
    agree(model("SVMRegressor", [x], coefficients=[1.0, -2.0, 0.5], **given), [x])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("proba", [False, True])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_svm_classifier(kernel: str, proba: bool, classes: int, transform: str) -> None:
    code, labels = labels_of(classes, 0)
    vectors, pairs = [3, 2, 4][:classes], classes * (classes - 1) // 2
    x, total = rows(1, 20, 3), sum(vectors)
    given = {"prob_a": [-1.5] * pairs, "prob_b": [0.1] * pairs} if proba else {}
    proto = model(
        "SVMClassifier", [x], [code, FLOAT], kernel_type=kernel, kernel_params=[0.1, 0.5, 2.0],
        vectors_per_class=vectors, support_vectors=rows(2, total * 3).tolist(),
        coefficients=rows(3, (classes - 1) * total).tolist(), rho=rows(4, pairs).tolist(),
        post_transform=transform, **labels, **given,
    )  # fmt: skip
    if transform != "SOFTMAX" or classes == 3 or proba:
        return agree(proto, [x], rtol=1e-4)
    (decided, scores), wanted = run(proto, [x]), oracle(proto, [x])
    assert decided.tolist() == wanted[0].tolist()
    expected = two_scores(np.clip(wanted[1][:, 1], -40, 40), "SOFTMAX")
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_svm_classifier_without_vectors(transform: str) -> None:
    x = rows(1, 20, 3)
    proto = model(
        "SVMClassifier", [x], [STRING, FLOAT], coefficients=rows(3, 9).tolist(), rho=[0.2],
        post_transform=transform, classlabels_strings=["a", "b", "c"],
        kernel_params=[0.0, 0.0, 0.0],
    )  # fmt: skip
    agree(proto, [x])


def ensemble(**changes: Any) -> dict[str, Any]:
    """Two trees with leaves apart: one split on a threshold, one on a set."""
    given = {
        "tree_roots": [0, 1], "n_targets": 2,
        "nodes_featureids": [0, 1], "nodes_modes": tensor([0, 6], np.uint8),
        "nodes_splits": tensor([1.5, 0.0]), "membership_values": tensor([2.0, 5.0, np.nan]),
        "nodes_truenodeids": [0, 2], "nodes_trueleafs": [1, 1],
        "nodes_falsenodeids": [1, 3], "nodes_falseleafs": [1, 1],
        "leaf_targetids": [0, 1, 0, 1], "leaf_weights": tensor([1.0, 2.0, 4.0, 8.0]),
    }  # fmt: skip
    return {**given, **changes}


def tensor(values: list[float], dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.array(values, dtype))


@pytest.mark.parametrize(
    ("aggregate", "wanted"),
    [
        (0, [[2.5, 0], [2, 1], [0, 5]]),
        (1, [[5, 0], [4, 2], [0, 10]]),
        (2, [[1, 0], [4, 2], [0, 2]]),
        (3, [[4, 0], [4, 2], [0, 8]]),
    ],
)
def test_tree_ensemble(aggregate: int, wanted: list[list[float]]) -> None:
    x = np.array([[1.5, 2], [np.nan, 5], [3, 4]], np.float32)
    for dtype in (np.float32, np.float64, np.float16):
        given = ensemble(aggregate_function=aggregate)
        got = run(model("TreeEnsemble", [x.astype(dtype)], ml=5, **given), [x.astype(dtype)])[0]
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, wanted)


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"nodes_featureids": [0, 7]}, "splits on feature 7, the input has 2"),
    ({"nodes_featureids": [0, 2**40]}, "expected 0 to"),
    ({"leaf_targetids": [0, 1, 0, 2]}, "'leaf_targetids' has 2, expected 0 to 1"),
    ({"tree_roots": [2]}, "'tree_roots' has 2, expected 0 to 1"),
    ({"nodes_truenodeids": [0, 9]}, "'nodes_truenodeids' has 9, expected 0 to 3"),
    ({"nodes_falsenodeids": [0, 0], "nodes_falseleafs": [0, 1]}, "form a cycle"),
    ({"nodes_modes": tensor([0, 7], np.uint8)}, "'nodes_modes' has 7"),
    ({"membership_values": tensor([])}, "0 sets, the nodes test 1"),
    ({"nodes_trueleafs": [1]}, "has 1 entries, expected 2"),
    ({"n_targets": 0}, "'n_targets' is 0"),
    ({"aggregate_function": 4}, "is 4, expected 0 to 3"),
    ({"post_transform": -1}, "is -1, expected 0 to 4"),
]


@pytest.mark.parametrize(("changes", "match"), BROKEN)
def test_broken_tree_ensembles(changes: dict[str, Any], match: str) -> None:
    x = np.zeros((1, 2), np.float32)
    fails("TreeEnsemble", [x], match, ml=5, **ensemble(**changes))


def test_broken_models() -> None:
    x = rows(1, 2, 3)
    nodes, votes = forest(1, 2, 3, [0])
    given = {**nodes, **voted("target", votes), "n_targets": 1}
    for changes, match in (
        ({"target_nodeids": [99] * len(votes)}, "has no node 99"),
        ({"target_nodeids": [0] * len(votes)}, "which is no leaf"),
        ({"nodes_modes": ["BRANCH_X"] * len(nodes["nodes_modes"])}, "expected LEAF or BRANCH_LEQ"),
        ({"nodes_treeids": [0]}, "entries, expected 1"),
        ({"nodes_nodeids": [0] * len(nodes["nodes_modes"])}, "is given twice"),
        ({"target_ids": [5] * len(votes)}, "target 5, expected 0 to 0"),
        ({"base_values": [1.0, 2.0]}, "'base_values' has 2 entries"),
        ({"aggregate_function": "MEAN"}, "is 'MEAN', expected AVERAGE"),
        ({"post_transform": "RELU"}, "is 'RELU', expected NONE"),
    ):
        fails("TreeEnsembleRegressor", [x], match, **{**given, **changes})
    for changes, match in (
        ({"classlabels_ints": [1, 2]}, "2 class labels and coefficients for 3"),
        ({"classlabels_strings": ["a"]}, "found both"),
        ({"coefficients": [1.0] * 7}, "expected a multiple of 3"),
        ({"intercepts": [1.0]}, "'intercepts' has 1 entries, expected 3"),
    ):
        linear = {"coefficients": [1.0] * 9, "classlabels_ints": [1, 2, 3], **changes}
        fails("LinearClassifier", [x], match, outputs=[INT64, FLOAT], **linear)
    for changes, match in (
        ({"kernel_type": "COSINE"}, "is 'COSINE', expected LINEAR"),
        ({"rho": [0.0, 1.0]}, "'rho' has 2 entries, expected 1"),
        ({"support_vectors": [1.0]}, "'support_vectors' has 1 entries, expected 6"),
        ({"n_supports": 2**62}, "integer|large|overflow|63 bits"),
    ):
        vectors = {
            "coefficients": [1.0] * 2, "rho": [0.0], "n_supports": 2,
            "support_vectors": [1.0] * 6, **changes,
        }  # fmt: skip
        with pytest.raises(lw.LanewiseError, match=match):
            run(model("SVMRegressor", [x], **vectors), [x])
    fails("LinearRegressor", [np.zeros((1, 2, 3), np.float32)], "rank", coefficients=[1.0])
