"""The process: one a city, one a port, clear words when it cannot start, safe when it does."""

import os
import shutil
import sqlite3

import httpx
import pytest

from tests.support import Server, twin, until

#: root writes where it may not; without this capability the permission bits hold for root too
ORDINARY = ("setpriv", "--bounding-set=-dac_override")
AS_ORDINARY = ORDINARY if os.geteuid() == 0 else ()


def test_a_taken_port_is_told_in_one_line(server, helsinki):
    port = server.url.rsplit(":", 1)[1]
    done = twin("serve", "--city", str(helsinki), "--port", port, check=False)
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_second_server_on_the_same_city_is_refused(server):
    done = twin("serve", "--city", str(server.folder), "--port", "0", check=False)
    assert done.returncode == 1
    assert str(server.process.pid) in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_corrupt_city_yml_names_line_and_nearest_key(helsinki):
    with (helsinki / "city.yml").open("a") as text:
        text.write("heigths: {ground: 2}\n")
    done = twin("serve", "--city", str(helsinki), "--port", "0", check=False)
    assert done.returncode == 1
    lines = (helsinki / "city.yml").read_text().count("\n")
    assert f"line {lines}" in done.stderr
    assert "`heights`" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_city_there_says_how_to_make_one(tmp_path):
    done = twin("serve", "--city", str(tmp_path / "nowhere"), "--port", "0", check=False)
    assert done.returncode == 1
    assert "twin init" in done.stderr


