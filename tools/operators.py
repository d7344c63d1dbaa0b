"""Which operators, opsets and element types the engine runs: asked of the engine itself.

    python -m tools.operators           rewrites the three files below
    python -m tools.operators --check   fails when they are not current

ONNX's schemas say which types an operator may have, ONNX's own test cases how a node of it looks;
each case is run with its inputs converted to each type. What runs goes into
`python/lanewise/operators.json`, which `lanewise ops` shows, and `docs/operators.md`; what is
refused although a schema allows it into `tests/ops/refused_types.txt`.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import lanewise as lw
from lanewise import _core
from lanewise.dtypes import NAMES
from lanewise.operators import KIND_NAMES, OperatorInfo, markdown

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "python" / "lanewise" / "operators.json"
PAGE = ROOT / "docs" / "operators.md"
REFUSED = ROOT / "tests" / "ops" / "refused_types.txt"
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")
TEMPLATES = 40  # cases of an operator that are tried for a type
#: Types that a schema lists and the operator's own definition gives no meaning.
RULED_OUT = {
    ("Col2Im", "T", "string"): 'the schema constrains T "to all numeric tensor types"',
}
#: Attributes that name the element type of a result.
TYPE_ATTRIBUTES = ("to", "dtype", "output_dtype", "output_datatype")

CODES = {name: code for code, name in NAMES.items()}

Array = NDArray[Any]
Key = tuple[str, str]


@dataclass
class Template:
    """A case with one node, and arrays for its inputs."""

    model: onnx.ModelProto
    arrays: list[Array]

    @property
    def node(self) -> onnx.NodeProto:
        """The node."""
        node: onnx.NodeProto = self.model.graph.node[0]
        return node


@dataclass
class Found:
    """What was learnt of one operator."""

    schema: Any
    accepted: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)


def op_name(domain: str, name: str) -> str:
    """As the engine writes it."""
    return f"{domain}:{name}" if domain else name


def newest_schemas() -> dict[Key, Any]:
    """The newest schema of each operator that is not deprecated."""
    newest: dict[Key, Any] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        key = (schema.domain, schema.name)
        if schema.domain not in DOMAINS:
            continue
        if key not in newest or newest[key].since_version < schema.since_version:
            newest[key] = schema
    return newest


def versions() -> dict[Key, list[int]]:
    """The opsets in which each operator got a new form."""
    found: dict[Key, set[int]] = defaultdict(set)
    for schema in onnx.defs.get_all_schemas_with_history():
        found[schema.domain, schema.name].add(schema.since_version)
    return {key: sorted(since) for key, since in found.items()}


def tensor_type(text: str) -> str | None:
    """The engine's name of "tensor(float16)"; None for what is no tensor."""
    if not text.startswith("tensor("):
        return None
    name = text.removeprefix("tensor(").removesuffix(")")
    return KIND_NAMES.get(name, name)


def numpy_type(name: str) -> Any:
    """The NumPy type of an element type."""
    if name == "string":
        return np.dtype(object)
    return np.dtype(getattr(ml_dtypes, name)) if hasattr(ml_dtypes, name) else np.dtype(name)


def converted(array: Array, name: str) -> Array:
    """The array with elements of another type."""
    if name == "string":
        texts = np.array([str(x) for x in array.ravel().tolist()], object)
        return texts.reshape(array.shape)
    if array.dtype == object:
        array = np.ones(array.shape, np.float32)
    if CODES.get(array.dtype.name, 0) > CODES["complex128"]:  # those convert to NumPy's own only
        array = array.astype(np.float32)
    if np.iscomplexobj(array):
        array = array.real
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return np.asarray(array.astype(numpy_type(name)))


def templates() -> dict[Key, list[Template]]:
    """Cases of one node by operator, small ones first, and a few that ONNX's suite lacks."""
    from onnx.backend.test.loader import load_model_tests

    found: dict[Key, list[Template]] = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    for case in cases:
        if case.model is None or not case.data_sets or len(case.model.graph.node) != 1:
            continue
        arrays = [
            numpy_helper.to_array(a) if isinstance(a, onnx.TensorProto) else a
            for a in case.data_sets[0][0]
        ]
        if all(isinstance(a, np.ndarray | np.generic) for a in arrays):
            node = case.model.graph.node[0]
            model = onnx.ModelProto()
            model.CopyFrom(case.model)  # the suite's own, which others run as it is
            template = Template(model, [np.asarray(a) for a in arrays])
            found[node.domain, node.op_type].append(template)
    for template in _more_templates():
        found[template.node.domain, template.node.op_type].append(template)
    newest = newest_schemas()
    for key, list_of_key in found.items():
        if key in newest:
            for template in list_of_key:
                _raise_opset(template.model, key[0], newest[key].since_version)
        list_of_key.sort(key=lambda t: sum(a.size for a in t.arrays))
    return found


