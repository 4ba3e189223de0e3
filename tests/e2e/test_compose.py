"""docker/: what can be proved without docker. The files fit each other, and the database's set-up
script, run as the image runs it, gives a city that works with a role that can only read."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from tests.postgres import Cluster
from tests.support import HELSINKI, ROOT, Server, twin

DOCKER = ROOT / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
DATABASE, TWIN = COMPOSE["services"]["database"], COMPOSE["services"]["twin"]
#: characters that an address, a shell or SQL would trip over
PASSWORDS = {"TWIN_WRITER_PASSWORD": "w'r/i:t@e \"%41$\\", "TWIN_READER_PASSWORD": "читать#?&=ü"}


def test_every_service_is_watched_restarts_and_keeps_its_data():
    for name, service in COMPOSE["services"].items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["restart"] == "unless-stopped", name
        volumes = [mount.partition(":")[0] for mount in service["volumes"]]
        assert set(volumes) & set(COMPOSE["volumes"]), name
        for source in volumes:
            assert source in COMPOSE["volumes"] or (DOCKER / source).is_file(), source
    assert TWIN["depends_on"]["database"]["condition"] == "service_healthy"


def test_the_database_is_reached_by_the_server_alone_and_the_server_by_this_machine():
    assert "ports" not in DATABASE
    assert TWIN["ports"] == ["127.0.0.1:8080:8080"]


def test_passwords_come_from_the_environment_and_each_is_in_the_example():
    text = (DOCKER / "compose.yaml").read_text("utf-8")
    wanted = set(re.findall(r"\$\{(\w+)", text))
    example = set(re.findall(r"^(\w+)=$", (DOCKER / "env.example").read_text("utf-8"), re.M))
    assert wanted == example
    assert set(re.findall(r"\$\{(\w+)", (DOCKER / "city.yml").read_text("utf-8"))) <= set(TWIN["environment"])


def test_the_image_runs_as_an_ordinary_user_and_holds_only_what_runs():
    stages = (DOCKER / "Dockerfile").read_text("utf-8").split("\nFROM ")
    build, runtime = stages[-2], stages[-1]
    assert "make wheel" in build
    assert re.search(r"^USER twin$", runtime, re.M)
    assert "--require-hashes" in runtime
    assert 'ENTRYPOINT ["twin"]' in runtime
    assert "COPY" not in runtime
    assert TWIN["read_only"] is True
    assert TWIN["cap_drop"] == ["ALL"]
    # what the build stage is given is there
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for pattern in ignored:
        if pattern.startswith("!"):
            assert list(ROOT.glob(pattern[1:])), pattern


def test_the_health_checks_name_paths_that_answer(server):
    told = " ".join([*TWIN["healthcheck"]["test"], (DOCKER / "Dockerfile").read_text("utf-8")])
    paths = re.findall(r"http://127\.0\.0\.1:8080(/[a-z/]+)", told)
    assert len(paths) == 2
    for path in paths:
        assert server.http.get(path).status_code == 200


@pytest.fixture
def database(postgres: Cluster) -> Iterator[str]:
    """The URL of a database that the image's set-up scripts have prepared; its roles go with it."""
    psql = shutil.which("psql", path=f"{postgres.bin}:{os.environ['PATH']}")
    assert psql is not None
    url = postgres.database()
    scripts = [mount for mount in DATABASE["volumes"] if "/docker-entrypoint-initdb.d/" in mount]
    try:
        for mount in scripts:
            script = DOCKER / mount.partition(":")[0]
            # as the entrypoint of the official image calls it
            subprocess.run(
                [psql, "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-f", str(script), url],
                env={**os.environ, **PASSWORDS},
                check=True,
                capture_output=True,
            )
        yield url
    finally:
        name = url.rsplit("/", 1)[1]
        with postgres.connect("postgres") as con:
            con.execute(f"DROP DATABASE {name} WITH (FORCE)")
            con.execute("DROP ROLE IF EXISTS twin_writer")
            con.execute("DROP ROLE IF EXISTS twin_reader")


def test_the_passwords_are_those_of_the_environment(database: str, postgres: Cluster):
    # the private cluster lets everybody in, so the hash itself is judged
    import base64
    import hashlib
    import hmac

    with postgres.connect("postgres") as con:
        kept = dict(con.execute("SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE 'twin\\_%'"))
    for role, variable in (("twin_writer", "TWIN_WRITER_PASSWORD"), ("twin_reader", "TWIN_READER_PASSWORD")):
        # RFC 5803: SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey
        _, first, keys = str(kept[role]).split("$")
        rounds, salt = first.split(":")
        salted = hashlib.pbkdf2_hmac(
            "sha256", PASSWORDS[variable].encode(), base64.b64decode(salt), int(rounds)
        )
        stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        assert base64.b64encode(stored).decode() == keys.split(":")[0], role


def test_a_city_lives_there_read_by_a_role_that_cannot_write(
    database: str,
    postgres: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[..., Server],
):
    for name, value in PASSWORDS.items():
        monkeypatch.setenv(name, value)
    where, name = f"127.0.0.1:{postgres.port}", database.rsplit("/", 1)[1]
    folder = tmp_path / "city"
    folder.mkdir()
    text = (DOCKER / "city.yml").read_text("utf-8").replace("@database/twin", f"@{where}/{name}")
    (folder / "city.yml").write_text(text, "utf-8")
    twin("load", str(HELSINKI / "street_assets.geojson"), "--as", "assets", "--kind", "component",
         "--city", str(folder))  # fmt: skip
    server = serve(folder)
    assert server.http.get("/health/ready").json()["layers"] == 1
    items = server.http.get("/ogc/collections/assets/items?limit=2").json()
    assert items["numberReturned"] == 2
    edit = server.http.patch(
        "/ogc/collections/assets/items/1",
        json={"properties": {"name": "written by the writer"}},
        headers={**server.auth, "content-type": "application/merge-patch+json"},
    )
    assert edit.status_code in (200, 204), edit.text
    after = server.http.get("/ogc/collections/assets/items/1").json()
    assert after["properties"]["name"] == "written by the writer"
    with postgres.connect(name) as con:
        users = con.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = %s AND usename LIKE 'twin\\_%%'",
            (name,),
        )
        assert {"twin_reader"} <= {user for (user,) in users}
    with postgres.connect(name, "twin_reader") as reader:
        reader.execute("SET default_transaction_read_only = off")
        for attempt in ("DELETE FROM city.assets", "CREATE TABLE city.x (a int)", "CREATE SCHEMA x"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(attempt)
    server.stop()
