from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from app.access.credentials import Credential, find_credential
from app.access.tenants import list_tenants
from app.settings import SETTINGS, Settings
from app.store.engine import create_engine
from app.store.unit_of_work import Store
from tests.processes.conftest import answered, workers_of
from tests.processes.forked import KEYSTEWARD

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
TOKEN = re.compile(r"kst_[a-z]+_\w+")

Environment = dict[str, str]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    others = {name: value for name, value in os.environ.items() if not name.startswith("KEYSTEWARD_")}
    return {**others, "KEYSTEWARD_DATA_DIR": str(tmp_path / "data"), "KEYSTEWARD_PORT": str(port)}


def keysteward(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KEYSTEWARD, *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


def refusal(*arguments: str, **environment: str) -> str:
    """Return the one line that a command says when it cannot do its work."""
    ended = keysteward(*arguments, **environment)
    assert ended.returncode == 2, ended
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1
    return ended.stderr


def store_of(environment: Environment) -> Store:
    return Store(create_engine(Settings.from_environment(environment).database_url))


def opens(environment: Environment, token: str) -> Credential:
    """Return the credential that a token opens in an installation."""
    peppers = Settings.from_environment(environment).load_peppers()
    found = find_credential(store_of(environment), peppers, token)
    assert found is not None
    return found


class Server:
    """The command ``keysteward serve`` as a process; ``said`` is what it printed before it served."""

    def __init__(self, environment: Environment) -> None:
        self.root = Settings.from_environment(environment).root_url
        self.process = subprocess.Popen(
            [*KEYSTEWARD, "serve"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said = self._read_until(f"Keysteward serves {self.root}\n")

    def _read_until(self, last: str) -> str:
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            if line == last:
                return said
            said += line
        raise AssertionError(f"the server ended: {self.process.communicate()}")

    def wait(self) -> None:
        """Wait until it answers."""
        while True:
            assert self.process.poll() is None, self.process.communicate()
            if answered(f"{self.root}/healthz") == 200:
                return
            time.sleep(0.02)

    def workers(self) -> set[int]:
        return {each.pid for each in workers_of(self.process.pid)}

    def stop(self) -> tuple[int, str]:
        """Tell it to stop; return its exit code and what it said on stderr."""
        self.process.terminate()
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@contextlib.contextmanager
def serving(environment: Environment) -> Iterator[Server]:
    server = Server(environment)
    try:
        server.wait()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def test_the_first_start_prints_what_to_paste_and_the_second_does_not(environment: Environment) -> None:
    with serving(environment) as server:
        said = server.said
        assert server.stop() == (0, "")
    root = server.root
    scim, operator, gate = sorted(set(TOKEN.findall(said)), key=lambda token: "sog".index(token[4]))
    for text in (f"{root}/scim/v2", f"{root}/operator/v1", f"{root}/gate/verify", "expire on 20"):
        assert text in said
    for command in ("tour\n", "entitlement create ", "curl "):
        assert command in said
    found = [opens(environment, token) for token in (scim, operator, gate)]
    assert [each.scopes for each in found] == [("scim",), ("operator",), ("gate",)]
    assert (found[0].connection_name, found[0].dialect) == ("default", "field")
    assert {each.expires_at - each.created_at for each in found} == {365 * 24 * 3600 * 1_000_000}

    with serving(environment) as server:
        assert server.said == ""
    assert [each.name for each in list_tenants(store_of(environment))] == ["default"]


def test_init_prints_urls_and_tokens_for_programs(environment: Environment) -> None:
    printed = keysteward("init", "--json", **environment, KEYSTEWARD_PUBLIC_URL="https://keys.example.com")
    assert (printed.returncode, printed.stderr) == (0, "")
    found = json.loads(printed.stdout)
    assert {face: entry["url"] for face, entry in found.items()} == {
        "scim": "https://keys.example.com/scim/v2",
        "operator": "https://keys.example.com/operator/v1",
        "gate": "https://keys.example.com/gate/verify",
    }
    for face, entry in found.items():
        assert set(entry) == {"url", "token"}
        assert opens(environment, entry["token"]).scopes == (face,)


def test_tokens_are_shown_once_and_new_ones_come_beside_the_old(environment: Environment) -> None:
    first = json.loads(keysteward("init", "--json", **environment).stdout)
    assert "tokens are shown once" in (said := refusal("init", "--json", **environment))
    assert "`keysteward init --json --new-tokens`" in said
    again = keysteward("init", **environment)
    assert (again.returncode, TOKEN.findall(again.stdout)) == (0, [])

    second = json.loads(keysteward("init", "--json", "--new-tokens", **environment).stdout)
    for face in ("scim", "operator", "gate"):
        assert first[face]["url"] == second[face]["url"]
        assert first[face]["token"] != second[face]["token"]
        old, new = (opens(environment, tokens[face]["token"]) for tokens in (first, second))
        assert (old.tenant_id, old.scopes, old.connection_id) == (
            new.tenant_id,
            new.scopes,
            new.connection_id,
        )


def test_of_several_first_starts_at_once_one_shows_tokens(environment: Environment) -> None:
    processes = [
        subprocess.Popen(
            [*KEYSTEWARD, "init", "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(5)
    ]
    ended = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert sorted(code for _, _, code in ended) == [0, 2, 2, 2, 2], ended
    assert all(b"tokens are shown once" in said for _, said, code in ended if code)
    assert len(list_tenants(store_of(environment))) == 1


def test_a_port_in_use_is_said_before_anything_is_done(environment: Environment) -> None:
    with socket.create_server(("127.0.0.1", int(environment["KEYSTEWARD_PORT"]))):
        said = refusal("serve", **environment)
    assert f"port {environment['KEYSTEWARD_PORT']} of 127.0.0.1 is in use" in said
    assert not Path(environment["KEYSTEWARD_DATA_DIR"]).exists()


def test_a_second_server_does_not_share_the_port_of_the_first(environment: Environment) -> None:
    with serving(environment):
        assert "is in use" in refusal("serve", **environment)


def test_a_folder_that_cannot_be_written_is_said(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment["KEYSTEWARD_DATA_DIR"] = str(tmp_path / "file" / "data")
    for command in ("serve", "init"):
        assert f"cannot write to the data folder {tmp_path}/file/data" in refusal(command, **environment)


def test_a_pepper_file_that_others_may_read_is_said(environment: Environment) -> None:
    keysteward("init", **environment)
    peppers = Path(environment["KEYSTEWARD_DATA_DIR"], "peppers.json")
    assert peppers.stat().st_mode & 0o777 == 0o600
    peppers.chmod(0o644)
    assert f"chmod 600 {peppers}" in refusal("serve", **environment)


def test_a_database_of_a_newer_version_is_said(environment: Environment) -> None:
    keysteward("init", **environment)
    with store_of(environment).engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for command in ("serve", "init"):
        assert "the database is of version 9999, which this version" in refusal(command, **environment)


def test_a_database_that_does_not_answer_is_said_without_its_password(environment: Environment) -> None:
    environment["KEYSTEWARD_DATABASE_URL"] = "postgresql://ada:SECRET@127.0.0.1:1/keys"
    for command in ("serve", "init"):
        said = refusal(command, **environment)
        assert "cannot use the database postgresql://ada:***@127.0.0.1:1/keys: " in said
        assert "refused" in said
        assert "SECRET" not in said


def test_a_file_that_is_no_database_is_said_and_left_alone(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no database " * 1000)
    environment["KEYSTEWARD_DATABASE_URL"] = f"sqlite:///{tmp_path}/file"
    assert "file is not a database" in refusal("init", **environment)
    assert (tmp_path / "file").read_text() == "no database " * 1000


def test_wrong_settings_are_said_by_every_command(environment: Environment) -> None:
    for command in ("serve", "init", "settings"):
        assert "KEYSTEWARD_PROT is not a setting" in refusal(command, **environment, KEYSTEWARD_PROT="1")
        wrong = {**environment, "KEYSTEWARD_PORT": "http"}
        assert "KEYSTEWARD_PORT must be a whole number" in refusal(command, **wrong)


def test_settings_are_listed_with_passwords_masked(environment: Environment) -> None:
    environment["KEYSTEWARD_DATABASE_URL"] = "postgresql://ada:PLANTED@db/keys"
    table = keysteward("settings", **environment).stdout
    listed = json.loads(keysteward("settings", "--json", **environment).stdout)
    assert [each["name"] for each in listed] == [each.name for each in SETTINGS]
    assert all(each.name in table for each in SETTINGS)
    values = {each["name"]: each["value"] for each in listed}
    assert values["KEYSTEWARD_DATABASE_URL"] == "postgresql://ada:***@db/keys"
    assert values["KEYSTEWARD_PORT"] == environment["KEYSTEWARD_PORT"]
    assert "PLANTED" not in table + repr(listed)
    assert not Path(environment["KEYSTEWARD_DATA_DIR"]).exists()


def test_a_request_that_is_being_served_is_finished_before_the_server_ends(environment: Environment) -> None:
    token = json.loads(keysteward("init", "--json", **environment).stdout)["scim"]["token"]
    body = json.dumps({"schemas": [USER], "userName": "ada@example.com"}).encode()
    head = (
        f"POST /scim/v2/Users HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/scim+json\r\nContent-Length: {len(body)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    address = ("127.0.0.1", int(environment["KEYSTEWARD_PORT"]))
    with serving(environment) as server, socket.create_connection(address) as client:
        client.sendall(head.encode())
        # The server asks for the body when the application begins to read it.
        assert client.recv(1000).startswith(b"HTTP/1.1 100")
        server.process.terminate()
        with contextlib.suppress(ConnectionRefusedError):
            while True:
                socket.create_connection(address).close()
                time.sleep(0.01)
        assert server.process.poll() is None
        client.sendall(body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 201"), answer
        assert server.process.wait(60) == 0
    with store_of(environment).engine.begin() as connection:
        assert connection.execute(sa.text("SELECT user_name FROM consumer")).scalars().all() == [
            "ada@example.com"
        ]


def test_bodies_in_chunks_arrive_and_are_held_to_the_limit(environment: Environment) -> None:
    token = json.loads(keysteward("init", "--json", **environment).stdout)["scim"]["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    user = json.dumps({"schemas": [USER], "userName": "ada@example.com"}).encode()
    with serving(environment) as server:
        users = f"{server.root}/scim/v2/Users"
        created = httpx2.post(users, headers=headers, content=iter([user[:10], user[10:]]))
        assert created.status_code == 201, created.text
        padded = httpx2.post(users, headers=headers, content=iter([user, b" " * (5 * 1024 * 1024)]))
        assert padded.status_code == 413, padded.text


def test_a_connection_outlives_an_error_that_needed_no_body(environment: Environment) -> None:
    keysteward("init", **environment)
    body = b"x" * 200_000
    request = b"POST /scim/v2/Users HTTP/1.1\r\nHost: it\r\nContent-Length: %d\r\n\r\n" % len(body)
    with (
        serving(environment),
        socket.create_connection(("127.0.0.1", int(environment["KEYSTEWARD_PORT"]))) as asking,
    ):
        for _ in range(3):
            # Nobody is told of the error before the body is there.
            asking.sendall(request)
            asking.settimeout(0.1)
            with contextlib.suppress(TimeoutError):
                assert asking.recv(1, socket.MSG_PEEK)
            asking.settimeout(60)
            asking.sendall(body)
            answer = b""
            while b"\r\n\r\n" not in answer:
                piece = asking.recv(1)
                assert piece, "the connection was closed"
                answer += piece
            assert answer.startswith(b"HTTP/1.1 401 ")
            length = int(answer.lower().partition(b"content-length:")[2].split()[0])
            while length:
                length -= len(asking.recv(length))


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the workers")
def test_a_worker_that_dies_is_replaced(environment: Environment) -> None:
    environment["KEYSTEWARD_WORKERS"] = "2"
    with serving(environment) as server:
        before = server.workers()
        os.kill(min(before), signal.SIGKILL)
        while len(server.workers() - before) < 1:
            time.sleep(0.02)
        assert server.workers() & before == {max(before)}
        server.wait()


def test_no_request_sees_the_secrets_of_the_environment(environment: Environment) -> None:
    keysteward("init", **environment)
    peppers = Path(environment["KEYSTEWARD_DATA_DIR"], "peppers.json").read_text()
    script = (
        "import os\nfrom app.worker import load\nload()\n"
        "print(sorted(name for name in os.environ if name.startswith('KEYSTEWARD_')))"
    )
    url = Settings.from_environment(environment).database_url
    secret = {"KEYSTEWARD_PEPPERS": peppers, "KEYSTEWARD_DATABASE_URL": url}
    printed = subprocess.run(
        [sys.executable, "-c", script], env=environment | secret, capture_output=True, text=True, check=True
    )
    assert printed.stdout == "['KEYSTEWARD_DATA_DIR', 'KEYSTEWARD_PORT']\n"