def _raise_opset(model: onnx.ModelProto, domain: str, least: int) -> None:
    """Writes the model in the opset of the newest schema; most cases say the same in it."""
    for imported in model.opset_import:
        if imported.domain == domain:
            imported.version = max(imported.version, least)


def _more_templates() -> Iterator[Template]:
    x = np.ones((2, 3), np.float32)
    value = helper.make_tensor("v", onnx.TensorProto.FLOAT, [1], [1.0])
    yield _template("Constant", [], value=value)
    yield _template("ConstantOfShape", [np.array([2, 3])], value=value)
    yield _template("RandomNormal", [], shape=[2, 3])
    yield _template("RandomUniform", [], shape=[2, 3])
    for op in ("RandomNormalLike", "RandomUniformLike", "EyeLike", "Bernoulli", "GlobalLpPool"):
        yield _template(op, [x if op != "GlobalLpPool" else np.ones((1, 2, 3, 3), np.float32)])
    for op in ("RandomNormalLike", "RandomUniformLike"):
        yield _template(op, [x], dtype=onnx.TensorProto.FLOAT)
    yield _template("BitCast", [x.astype(np.complex128)], to=onnx.TensorProto.COMPLEX128)
    info = helper.make_tensor_value_info
    number, flag = onnx.TensorProto.INT64, onnx.TensorProto.BOOL
    item = onnx.TensorProto.FLOAT  # `recast` gives it the type in question
    same = helper.make_node("Identity", ["v"], ["w"])
    go_on = helper.make_node("Identity", ["go"], ["on"])
    turn = helper.make_graph(
        [go_on, same],
        "body",
        [info("i", number, []), info("go", flag, []), info("v", item, [2, 3])],
        [info("on", flag, []), info("w", item, [2, 3])],
    )
    yield _template("Loop", [np.array(2), np.array(True), x], body=turn)
    row = helper.make_graph([same], "body", [info("v", item, [3])], [info("w", item, [3])])
    yield _template("Scan", [x], body=row, num_scan_inputs=1)
    code = np.ones((2, 3), np.int8)
    yield _template("DequantizeLinear", [code, np.array(1, np.float32)], output_dtype=1)
    yield _template("Multinomial", [x])
    yield _template("Bernoulli", [x * 0])
    yield from _table_templates()


def _table_templates() -> Iterator[Template]:
    """Operators that look up elements of the input's type in attributes."""
    pool: dict[str, Any] = {"pool_strings": ["1", "2"], "ngram_counts": [0]}
    sizes: dict[str, Any] = {"min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0}
    yield _template(
        "TfIdfVectorizer",
        [np.array(["1"], object)],
        mode="TF",
        ngram_indexes=[0, 1],
        **pool,
        **sizes,
    )
    for name in ("float32", "float64", "int16", "int32", "int64"):
        keys = np.array([1, 2], name)
        yield _template(
            "LabelEncoder",
            [keys],
            domain="ai.onnx.ml",
            keys_tensor=numpy_helper.from_array(keys),
            values_tensor=numpy_helper.from_array(keys),
            default_tensor=numpy_helper.from_array(keys[:1]),
        )


def _template(op: str, arrays: list[Array], domain: str = "", **attributes: Any) -> Template:
    names = [f"x{i}" for i in range(len(arrays))]
    node = helper.make_node(op, names, ["y"], domain=domain, **attributes)
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in zip(names, arrays, strict=True)
    ]
    outputs = [helper.make_empty_tensor_value_info("y")]
    graph = helper.make_graph([node], "g", inputs, outputs)
    opsets = [helper.make_opsetid("", onnx.defs.onnx_opset_version())]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))  # raised to the newest schema's
    return Template(helper.make_model(graph, opset_imports=opsets), arrays)


def input_variables(schema: Any, node: onnx.NodeProto) -> list[str]:
    """The type variable of each of the node's inputs, those that are left out included."""
    result = []
    for i in range(len(node.input)):
        formal = schema.inputs[min(i, len(schema.inputs) - 1)] if schema.inputs else None
        result.append(formal.type_str if formal is not None else "")
    return result


