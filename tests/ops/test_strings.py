"""Text operators: against Python's own strings and expressions, and onnx.reference."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import numpy as np
import pytest
from onnx import helper

import lanewise as lw
from tests.ops.one_node import fails, reference, run
from tests.ops.values import STRING, load, tensor


def texts(*values: Any) -> Any:
    return np.array(values, dtype=object)


WORDS = texts("", "a", "Grüße", "ÀÉÎ", "日本", "x y", "long enough to live on the heap", "σΣς")


@pytest.mark.parametrize(
    ("left", "right"), [((3, 1), (1, 4)), ((2, 0), (1, 1)), ((), (2,)), ((8,), (8,))]
)
def test_concat_broadcasts(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.choice(WORDS, shape).astype(object) for shape in (left, right))
    a, b = np.asarray(a, dtype=object), np.asarray(b, dtype=object)
    node = helper.make_node("StringConcat", ["a", "b"], ["y"])
    concat = load([node], {"a": tensor(STRING), "b": tensor(STRING)}, {"y": tensor(STRING)})
    got = concat(a, b)
    assert got.shape == np.broadcast_shapes(left, right)
    assert got.tolist() == (a + b if isinstance(a + b, str) else np.asarray(a + b).tolist())


@pytest.mark.parametrize("maxsplit", [None, -1, 0, 1, 2])
@pytest.mark.parametrize("delimiter", [None, "", ",", "ab", "é"])
def test_split_as_python_does(delimiter: str | None, maxsplit: int | None) -> None:
    x = texts(
        "", " ", "a,b,,c", ",", "  one  two\tthree \n", "xabyabab", "éaéé", "a\u00a0b\u3000c ",
    ).reshape(2, 4)  # fmt: skip
    given: dict[str, Any] = {} if delimiter is None else {"delimiter": delimiter}
    if maxsplit is not None:
        given["maxsplit"] = maxsplit
    y, counts = run("StringSplit", [x], outputs=2, **given)
    wanted = [
        text.split(delimiter or None, -1 if maxsplit is None else maxsplit) for text in x.flat
    ]
    assert counts.ravel().tolist() == [len(parts) for parts in wanted]
    widest = max(len(parts) for parts in wanted)
    assert y.shape == (2, 4, widest)
    for got, parts in zip(y.reshape(8, widest).tolist(), wanted, strict=True):
        assert got == parts + [""] * (widest - len(parts))


def test_split_of_nothing() -> None:
    y, counts = run("StringSplit", [np.zeros((0, 3), dtype=object)], outputs=2)
    assert (y.shape, counts.shape) == ((0, 3, 0), (0, 3))


@pytest.mark.parametrize("action", ["NONE", "LOWER", "UPPER"])
@pytest.mark.parametrize("sensitive", [0, 1])
@pytest.mark.parametrize("shape", [(-1,), (1, -1)])
def test_normalizer(action: str, sensitive: int, shape: tuple[int, ...]) -> None:
    x = texts("Monday", "TUESDAY", "éTÉ", "monday", "日本")
    stops = ["monday", "ÉTÉ"]
    got = run(
        "StringNormalizer", [x.reshape(shape)], stopwords=stops, is_case_sensitive=sensitive,
        case_change_action=action,
    )  # fmt: skip
    folded = [stop if sensitive else stop.lower() for stop in stops]
    kept = [t for t in x if (t if sensitive else t.lower()) not in folded]
    changed = [getattr(t, action.lower())() if action != "NONE" else t for t in kept]
    assert got.tolist() == (changed if len(shape) == 1 else [changed])


@pytest.mark.parametrize("locale", ["tr", "tr_TR.UTF-8", "az-AZ"])
def test_two_forms_of_i(locale: str) -> None:
    bare = "\u0131"  # the small letter without its dot
    x = texts("Iİ", f"i{bare}", "Ç")

    def normal(**options: Any) -> list[str]:
        return list(run("StringNormalizer", [x], is_case_sensitive=1, **options))

    assert normal(case_change_action="LOWER", locale=locale) == [f"{bare}i", f"i{bare}", "ç"]
    assert normal(case_change_action="UPPER", locale=locale) == ["Iİ", "İI", "Ç"]
    assert normal(case_change_action="LOWER", locale="en_US")[0][0] == "i"
    kept = run("StringNormalizer", [x], stopwords=[f"{bare}i"], locale=locale)
    assert list(kept) == [f"i{bare}", "Ç"]  # cases apart, the first is the stop word


def test_normalizer_that_drops_all_and_wrong_shapes() -> None:
    for x, shape in ((texts("a", "A"), (1,)), (texts("a").reshape(1, 1), (1, 1))):
        got = run("StringNormalizer", [x], stopwords=["a"])
        assert got.shape == shape
        assert got.ravel().tolist() == [""]
    fails("StringNormalizer", [np.zeros((2, 2), dtype=object)], "[C] or [1, C]")
    fails("StringNormalizer", [texts("a")], "expected NONE, LOWER", case_change_action="TITLE")
    fails("StringSplit", [np.zeros(2)], "must be of string")


def random_pattern(rng: np.random.Generator, depth: int = 3) -> str:
    """A pattern in what RE2 and Python's re have in common."""
    atoms = [
        "a",
        "b",
        "c",
        ".",
        "[ab]",
        "[^a]",
        "[a-c1]",
        r"\d",
        r"\w",
        r"\.",
        "é",
        "(?:)",
        r"\x61",
    ]
    if depth == 0 or rng.random() < 0.3:
        return str(rng.choice(atoms))
    parts = [random_pattern(rng, depth - 1) for _ in range(rng.integers(1, 4))]
    form = rng.integers(4)
    if form == 0:
        return "(" + "|".join(parts) + ")"
    if form == 1:
        repeat = str(rng.choice(["*", "+", "?", "{2}", "{1,3}", "{0,}", "*?", "+?"]))
        return f"(?:{''.join(parts)}){repeat}"
    if form == 2:
        return str(rng.choice([r"\b", r"\B", "^", "$", ""])) + "".join(parts)
    return "".join(parts)


