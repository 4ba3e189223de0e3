"""nginx with the answers of ours as files, gzipped as they came: what sending a cached tile costs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Target
from tests.postgres import free_port
from tests.support import until

#: Debian puts it where only root's PATH looks.
PROGRAM = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
  access_log off;
  tcp_nodelay on;
  sendfile on;
  open_file_cache max=100;
  keepalive_requests 1000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    root {folder}/files;
    default_type application/octet-stream;
    add_header content-encoding gzip;
  }}
}}
"""


@contextmanager
def serving(folder: Path, files: dict[str, bytes]) -> Iterator[Target]:
    """One worker that serves these gzipped bodies by name. Raises FileNotFoundError without nginx."""
    if PROGRAM is None:
        raise FileNotFoundError("nginx")
    (folder / "files").mkdir(parents=True)
    folder.chmod(0o755)
    for name, body in files.items():
        (folder / "files" / name).write_bytes(body)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, port=port))
    process = subprocess.Popen([PROGRAM, "-p", folder, "-c", config], stderr=subprocess.DEVNULL)
    try:
        until((folder / "pid").exists, 20, "nginx")
        yield Target("nginx", f"http://127.0.0.1:{port}", (process.pid,))
    finally:
        process.terminate()
        process.wait(20)


def told() -> str:
    """Its name and version."""
    assert PROGRAM is not None
    said = subprocess.run([PROGRAM, "-v"], check=True, capture_output=True, text=True).stderr
    return said.strip().removeprefix("nginx version: ").replace("/", " ")
