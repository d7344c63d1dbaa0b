"""Features of ai.onnx.ml against onnxruntime: scaled, encoded, looked up, and maps of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from tests.ops.ml_models import agree, fails, model, rows, run
from tests.ops.values import FLOAT, INT64, STRING, load, mapping, sequence, tensor

NUMBERS = ["float32", "float64", "int64", "int32"]


def texts(*values: Any) -> Any:
    return np.array(values, dtype=object)


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("shape", [(4, 3), (3,), (0, 3)])
@pytest.mark.parametrize("count", [1, 3])
def test_scaler(dtype: str, shape: tuple[int, ...], count: int) -> None:
    x = rows(1, *shape, dtype=dtype)
    given = {"offset": [0.5, -1.0, 2.0][:count], "scale": [2.0, 0.25, -3.0][:count]}
    agree(model("Scaler", [x], **given), [x])


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("norm", ["L1", "L2", "MAX"])
def test_normalizer(dtype: str, norm: str) -> None:
    for shape in ((5, 4), (4,)):
        x = rows(2, *shape, dtype=dtype)
        x[..., 0] = np.abs(x[..., 0]) + 1  # a norm of 0 is divided by here, and not there
        agree(model("Normalizer", [x], norm=norm), [x])
    zero = np.zeros((2, 3), dtype)
    np.testing.assert_array_equal(run(model("Normalizer", [zero], norm=norm), [zero])[0], zero)


def test_imputer() -> None:
    x = rows(3, 6, 3)
    x[1, :] = x[4, 2] = np.nan
    for values in ([9.0], [1.0, 2.0, 3.0]):
        given = {"imputed_value_floats": values, "replaced_value_float": float("nan")}
        agree(model("Imputer", [x], **given), [x])
        given["replaced_value_float"] = float(x[0, 0])
        agree(model("Imputer", [x], **given), [x])
    whole = np.array([[0, 1, -1], [-1, 5, 0]])
    given = {"imputed_value_int64s": [7, 8, 9], "replaced_value_int64": -1}
    agree(model("Imputer", [whole], [INT64], **given), [whole])
    wide = x.astype(np.float64)
    got = run(model("Imputer", [wide], [11], imputed_value_floats=[2.0],
                    replaced_value_float=float("nan")), [wide])[0]  # fmt: skip
    np.testing.assert_array_equal(got, np.where(np.isnan(wide), 2, wide))


def test_binarizer() -> None:
    x = rows(4, 5, 3)
    agree(model("Binarizer", [x], threshold=0.5), [x])
    for dtype, code in (("int64", 7), ("int32", 6), ("float64", 11)):
        y = np.round(x).astype(dtype)
        got = run(model("Binarizer", [y], [code], threshold=1.0), [y])[0]
        assert got.dtype == y.dtype
        np.testing.assert_array_equal(got, (y > 1).astype(dtype))


@pytest.mark.parametrize("dtype", NUMBERS)
def test_feature_vectorizer(dtype: str) -> None:
    parts = [rows(i, 4, width, dtype=dtype) for i, width in enumerate((3, 1, 2))]
    agree(model("FeatureVectorizer", parts, inputdimensions=[3, 1, 2]), parts)
    wanted = np.concatenate(parts, axis=1).astype(np.float32)
    np.testing.assert_array_equal(run(model("FeatureVectorizer", parts), parts)[0], wanted)
    got = run(model("FeatureVectorizer", parts[:2], inputdimensions=[2, 2]), parts[:2])[0]
    np.testing.assert_array_equal(got[:, :2], wanted[:, :2])
    np.testing.assert_array_equal(got[:, 3], 0)
    one = rows(1, 3, dtype=dtype)
    assert run(model("FeatureVectorizer", [one, one]), [one, one])[0].shape == (1, 6)


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (0, 5)])
def test_array_feature_extractor(shape: tuple[int, ...]) -> None:
    x, indices = rows(5, *shape), np.array([[4, 0, 4]])
    proto = model("ArrayFeatureExtractor", [x, indices])
    wanted = x[..., [4, 0, 4]].reshape(*(shape[:-1] or (1,)), 3)
    np.testing.assert_array_equal(run(proto, [x, indices])[0], wanted)
    if x.size:
        agree(proto, [x, indices])
        for wrong in (5, -1):
            fails("ArrayFeatureExtractor", [x, np.array([wrong])], f"index {wrong} is outside")
    words = texts("a", "b", "c", "d", "a text that is long enough")
    got = run(model("ArrayFeatureExtractor", [words, indices], [STRING]), [words, indices])[0]
    assert got.tolist() == [[words[4], "a", words[4]]]


def test_one_hot_encoder() -> None:
    x = np.array([[1, 5], [7, 2]])
    agree(model("OneHotEncoder", [x], cats_int64s=[5, 1, 2]), [x])
    wanted = [[[0, 1, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 1]]]
    for dtype in NUMBERS:
        y = x.astype(dtype)
        assert run(model("OneHotEncoder", [y], cats_int64s=[5, 1, 2]), [y])[0].tolist() == wanted
    odd = np.array([np.nan, np.inf, -1e30, 5.9], np.float32)
    got = run(model("OneHotEncoder", [odd], cats_int64s=[5]), [odd])[0]
    assert got.tolist() == [[0], [0], [0], [1]]
    words = texts("b", "x", "a")
    agree(model("OneHotEncoder", [words], cats_strings=["a", "b"]), [words])
    fails("OneHotEncoder", [words], "element 1 is none of", cats_strings=["a", "b"], zeros=0)
    fails("OneHotEncoder", [x], "found none")
    fails("OneHotEncoder", [words], "must be of int64", cats_int64s=[1])


ENCODERS: list[tuple[Any, int, dict[str, Any]]] = [
    (texts("a", "b", "z"), INT64, {"keys_strings": ["a", "b"], "values_int64s": [5, 6]}),
    (
        np.array([1, 2, 3]), STRING,
        {"keys_int64s": [3, 1], "values_strings": ["c", "a"], "default_string": "none"},
    ),
    (
        np.array([1.5, -0.0, 4], np.float32), FLOAT,
        {"keys_floats": [0.0, 1.5], "values_floats": [7.0, 9.0]},
    ),
    (np.array([1.5, 3], np.float32), INT64, {
        "keys_floats": [3.0], "values_int64s": [-4], "default_int64": 11}),
    (texts("a", "é"), STRING, {"keys_strings": ["é"], "values_strings": ["e"]}),
]  # fmt: skip


@pytest.mark.parametrize(("x", "code", "given"), ENCODERS)
def test_label_encoder(x: Any, code: int, given: dict[str, Any]) -> None:
    agree(model("LabelEncoder", [x], [code], ml=2, **given), [x])


def test_label_encoder_of_tensors_and_of_the_first_version() -> None:
    x = np.array([2.5, 1.0, np.nan])
    keys = numpy_helper.from_array(np.array([1.0, np.nan, 1.0]))
    values = numpy_helper.from_array(np.array([1, 2, 3], np.int16))
    fallback = numpy_helper.from_array(np.array([-9], np.int16))
    given = {"keys_tensor": keys, "values_tensor": values, "default_tensor": fallback}
    got = run(model("LabelEncoder", [x], [TensorProto.INT16], ml=4, **given), [x])[0]
    assert got.dtype == np.int16
    assert got.tolist() == [-9, 3, 2]  # the last of equal keys counts
    words = texts("b", "?")
    classes = {"classes_strings": ["a", "b"], "default_int64": -2}
    assert run(model("LabelEncoder", [words], [INT64], ml=1, **classes), [words])[0].tolist() == [
        1,
        -2,
    ]
    back = np.array([0, 5])
    assert run(model("LabelEncoder", [back], [STRING], ml=1, **classes), [back])[0].tolist() == [
        "a", "_Unused",
    ]  # fmt: skip


def test_encoders_that_do_not_fit() -> None:
    x = texts("a")
    table = {"keys_strings": ["a"], "values_int64s": [1]}
    fails("LabelEncoder", [x], "1 keys and 2 values", **{**table, "values_int64s": [1, 2]})
    fails("LabelEncoder", [x], "needs one of the attributes keys", keys_strings=["a"])
    fails("LabelEncoder", [np.array([1])], "must be of string, found int64", **table)
    wrong = numpy_helper.from_array(np.array([1.0]))
    fails("LabelEncoder", [x], "must be one int64, found float64", default_tensor=wrong, **table)
    fails("CategoryMapper", [x], "give as many", cats_strings=["a"], cats_int64s=[1, 2])


def test_category_mapper() -> None:
    cats = {"cats_strings": ["a", "b"], "cats_int64s": [3, 4]}
    words, numbers = texts("b", "c", "a"), np.array([[3], [9]])
    agree(model("CategoryMapper", [words], [INT64], default_int64=-7, **cats), [words])
    agree(model("CategoryMapper", [numbers], [STRING], default_string="?", **cats), [numbers])


@pytest.mark.parametrize("strings", [False, True])
def test_zip_map(strings: bool) -> None:
    keys: list[Any] = ["a", "b", "c"] if strings else [7, -1, 3]
    name = "classlabels_strings" if strings else "classlabels_int64s"
    node = helper.make_node("ZipMap", ["x"], ["m"], domain="ai.onnx.ml", **{name: keys})
    made = sequence(mapping(STRING if strings else INT64, tensor()))
    zipped = load([node], {"x": tensor()}, {"m": made})
    for x in (rows(1, 4, 3), rows(2, 3), rows(3, 0, 3)):
        wanted = [dict(zip(keys, row.tolist(), strict=True)) for row in x.reshape(-1, 3)]
        assert zipped(x) == wanted
    with pytest.raises(lw.ModelError, match="3 keys for 2 columns"):
        zipped(rows(1, 4, 2))


def test_dict_vectorizer() -> None:
    node = helper.make_node(
        "DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml", string_vocabulary=["b", "a", "z"]
    )
    for code, dtype in ((FLOAT, np.float32), (INT64, np.int64), (TensorProto.DOUBLE, np.float64)):
        vectorized = load([node], {"m": mapping(STRING, tensor(code))}, {"y": tensor(code)})
        got = vectorized({"a": 2, "b": 5, "new": 1})
        assert got.dtype == dtype
        assert got.tolist() == [5, 2, 0]
        assert vectorized({}).tolist() == [0, 0, 0]
    wrong = load([node], {"m": mapping(INT64, tensor())}, {"y": tensor()})
    with pytest.raises(lw.ModelError, match=r"keys of string, found map\(int64, float32\)"):
        wrong({1: 2.0})
    words = helper.make_node(
        "DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml", int64_vocabulary=[4, 2]
    )
    named = load([words], {"m": mapping(INT64, tensor(STRING))}, {"y": tensor(STRING)})
    assert named({2: "two"}).tolist() == ["", "two"]


def cast_map(value: int, to: int, **attributes: Any) -> lw.Model:
    node = helper.make_node("CastMap", ["m"], ["y"], domain="ai.onnx.ml", name="c", **attributes)
    return load([node], {"m": mapping(INT64, tensor(value))}, {"y": tensor(to)})


def test_cast_map() -> None:
    floats = {7: 1.5, -2: 3.0, 4: -0.25}
    assert cast_map(FLOAT, FLOAT)(floats).tolist() == [[3.0, -0.25, 1.5]]
    assert cast_map(FLOAT, INT64, cast_to="TO_INT64")(floats).tolist() == [[3, 0, 1]]
    assert cast_map(FLOAT, STRING, cast_to="TO_STRING")(floats).tolist() == [["3", "-0.25", "1.5"]]
    texts_of = {1: "2.5", 3: "-4"}
    assert cast_map(STRING, FLOAT)(texts_of).tolist() == [[2.5, -4.0]]
    sparse = cast_map(STRING, STRING, cast_to="TO_STRING", map_form="SPARSE", max_map=5)
    assert sparse(texts_of).tolist() == [["", "2.5", "", "-4", ""]]
    with pytest.raises(lw.ModelError, match=r"'c' .*key 9 is outside the 5 columns"):
        sparse({9: "x"})
    for text in ("x", "1 2", ""):
        with pytest.raises(lw.ModelError, match="is no number"):
            cast_map(STRING, FLOAT)({1: text})
    with pytest.raises(lw.ModelError, match="expected TO_FLOAT, TO_INT64"):
        cast_map(FLOAT, FLOAT, cast_to="TO_MAP")
    with pytest.raises(lw.ModelError, match="expected DENSE or SPARSE"):
        cast_map(FLOAT, FLOAT, map_form="THIN")
    with pytest.raises(lw.ModelError, match="'max_map' is 0"):
        cast_map(FLOAT, FLOAT, map_form="SPARSE", max_map=0)
