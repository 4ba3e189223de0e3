"""What ``city.yml`` may say of webhooks; a secret is told by no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from layers.errors import BadConfig
from tests.receiving import SECRET
from twin import app, settings
from twin.webhooks import secret, signature

URL = "https://example.org/hook"


def hook(name: str = "crm", url: str = URL, more: str = f"secret: {SECRET}") -> str:
    return f"{{name: {name}, url: '{url}', {more}}}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (hook(url="ftp://example.org"), "not an address"),
        (hook(url="https://"), "not an address"),
        (hook(url="https://example.org/a b"), "not an address"),
        (hook(url="https://user:pass@example.org/"), "no user"),
        (hook(url="http://8.8.8.8/"), "http is for loopback and private addresses"),
        (hook(more="key: crm"), "it needs a `secret`"),
        (hook(more=f"secret: {SECRET}, secret_file: a"), "it needs a `secret`"),
        (hook(name="C RM"), "name"),
        (hook() + ", " + hook(), "1.name: crm is the name of another one"),
        (hook(more=f"secret: {SECRET}, bbox: [1, 2, 3, 200]"), "degrees"),
        (hook(more=f"secret: {SECRET}, layers: [A-B]"), "layers"),
        (", ".join(hook(name=f"h{n}") for n in range(17)), "16"),
    ],
)
def test_a_mistake_is_told_without_the_secret(text: str, reason: str):
    with pytest.raises(BadConfig, match=reason) as refused:
        settings.parse(f"webhooks: [{text}]")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("url", [URL, "http://127.0.0.1:9000", "http://[fd00::1]/", "http://crm:8000/a?b=c"])
def test_addresses(url: str):
    assert settings.parse(f"webhooks: [{hook(url=url)}]").webhooks[0].url == url


def test_neither_address_nor_secret_is_shown():
    shown = repr(settings.parse(f"webhooks: [{hook()}]"))
    assert SECRET not in shown
    assert "example.org" not in shown


@pytest.mark.parametrize(
    "more", [f"secret: {SECRET}", "secret: '${HOOK_SECRET}'", "secret_file: hook.secret"]
)
def test_where_a_secret_comes_from(more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOOK_SECRET", f"{SECRET}\n")
    (tmp_path / "hook.secret").write_text(f"{SECRET}\n")
    declared = settings.parse(f"webhooks: [{hook(more=more)}]").webhooks[0]
    assert secret.of(declared, tmp_path) == signature.keys(SECRET)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("secret: short", "crm: secret: a secret is whsec_"),
        ("secret: '${HOOK_ABSENT}'", "crm: secret: the environment variable HOOK_ABSENT is not set"),
        ("secret_file: absent", "crm: secret_file: absent cannot be read: No such file"),
        ("secret_file: city.yml", "crm: secret_file: a secret is whsec_"),
    ],
)
def test_a_city_is_not_opened_without_it(more: str, reason: str, tmp_path: Path):
    (tmp_path / "city.yml").write_text(f"webhooks: [{hook(more=more)}]")
    with pytest.raises(BadConfig, match=reason):
        app.open_city(tmp_path)