def test_a_store_that_is_no_geopackage_is_told_and_the_rest_is_served(helsinki, serve):
    (helsinki / "city.gpkg").write_bytes(b"this is not a database" * 100)
    server = serve(helsinki, clean=False)
    ready = server.http.get("/health/ready")
    assert (ready.status_code, ready.json()["parts"]["store"]["status"]) == (503, "failed")
    assert server.http.get("/ogc/collections/buildings/items").status_code == 503
    for path in ("/", "/incidents", "/sta/v1.1/Things", "/health/live"):
        assert server.http.get(path).status_code == 200, path
    report = server.http.post("/incidents", json={"title": "burst"}, headers=server.auth)
    assert report.status_code == 201
    server.stop()
    assert [line for line in server.log if "city.gpkg" in line]
    assert "Traceback" not in "".join(server.log)


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="setpriv (util-linux) is absent"
)
def test_a_read_only_folder_serves_reading_and_refuses_writing(helsinki, serve):
    serve(helsinki).stop()
    key = Server.start(helsinki)
    key.stop()
    for path in [*helsinki.rglob("*"), helsinki]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        server = serve(helsinki, prefix=AS_ORDINARY)
        auth = key.auth if server.key == "" else server.auth
        assert server.http.get("/health/ready").json()["read_only"] is True
        items = server.http.get("/ogc/collections/buildings/items", params={"limit": "3"})
        assert items.status_code == 200
        assert items.json()["numberMatched"] == 446
        assert server.http.get("/3dtiles/buildings/tileset.json").status_code == 200
        for answer in (
            server.http.patch(
                "/ogc/collections/buildings/items/1",
                json={"properties": {"name": "x"}},
                headers={**auth, "content-type": "application/merge-patch+json"},
            ),
            server.http.post("/incidents", json={"title": "x", "class": "other", "level": 4}, headers=auth),
            server.http.post("/sta/v1.1/Things", json={"name": "a", "description": "b"}, headers=auth),
        ):
            assert answer.status_code == 503, answer.text
            assert "cannot be written" in answer.json()["detail"]
    finally:
        for path in [helsinki, *helsinki.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_foreign_host_or_origin_is_refused(server):
    assert server.http.get("/ogc", headers={"host": "evil.example"}).status_code == 403
    for host in ("127.0.0.1.evil.example", "127.0.0.1:80/evil", '127.0.0.1:"><b>', "[::1", "", "a@127.0.0.1"):
        assert server.http.get("/ogc", headers={"host": host}).status_code in (400, 403), host
    for host in ("localhost:8080", "127.0.0.1", "LOCALHOST", "[::1]:8080"):
        assert server.http.get("/ogc", headers={"host": host}).status_code == 200, host
    for origin in ("https://evil.example", "null", "http://[", "", "http://127.0.0.1.evil.example:80"):
        write = server.http.post(
            "/incidents",
            json={"title": "x", "class": "other", "level": 4},
            headers={**server.auth, "origin": origin},
        )
        assert write.status_code == 403, origin
        assert write.json()["code"] == "Forbidden"


def test_a_page_goes_on_with_the_cookie_of_its_session(server):
    with httpx.Client(base_url=server.url, timeout=30) as page:
        assert page.post("/session", headers=server.auth).status_code == 201
        assert page.get("/session").json()["name"] == "test"
        report = {"title": "x", "class": "other", "level": 4}
        assert page.post("/incidents", json=report).status_code == 403
        own = {"origin": server.url}
        assert page.post("/incidents", json=report, headers=own).status_code == 201
        with page.stream("GET", "/stream") as stream:
            assert "event: snapshot" in (line for line in stream.iter_lines())
        assert page.delete("/session", headers=own).status_code == 204
        assert page.get("/session").json()["name"] is None
        assert page.post("/incidents", json=report, headers=own).status_code == 401


def test_a_websocket_is_declined_without_a_word_in_the_log(server):
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert server.http.get("/stream", headers=upgrade).status_code == 403


def test_health_tells_what_is_served(server):
    assert server.http.get("/health/live").json() == {"status": "live"}
    ready = server.http.get("/health/ready").json()
    assert ready["layers"] == 8
    assert ready["features"] == 446 + 126 + 1462 + 78 + 1074 + 2577 + 270 + 7
    assert server.http.get("/health/nothing").status_code == 404


def test_a_restart_after_kill_9_serves_the_same(helsinki, serve):
    first = serve(helsinki)
    etag = first.http.get("/ogc/collections/buildings/items/1").headers["etag"]
    first.kill()
    second = serve(helsinki)
    answer = second.http.get("/ogc/collections/buildings/items/1", headers={"if-none-match": etag})
    assert answer.status_code == 304


def test_a_restored_older_store_never_answers_304(helsinki, serve, tmp_path):
    first = serve(helsinki)
    first.stop()
    with sqlite3.connect(helsinki / "city.gpkg") as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(helsinki / "city.gpkg", tmp_path / "backup.gpkg")
    second = serve(helsinki)
    path = "/ogc/collections/buildings/items/1"
    edited = second.http.patch(
        path,
        json={"properties": {"name": "after the backup"}},
        headers={**second.auth, "content-type": "application/merge-patch+json"},
    )
    assert edited.status_code in (200, 204), edited.text
    etag = second.http.get(path).headers["etag"]
    second.stop()
    for left in helsinki.glob("city.gpkg*"):
        left.unlink()
    shutil.copy(tmp_path / "backup.gpkg", helsinki / "city.gpkg")
    third = serve(helsinki)
    # the restored store may reach the same numbers again with other contents
    third.http.patch(
        path,
        json={"properties": {"name": "another"}},
        headers={**third.auth, "content-type": "application/merge-patch+json"},
    )
    answer = third.http.get(path, headers={"if-none-match": etag})
    assert answer.status_code == 200
    assert answer.json()["properties"]["name"] == "another"


def test_a_reload_by_another_process_is_seen_within_a_second(helsinki, serve):
    from tests.support import HELSINKI

    server = serve(helsinki)
    before = server.http.get("/ogc/collections/pipelines/items", params={"limit": "1"})
    assert before.json()["numberMatched"] == 78
    source = helsinki / "fewer.geojson"
    import json

    data = json.loads((HELSINKI / "pipelines.geojson").read_text())
    data["features"] = data["features"][:50]
    source.write_text(json.dumps(data))
    twin("load", str(source), "--as", "pipelines", "--kind", "pipeline", "--replace", "--city", str(helsinki))
    until(
        lambda: server.http.get("/ogc/collections/pipelines/items").json()["numberMatched"] == 50,
        seconds=1.0,
        what="the new generation",
    )


@pytest.mark.parametrize(
    "path", ["/stream/x", "/search/x", "/health", "/incidents/x/y/z", "/sta/v2", "/nosuch"]
)
def test_what_is_not_there_is_404_in_the_one_shape(server, path):
    answer = server.http.get(path)
    assert answer.status_code == 404, path
    assert answer.json()["code"] == "NotFound"
