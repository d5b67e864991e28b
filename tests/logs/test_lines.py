"""One line a record, as text or JSON; a file that is renamed when it has grown; equal lines are limited."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from service.logs.files import LogFile
from service.logs.lines import REQUEST_ID, JsonLines, TextLines
from service.logs.repeats import RepeatLimit
from service.logs.setup import LOGGED, LoggedBefore
from service.settings import Settings
from service.supervisor import environment


def record(message: str, *arguments: object, name: str = "radius.test", **extra: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.WARNING, __file__, 1, message, arguments, None)
    made.__dict__ |= extra
    return made


def test_a_line_of_text_has_time_process_level_and_request():
    REQUEST_ID.set("abcd1234")
    try:
        line = TextLines("api").format(record("of %s", "something"))
    finally:
        REQUEST_ID.set(None)
    assert line[10] == "T"
    assert line.split(" ", 1)[1] == "api WARNING of something [abcd1234]"


def test_nobodys_text_begins_a_line():
    line = TextLines("api").format(record("name %s", "a\n2026-01-01T00:00:00Z api INFO forged\x1b[31m\u2028b"))
    assert len(line.splitlines()) == 1
    assert "\\n" in line
    assert "\x1b" not in line


def test_a_line_of_json_has_the_same_and_fields():
    made = json.loads(JsonLines("compute").format(record('say "%s"\n', "x", fields={"status": 503})))
    assert made.pop("time").endswith("Z")
    assert made == {
        "process": "compute", "level": "WARNING", "logger": "radius.test", "message": 'say "x"\n', "status": 503,
    }  # fmt: skip


def test_a_trace_is_in_both():
    try:
        raise ValueError("cause")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    assert "ValueError: cause" in TextLines("api").format(made)
    assert "ValueError: cause" in json.loads(JsonLines("api").format(made))["trace"]


def test_equal_lines_are_limited_and_counted():
    now = [0.0]
    limit = RepeatLimit(3, lambda: now[0])
    assert [limit.filter(record("the disk is full")) for _ in range(50)] == [True] * 3 + [False] * 47
    assert limit.filter(record("another"))
    for name in ("radius.access", "radius.audit"):  # a line for each request
        assert all(limit.filter(record("GET", name=name)) for _ in range(50))
    now[0] = 61.0
    first, second = record("the disk is %s", "full"), record("the disk is full")
    assert limit.filter(first)
    assert limit.filter(second)
    assert first.getMessage() == "the disk is full (and 47 more times in the minute before)"
    assert second.getMessage() == "the disk is full"


def test_a_log_takes_twice_its_limit_at_most(tmp_path: Path):
    file = LogFile(tmp_path / "logs" / "api.log", 4096)
    file.setFormatter(TextLines("api"))
    for number in range(2000):
        file.emit(record("line %d", number))
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "logs").iterdir()}
    assert set(sizes) == {"api.log", "api.log.1"}
    assert max(sizes.values()) < 4096 + 100
    last = (tmp_path / "logs" / "api.log.1").read_text() + (tmp_path / "logs" / "api.log").read_text()
    numbers = [int(line.rsplit(" ", 1)[1]) for line in last.splitlines()]
    assert numbers == list(range(numbers[0], 2000))  # none is lost between the files


def test_what_a_process_prints_is_in_the_file_after_it_was_renamed(tmp_path: Path):
    program = (
        "import logging, os; from service.logs.setup import begin_logging; from service.settings import Settings\n"
        "begin_logging(Settings(), 'api')\n"
        "for n in range(60): logging.warning('line %d %s', n, 'x' * 100)\n"
        "os.write(2, b'from a library\\n'); print('from Python', flush=True); logging.info('the end')\n"
    )
    settings = Settings(log_file=tmp_path / "api.log", log_bytes=4096, log_format="json")
    subprocess.run([sys.executable, "-c", program], env=environment(settings), check=True)
    lines = (tmp_path / "api.log").read_text().splitlines()
    assert lines[-3:-1] == ["from a library", "from Python"]
    assert json.loads(lines[-1])["message"] == "the end"
    assert (tmp_path / "api.log.1").exists()


def test_a_file_is_renamed_again_after_no_new_one_could_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "api.log"
    log = LogFile(path, most_bytes=10)
    monkeypatch.setattr(log, "_open", lambda: 1 / 0)
    monkeypatch.setattr(log, "handleError", lambda _: None)
    log.emit(record("first of the full file"))
    monkeypatch.undo()
    log.emit(record("last of the full file"))
    log.emit(record("new"))
    assert path.read_text() == "new\n"
    assert path.with_name("api.log.1").read_text() == "first of the full file\nlast of the full file\n"


def test_an_error_that_was_logged_is_not_logged_again_by_the_server():
    error = ValueError("x")
    made = record("Exception in ASGI application", exc_info=(ValueError, error, None))
    assert LoggedBefore().filter(made)
    setattr(error, LOGGED, True)
    assert not LoggedBefore().filter(made)


@pytest.mark.parametrize("given", [{"log_format": "xml"}, {"log_repeats": 0}, {"log_bytes": 1}])
def test_settings_of_logs_are_checked(given: dict[str, object]):
    with pytest.raises(ValueError, match=next(iter(given))):
        Settings(**given)  # pyright: ignore[reportArgumentType]