def recast(template: Template, schema: Any, variable: str, name: str) -> Template | None:
    """The case with the variable bound to a type; None when the case does not depend on it."""
    model = onnx.ModelProto()
    model.CopyFrom(template.model)
    node = model.graph.node[0]
    variables = dict(zip(node.input, input_variables(schema, node), strict=True))
    code = CODES[name]
    depends = False
    arrays = []
    for info, array in zip(model.graph.input, template.arrays, strict=True):
        if variables.get(info.name) == variable:
            depends = True
            array = converted(array, name)
            info.type.tensor_type.elem_type = code
        arrays.append(array)
    for tensor in model.graph.initializer:
        if variables.get(tensor.name) == variable:
            tensor.CopyFrom(
                numpy_helper.from_array(converted(numpy_helper.to_array(tensor), name), tensor.name)
            )
    for attribute in node.attribute:
        for body_info in (*attribute.g.input, *attribute.g.output):
            if depends and body_info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
                body_info.type.tensor_type.elem_type = code
    if variable in {formal.type_str for formal in schema.outputs} and not depends:
        for attribute in node.attribute:
            if attribute.name in TYPE_ATTRIBUTES:
                attribute.i = code
                depends = True
            elif attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR:
                array = converted(numpy_helper.to_array(attribute.t), name)
                attribute.t.CopyFrom(numpy_helper.from_array(array, "v"))
                depends = True
        allowed = set(schema.attributes) & set(TYPE_ATTRIBUTES)
        if not depends and allowed:
            node.attribute.append(helper.make_attribute(sorted(allowed)[0], code))
            depends = True
    for output in model.graph.output:
        output.CopyFrom(helper.make_empty_tensor_value_info(output.name))
    return Template(model, arrays) if depends else None


def runs(template: Template) -> bool:
    """Whether the engine takes the model and its data."""
    names = [info.name for info in template.model.graph.input]
    try:
        lw.load(template.model, threads=1).run(dict(zip(names, template.arrays, strict=True)))
    except (lw.LanewiseError, ValueError):
        return False
    return True


def probe(schema: Any, cases: list[Template]) -> Found:
    """Binds each type variable of the operator to each type that it may have."""
    found = Found(schema)
    for constraint in schema.type_constraints:
        variable = constraint.type_param_str
        names = [tensor_type(text) for text in constraint.allowed_type_strs]
        for name in sorted({n for n in names if n is not None}):
            if name not in CODES:
                found.refused.setdefault(variable, []).append(name)
                continue
            tried = 0
            for case in cases:
                changed = recast(case, schema, variable, name)
                if changed is None:
                    continue
                tried += 1
                if runs(changed):
                    found.accepted.setdefault(variable, []).append(name)
                    break
                if tried == TEMPLATES:
                    break
            else:
                if not tried:
                    continue
            if tried and name not in found.accepted.get(variable, []):
                found.refused.setdefault(variable, []).append(name)
    return found


def infos(found: Iterable[Found]) -> list[OperatorInfo]:
    """The table: operators that ran, and those of the engine alone."""
    since = versions()
    registry = {(domain, name): doc for domain, name, doc in _core.operators()}
    rows = {}
    for one in found:
        key = (one.schema.domain, one.schema.name)
        if key in registry or one.accepted:
            types = {v: tuple(t) for v, t in sorted(one.accepted.items())}
            doc = registry.get(key, "")
            rows[key] = OperatorInfo(op_name(*key), doc, tuple(since[key]), types)
    for key, doc in registry.items():
        rows.setdefault(key, OperatorInfo(op_name(*key), doc, tuple(since.get(key, ())), {}))
    return [rows[key] for key in sorted(rows)]


def files() -> dict[Path, str]:
    """What each file must hold."""
    cases = templates()
    found = [probe(s, cases.get(key, [])) for key, s in sorted(newest_schemas().items())]
    rows = infos(found)
    lines = [
        "# (operator, type variable, type) that ONNX's schemas allow and the engine refuses.",
        "# Made by `python -m tools.operators`. The list may only shrink.",
    ]
    for one in found:
        name = op_name(one.schema.domain, one.schema.name)
        for variable, types in sorted(one.refused.items()):
            for kind in types:
                reason = RULED_OUT.get((name, variable, kind))
                line = f"{name} {variable} {kind}"
                lines.append(line if reason is None else f"{line}  # {reason}")
    table = json.dumps([row.as_json() for row in rows], indent=1) + "\n"
    return {TABLE: table, PAGE: markdown(rows), REFUSED: "\n".join(lines) + "\n"}


def main() -> int:
    """Writes the files, or compares them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    stale = []
    for path, text in files().items():
        current = path.read_text(encoding="utf-8") if path.exists() else ""
        if current != text:
            stale.append(str(path.relative_to(ROOT)))
            if not args.check:
                path.write_text(text, encoding="utf-8")
    print("\n".join(stale) if stale else "current")
    return 1 if args.check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main())
