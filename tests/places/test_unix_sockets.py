"""The socket of the query worker is in the data directory, however long its path is, and only its owner's is used."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import httpx2
import pytest

from service import unix_sockets
from service.api.query_proxy import query_client
from service.errors import InvalidInput, Unavailable
from service.settings import Settings
from service.unix_sockets import check_owner, listen, socket_name

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")


@pytest.mark.parametrize("length", [1, 90, 250])
def test_a_path_of_any_length_is_bound_and_reached(tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / ("x" * length) / "run" / "query.sock"
    for _ in range(2):  # the second takes the place of one that was killed
        with listen(path) as listening:
            monkeypatch.setenv("TMPDIR", str(tmp_path))
            check_owner(path)
            with socket_name(path) as name, socket.socket(socket.AF_UNIX) as client:
                client.connect(name)
                server, _ = listening.accept()
                with server:
                    client.sendall(b"hello")
                    assert server.recv(5) == b"hello"
    assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_no_descriptor_is_left(tmp_path: Path):
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        listen(tmp_path / ("x" * 200) / "query.sock").close()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_system_without_a_folder_of_descriptors_refuses_a_long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(unix_sockets, "_DESCRIPTORS", tmp_path / "none")
    with pytest.raises(InvalidInput, match="bytes") as caught:
        listen(tmp_path / ("x" * 200) / "query.sock")
    assert caught.value.field == "data_dir"
    listen(tmp_path / "query.sock").close()


def test_what_is_not_our_socket_is_not_connected_to(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    for make, message in ((None, "not running"), (lambda path: path.write_text(""), "not a socket")):
        if make is not None:
            settings.make_folders()
            make(settings.query_socket)
        with pytest.raises(Unavailable, match=message), query_client(settings, 1.0):
            pass


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_a_folder_that_others_may_write_to_is_not_used_before_it_is_private(tmp_path: Path, mode: int):
    path = tmp_path / "run" / "query.sock"
    listen(path).close()
    path.parent.chmod(mode)
    with pytest.raises(Unavailable, match="other users may write"):
        check_owner(path)
    listen(path).close()
    check_owner(path)


@needs_root
def test_another_users_socket_or_folder_is_not_used(tmp_path: Path):
    path = tmp_path / "run" / "query.sock"
    with listen(path):
        os.chown(path, 1, 1)
        with pytest.raises(Unavailable, match="not a socket of this process's user"):
            check_owner(path)
        os.chown(path, 0, 0)
        os.chown(path.parent, 1, 1)
        for refuse in (check_owner, listen):
            with pytest.raises((Unavailable, InvalidInput), match="belongs to another user"):
                refuse(path)


def test_http_goes_over_a_long_path(tmp_path: Path):
    settings = Settings(data_dir=tmp_path / ("x" * 200))
    with listen(settings.query_socket), query_client(settings, 0.05) as client, pytest.raises(httpx2.ReadTimeout):
        client.get("/healthz")  # connected: the kernel accepts before the server does