def test_patterns_match_as_in_python() -> None:
    rng = np.random.default_rng(3)
    alphabet = list("aabbc1. é")
    x = texts(*("".join(rng.choice(alphabet, n)) for n in rng.integers(0, 7, 60)))
    matched = 0
    for _ in range(300):
        pattern = random_pattern(rng)
        wanted = [re.fullmatch(pattern, text, re.ASCII) is not None for text in x]
        assert run("RegexFullMatch", [x], pattern=pattern).tolist() == wanted, pattern
        matched += sum(wanted)
    assert matched > 300


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        (
            "",
            [
                "",
            ],
            ["a"],
        ),
        ("(?i)gRÜn", ["grün", "GRÜN"], ["grun"]),
        ("(?i:a)b", ["Ab"], ["AB"]),
        ("a(?i)b|c", ["aB", "C"], ["AB"]),
        ("a.b", ["axb", "aéb"], ["a\nb", "ab"]),
        ("(?s)a.b", ["a\nb"], []),
        ("(?m)a$\\n^b", ["a\nb"], ["ab"]),
        ("a$\\nb", [], ["a\nb"]),
        (r"\Qa.b*\E+", ["a.b*", "a.b**"], ["aXb", "a.b"]),
        (r"[[:alpha:]_]+[[:^digit:]]", ["ab_x"], ["ab1"]),
        (r"[]a-]+", ["]-a"], ["b"]),
        (r"[^\d\s]+", ["ab"], ["a1", "a b"]),
        (r"\x{1F600}|\101|\0", ["😀", "A", "\0"], ["B"]),
        ("(?P<name>a)(?<other>b)", ["ab"], ["a"]),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("日.", ["日本"], ["日"]),
        (r"\Aab\z", ["ab"], ["abb"]),
        ("(a*)*b", ["aaab", "b"], ["a" * 40]),
        ("(x+x+)+y", ["xxy"], ["x" * 200]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    got = run("RegexFullMatch", [texts(*yes, *no)], pattern=pattern)
    assert got.tolist() == [True] * len(yes) + [False] * len(no)


@pytest.mark.parametrize(
    "pattern",
    ["(", ")", "a)", "*a", "a**", "[a", "[b-a]", "a{2,1}", "a{1001}", r"\1", r"\q", "(?z)a",
     "[[:no:]]", r"\x{110000}", r"\xg", "\\", "(?P<a", "(" * 300 + ")" * 300,
     "((a{1000}){1000}){1000}"],
)  # fmt: skip
def test_broken_patterns(pattern: str) -> None:
    fails("RegexFullMatch", [texts("a")], "pattern", pattern=pattern)


def test_patterns_that_are_not_supported_say_so() -> None:
    for pattern in (r"\p{Greek}", r"[\p{}]", r"\pX", r"\C"):
        with pytest.raises(lw.UnsupportedError, match="is not supported"):
            run("RegexFullMatch", [texts("a")], pattern=pattern)


@pytest.mark.parametrize("name", ["L", "Lu", "Ll", "N", "Nd", "P", "S", "Zs", "M", "Cc", "Any"])
def test_unicode_categories(name: str) -> None:
    """Of the code points that Unicode has had since 3.2, and whose category is still the same."""
    old = unicodedata.ucd_3_2_0
    chars = [chr(c) for c in [*range(0x3000), *range(0xA000, 0xA100), *range(0x10300, 0x10400)]]
    chars = [c for c in chars if old.category(c) == unicodedata.category(c) != "Cn"]
    wanted = [name == "Any" or unicodedata.category(c).startswith(name) for c in chars]
    x = texts(*chars)
    assert run("RegexFullMatch", [x], pattern=rf"\p{{{name}}}").tolist() == wanted
    assert run("RegexFullMatch", [x], pattern=rf"[\P{{{name}}}]").tolist() == [
        not w for w in wanted
    ]
    assert run("RegexFullMatch", [x], pattern=rf"\P{{^{name}}}").tolist() == wanted
    if len(name) == 1:
        assert run("RegexFullMatch", [x], pattern=rf"[x\p{name}]").tolist() == [
            w or c == "x" for w, c in zip(wanted, chars, strict=True)
        ]


NGRAMS: dict[str, Any] = {
    "ngram_counts": [0, 3, 9], "ngram_indexes": [0, 4, 2, 1, 3, 5, 6],
    "pool_int64s": [2, 3, 5, 5, 4, 5, 6, 7, 8, 2, 3, 5],
}  # fmt: skip


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize("grams", [(1, 1), (1, 2), (2, 3), (1, 3), (3, 3)])
@pytest.mark.parametrize("skips", [0, 1, 5])
@pytest.mark.parametrize("shape", [(12,), (3, 12)])
def test_tfidf(mode: str, grams: tuple[int, int], skips: int, shape: tuple[int, ...]) -> None:
    given = {
        **NGRAMS, "mode": mode, "min_gram_length": grams[0], "max_gram_length": grams[1],
        "max_skip_count": skips, "weights": [0.5, 2.0, 1.0, 3.0, 0.25, 1.5, 4.0],
    }  # fmt: skip
    x = np.random.default_rng(4).integers(2, 9, shape)
    np.testing.assert_array_equal(
        run("TfIdfVectorizer", [x], **given), reference("TfIdfVectorizer", [x], **given)
    )
    as_int32 = run("TfIdfVectorizer", [x.astype(np.int32)], **given)
    np.testing.assert_array_equal(as_int32, run("TfIdfVectorizer", [x], **given))
    words = {**given, "pool_strings": [f"t{i}" for i in given.pop("pool_int64s")]}
    words.pop("pool_int64s")
    named = texts(*(f"t{i}" for i in x.flat)).reshape(shape)
    np.testing.assert_array_equal(run("TfIdfVectorizer", [named], **words), as_int32)


def test_tfidf_edges_and_faults() -> None:
    given: dict[str, Any] = {
        **NGRAMS, "mode": "TF", "min_gram_length": 1, "max_gram_length": 2,
        "max_skip_count": 2**63 - 1,
    }  # fmt: skip
    for shape, wanted in (((0,), (7,)), ((2, 0), (2, 7)), ((0, 3), (0, 7))):
        got = run("TfIdfVectorizer", [np.zeros(shape, np.int64)], **given)
        assert got.shape == wanted
        assert not got.any()
    x = np.array([2, 3])
    for changes, match in (
        ({"mode": "DF"}, "expected TF, IDF"),
        ({"ngram_indexes": [0, -1]}, "has -1"),
        ({"ngram_indexes": [0, 2**40]}, "expected 0 to"),
        ({"ngram_indexes": [0, 1]}, "fewer than there are n-grams"),
        ({"ngram_counts": [0, 4, 9]}, "expected whole 2-grams"),
        ({"ngram_counts": [0, 3, 90]}, "cuts a pool of 12"),
        ({"min_gram_length": 3}, "min_gram_length <= max_gram_length"),
        ({"max_skip_count": -1}, "max_skip_count >= 0"),
        ({"weights": [1.0]}, "1 entries for 7 columns"),
        ({"pool_strings": ["a"]}, "exactly one of"),
    ):
        fails("TfIdfVectorizer", [x], match, **{**given, **changes})
    fails("TfIdfVectorizer", [texts("a")], "'pool_strings' has no entry", **given)
    fails("TfIdfVectorizer", [x.astype(np.float32)], "must be of int32, int64", **given)


def test_inputs_that_are_no_text() -> None:
    for x in (np.array([b"\xff"]), texts("a", "\udcff")):
        with pytest.raises(lw.InputError, match="input 'x0': an element is not UTF-8 text"):
            run("StringSplit", [x.astype(object)], outputs=2)
    y, _ = run("StringSplit", [texts("é".encode())], outputs=2)
    assert y.tolist() == [["é"]]
