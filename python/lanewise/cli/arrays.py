"""Arrays from files for a model's inputs: NAME=file.npy, .npz or a picture."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lanewise.cli.images import ImageOptions, read_image
from lanewise.dtypes import Array, numpy_dtype_named
from lanewise.errors import InputError
from lanewise.model import Model, TensorInfo

__all__ = ["Feed", "read"]


@dataclass
class Feed:
    """What goes into a model.

    Attributes:
        arrays: by input name.
        notes: what was done to each file on the way, for people.
    """

    arrays: dict[str, Array] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, array: Array, note: str) -> None:
        """Adds an array, or one more sample to a batch of pictures."""
        self.arrays[name] = array
        self.notes.setdefault(name, []).append(note)


def read(model: Model, specs: Sequence[str], options: ImageOptions) -> Feed:
    """Reads the files of the --input options.

    Args:
        model: names, types and shapes of the inputs come from it.
        specs: NAME=FILE, or FILE alone for a model with one required input; an .npz alone gives
            every input whose name, or "in:" and name, an array of it has.
            Pictures for one input become a batch.
        options: how pictures are prepared.

    Returns:
        Arrays in the inputs' types.

    Raises:
        InputError: a name is no input, a file holds something else, or a type does not fit.
        OSError: a file cannot be read.
    """
    infos = {info.name: info for info in model.inputs}
    required = [info.name for info in model.inputs if not info.optional]
    feed = Feed()
    pictures: dict[str, list[Array]] = {}
    for spec in specs:
        name, file = _split(spec, infos, required)
        if name is None:
            _add_all(feed, file, infos)
            continue
        info = infos[name]
        if name in feed.arrays and name not in pictures:
            raise _misfit(name, "one array", "two", "only pictures can be given several times")
        path, key = _npz_key(file)
        if path.suffix in (".npy", ".npz"):
            if name in feed.arrays:
                raise _misfit(name, "pictures only", str(path), "give either pictures or an array")
            array, note = _typed(_load(path, key, name), info)
            feed.add(name, array, f"{file}: {_form(array)}{note}")
        else:
            picture, note = read_image(path, info, options)
            pictures.setdefault(name, []).append(picture)
            feed.add(name, _stack(name, info, pictures[name]), f"{file}: {note}")
    return feed


def _split(spec: str, infos: dict[str, TensorInfo], required: list[str]) -> tuple[str | None, str]:
    """The input and the file of one --input; no input for a file that holds several."""
    for name in sorted(infos, key=len, reverse=True):
        if spec.startswith(f"{name}="):
            return name, spec[len(name) + 1 :]
    names = ", ".join(f"'{name}'" for name in required)
    if "=" in spec and not Path(spec).exists():
        name = spec.partition("=")[0]
        raise InputError(
            f"input '{name}' is not an input of this model; its inputs are {names}",
            name,
            names,
            name,
        )
    if len(required) == 1:
        return required[0], spec
    if spec.endswith(".npz"):
        return None, spec
    raise InputError(
        f"--input {spec}: the model has {len(required)} inputs ({names}); write NAME={spec}",
        "--input",
        "NAME=FILE",
        spec,
    )


def _npz_key(file: str) -> tuple[Path, str]:
    """The path, and the array's name in `file.npz:name`."""
    match = re.fullmatch(r"(.+\.npz):(.+)", file)
    return (Path(match[1]), match[2]) if match else (Path(file), "")


def _add_all(feed: Feed, file: str, infos: dict[str, TensorInfo]) -> None:
    """Every array of an .npz whose name is an input's."""
    with _open(Path(file)) as arrays:
        found = {name: key for name in infos if (key := _key_of(name, arrays.files))}
        if not found:
            raise _misfit(file, ", ".join(infos), ", ".join(arrays.files), "its names match none")
        for name, key in found.items():
            array, note = _typed(_member(arrays, key, Path(file)), infos[name])
            feed.add(name, array, f"{file}:{key}: {_form(array)}{note}")


def _key_of(name: str, keys: Sequence[str]) -> str | None:
    """The array of an input: its name, or "in:" and its name where outputs are stored too."""
    return next((key for key in (name, f"in:{name}") if key in keys), None)


def _load(path: Path, key: str, name: str) -> Array:
    """The array of an .npy file; of an .npz its only one, or that of the name."""
    if path.suffix == ".npy":
        try:
            return np.asarray(np.load(path, allow_pickle=False))
        except (ValueError, EOFError) as error:
            raise _broken(path, error) from error
    with _open(path) as arrays:
        names = list(arrays.files)
        wanted = key or (names[0] if len(names) == 1 else _key_of(name, names) or name)
        if wanted not in names:
            hint = f"write {name}={path}:ARRAY"
            raise _misfit(str(path), f"an array '{wanted}'", ", ".join(names) or "none", hint)
        return _member(arrays, wanted, path)


def _open(path: Path) -> Any:
    try:
        arrays = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _broken(path, error) from error
    if not hasattr(arrays, "files"):
        raise _broken(path, ValueError("it is no zip archive"))
    return arrays


def _member(arrays: Any, name: str, path: Path) -> Array:
    try:
        return np.asarray(arrays[name])
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: cannot be read as a NumPy file ({error})", str(path), "an .npy or .npz file", ""
    )


def _typed(array: Array, info: TensorInfo) -> tuple[Array, str]:
    """The array in the input's type where no more than float precision is lost, and a note."""
    if not info.is_tensor:
        raise _misfit(info.name, info.dtype, "an array", "run the model from Python instead")
    if info.dtype in ("undefined", "string"):
        return array, ""
    wanted = numpy_dtype_named(info.dtype)
    if array.dtype == wanted:
        return array, ""
    if array.dtype.kind in "iu" and wanted.kind in "iu":
        fits = bool(np.array_equal(array.astype(wanted), array))
    else:
        fits = np.can_cast(array.dtype, wanted, "same_kind") and array.dtype.kind in "fiub"
    if not fits:
        hint = f"convert it with .astype('{info.dtype}')"
        raise _misfit(info.name, info.dtype, str(array.dtype), hint)
    return array.astype(wanted), f", converted from {array.dtype}"


def _stack(name: str, info: TensorInfo, pictures: list[Array]) -> Array:
    """Pictures as one array: a batch where the input has that dimension."""
    if len({picture.shape for picture in pictures}) > 1:
        sizes = ", ".join(_form(picture) for picture in pictures)
        raise _misfit(name, "pictures of one size", sizes, "add --size HxW")
    if info.shape is not None and len(info.shape) == pictures[0].ndim:
        if len(pictures) > 1:
            raise _misfit(name, "one picture", f"{len(pictures)}", "it has no batch dimension")
        return pictures[0]
    return np.stack(pictures)


def _form(array: Array) -> str:
    return f"{array.dtype} {list(array.shape)}"


def _misfit(name: str, expected: str, got: str, hint: str) -> InputError:
    return InputError(f"'{name}': expected {expected}, got {got}; {hint}", name, expected, got)
