"""What happens around every command: errors, exit status, interruption, broken pipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import lanewise as lw
from lanewise import cli
from tests.cli.helpers import DIGITS, call, failure, identity

COMMANDS = [["info"], ["check"], ["run", "--input", "x.npy"], ["bench"], ["explain"]]


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lanewise", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_missing_file_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "not_here.onnx"
    name, *rest = command
    assert f"no such model file: {path}" in failure(capsys, name, path, *rest)


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[0] != "check"], ids=lambda c: c[0])
def test_a_file_that_is_no_model_is_named(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("this is no model")
    name, *rest = command
    assert "ONNX" in failure(capsys, name, path, *rest)


def test_options_out_of_range(capsys: pytest.CaptureFixture[str]) -> None:
    assert "isa" in failure(capsys, "bench", DIGITS, "--isa", "mmx")
    assert "threads" in failure(capsys, "bench", DIGITS, "--threads", 100000)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["bench", str(DIGITS), "--threads", "0"],
        ["bench", str(DIGITS), "--runs", "-1"],
        ["bench", str(DIGITS), "--duration", "nan"],
        ["bench", str(DIGITS), "--runs", "2", "--duration", "1"],
        ["info", str(DIGITS), "--shape", "image=1,x"],
        ["run", str(DIGITS), "--size", "224"],
        ["run", str(DIGITS), "--mean", "1/0"],
        ["run", str(DIGITS), "--rgb", "--bgr"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: lanewise" in capsys.readouterr().err


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"lanewise {lw.__version__}\n"
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["info", "/not/here.onnx"]
    arguments.insert(0 if place == "before" else 2, "--debug")
    finished = call(capsys, *arguments)
    assert finished.status == 1
    assert "Traceback" in finished.err
    assert "lanewise: error: no such model file" in finished.err


def test_an_unforeseen_error_says_how_to_see_more(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("lanewise.cli.options.load", broken)
    finished = call(capsys, "info", DIGITS)
    assert finished.status == 1
    assert finished.err == (
        "lanewise: error: unexpected KeyError: 'surprise' (--debug shows where)\n"
    )


def test_names_cannot_drive_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("red\x1b[31m", [1]))
    for command, finished in (
        ("info", call(capsys, "info", path)),
        ("check", call(capsys, "check", path)),
        ("run", call(capsys, "run", path)),
        ("explain", call(capsys, "explain", path, "--runs", 1)),
        ("bench", call(capsys, "bench", path, "--runs", 1, "--batch", "1,2")),
    ):
        printed = finished.out + finished.err
        assert "\x1b" not in printed
        assert "red\\x1b[31m" in printed or command == "explain"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_control_c_stops_a_bench() -> None:
    process = start("bench", DIGITS, "--duration", 60, "--threads", 1)
    try:
        deadline = time.monotonic() + 60
        while not _is_timing(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == cli.INTERRUPTED
    assert err.strip() == "interrupted: what follows was measured until then"
    assert "runs of warm-up" in out and "p99" in out


def _is_timing(pid: int) -> bool:
    """Whether the process has used the processor for 2 s, which importing does not take."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > 2


def test_a_reader_that_leaves_is_no_error() -> None:
    process = start("info", DIGITS, "--json")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read()
    assert process.wait(timeout=60) == 1
    assert err == ""
    process.stderr.close()


def test_importing_the_package_is_light() -> None:
    code = "import sys, lanewise; print([m for m in ('rich', 'PIL', 'onnx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
