"""Seeds beyond tensors of numbers: sequences and optionals, texts, and classical models."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Node = helper.make_node
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def _model(
    nodes: list[onnx.NodeProto], outputs: list[str], constants: dict[str, Any]
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n", 3])],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _sequence(name: str) -> onnx.ValueInfoProto:
    inner = helper.make_tensor_type_proto(FLOAT, None)
    return helper.make_value_info(name, helper.make_sequence_type_proto(inner))


def containers() -> onnx.ModelProto:
    """Sequences and optionals through a loop, a branch and a map."""
    scalar = {"i": INT64, "go": BOOL, "go_on": BOOL}
    infos = {name: helper.make_tensor_value_info(name, code, []) for name, code in scalar.items()}
    body = helper.make_graph(
        [
            Node("Identity", ["go"], ["go_on"]),
            Node("SequenceAt", ["parts", "i"], ["item"]),
            Node("SequenceInsert", ["s", "item", "zero"], ["t"]),
        ],
        "body",
        [infos["i"], infos["go"], _sequence("s")],
        [infos["go_on"], _sequence("t")],
    )
    given = helper.make_graph([Node("OptionalGetElement", ["o"], ["a"])], "g", [], [_sequence("a")])
    empty = helper.make_graph([Node("SequenceEmpty", [], ["b"])], "e", [], [_sequence("b")])
    values = [helper.make_empty_tensor_value_info(name) for name in ("v", "w")]
    twice = helper.make_graph([Node("Add", ["v", "v"], ["w"])], "twice", values[:1], values[1:])
    nodes = [
        Node("SplitToSequence", ["x", "sizes"], ["parts"], axis=1),
        Node("SequenceConstruct", ["x", "x"], ["pair"]),
        Node("SequenceErase", ["pair", "zero"], ["one"]),
        Node("Optional", ["one"], ["o"]),
        Node("OptionalHasElement", ["o"], ["has"]),
        Node("If", ["has"], ["start"], then_branch=given, else_branch=empty),
        Node("Loop", ["two", "", "start"], ["all"], body=body),
        Node("SequenceMap", ["all"], ["doubled"], body=twice),
        Node("SequenceLength", ["doubled"], ["n"]),
        Node("ConcatFromSequence", ["doubled"], ["y"], axis=1),
    ]
    return _model(nodes, ["y", "n"], {"sizes": [1, 2], "zero": 0, "two": 2})


def texts() -> onnx.ModelProto:
    """Texts that are constants: what reads them runs when the model is loaded."""
    words = np.array(["Grüße an", "b,c,,d", "", "Zoë"], dtype=object)
    grams: dict[str, Any] = {
        "mode": "TFIDF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 1,
        "ngram_counts": [0, 2], "ngram_indexes": [1, 0, 2], "pool_strings": ["a", "b", "a", "b"],
    }  # fmt: skip
    nodes = [
        Node("StringConcat", ["words", "tail"], ["longer"]),
        Node("StringSplit", ["longer"], ["parts", "counts"], delimiter=",", maxsplit=2),
        Node("StringNormalizer", ["words"], ["normal"], stopwords=[""], case_change_action="UPPER"),
        Node("RegexFullMatch", ["longer"], ["m"], pattern=r"(?i)[\w ü-]{2,}(ß|e+)?.*|\d\b\Q.\E"),
        Node("TfIdfVectorizer", ["tokens"], ["grams"], **grams),
        Node("LabelEncoder", ["words"], ["codes"], domain="ai.onnx.ml",
             keys_strings=["", "Zoë"], values_int64s=[4, 5]),
        Node("OneHotEncoder", ["codes"], ["hot"], domain="ai.onnx.ml", cats_int64s=[4, -1]),
        Node("Neg", ["x"], ["y"]),
    ]  # fmt: skip
    constants = {"words": words, "tail": words[:1], "tokens": np.array(["a", "b", "b"], object)}
    outputs = ["parts", "counts", "normal", "m", "grams", "hot", "y"]
    return _model(nodes, outputs, constants)


def classical() -> onnx.ModelProto:
    """Features and models of ai.onnx.ml."""
    ml = {"domain": "ai.onnx.ml"}
    tree: dict[str, Any] = {
        "nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [1, 0, 0],
        "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.5, 0.0, 0.0],
        "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0], **ml,
    }  # fmt: skip
    votes = {"treeids": [0, 0], "nodeids": [1, 2], "ids": [0, 1], "weights": [1.0, 2.0]}
    leaves = {
        "tree_roots": [0], "n_targets": 1, "nodes_featureids": [2], "nodes_trueleafs": [1],
        "nodes_modes": numpy_helper.from_array(np.array([6], np.uint8)),
        "nodes_splits": numpy_helper.from_array(np.zeros(1, np.float32)),
        "membership_values": numpy_helper.from_array(np.array([1, np.nan], np.float32)),
        "nodes_truenodeids": [0], "nodes_falsenodeids": [1], "nodes_falseleafs": [1],
        "leaf_targetids": [0, 0],
        "leaf_weights": numpy_helper.from_array(np.array([1, 2], np.float32)), **ml,
    }  # fmt: skip
    vectors: dict[str, Any] = {
        "kernel_type": "RBF", "kernel_params": [0.5, 0.0, 0.0], "rho": [0.1],
        "support_vectors": [1.0, 2.0, 3.0, 0.0, 1.0, 0.0], "coefficients": [1.0, -1.0], **ml,
    }  # fmt: skip
    nodes = [
        Node("Scaler", ["x"], ["scaled"], offset=[1.0], scale=[2.0, 1.0, 0.5], **ml),
        Node("Imputer", ["scaled"], ["full"], imputed_value_floats=[1.0], **ml),
        Node("Normalizer", ["full"], ["unit"], norm="L2", **ml),
        Node("FeatureVectorizer", ["unit", "full"], ["wide"], inputdimensions=[2, 3], **ml),
        Node("ArrayFeatureExtractor", ["wide", "picked"], ["features"], **ml),
        Node("LinearClassifier", ["features"], ["label", "scores"], coefficients=[1.0] * 6,
             intercepts=[0.5, 0.0], classlabels_strings=["a", "b"], **ml),
        Node("ZipMap", ["scores"], ["maps"], classlabels_int64s=[1, 2], **ml),
        Node("SequenceAt", ["maps", "first"], ["row"]),
        Node("CastMap", ["row"], ["dense"], cast_to="TO_STRING", map_form="SPARSE", max_map=4,
             **ml),
        Node("DictVectorizer", ["row"], ["counted"], int64_vocabulary=[2, 1, 7], **ml),
        Node("TreeEnsembleClassifier", ["features"], ["kind", "p"], classlabels_int64s=[3, 4],
             **tree, **{f"class_{k}": v for k, v in votes.items()}),
        Node("TreeEnsembleRegressor", ["features"], ["r"], n_targets=2,
             **tree, **{f"target_{k}": v for k, v in votes.items()}),
        Node("TreeEnsemble", ["features"], ["e"], **leaves),
        Node("SVMClassifier", ["features"], ["side", "q"], vectors_per_class=[1, 1],
             classlabels_ints=[0, 1], prob_a=[-1.0], prob_b=[0.0], **vectors),
        Node("SVMRegressor", ["features"], ["z"], n_supports=2, **vectors),
        Node("Binarizer", ["z"], ["y"], threshold=0.5, **ml),
    ]  # fmt: skip
    outputs = ["label", "dense", "counted", "kind", "p", "r", "e", "side", "q", "y"]
    return _model(nodes, outputs, {"picked": [4, 0, 1], "first": 0})
