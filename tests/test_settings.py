"""Settings: what each variable means, and every problem told at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from hub_core.errors import SettingsError
from hub_core.settings import Settings

KEY = "c2V0dGluZ3NUZXN0Q2FuYXJ5S2V5MDEyMzQ1Njc4OWE="


def problems(**env: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(dict(env))
    return caught.value.problems


def test_nothing_set_is_a_private_installation() -> None:
    """Without any variable the hub listens on loopback, with the sandbox, below the home folder."""
    settings = Settings.from_env({})
    assert (settings.address, settings.port, settings.shared, settings.sandbox_offered) == (
        "127.0.0.1",
        8501,
        False,
        True,
    )
    assert settings.data.is_absolute()
    assert settings.config.is_absolute()
    assert settings.data != settings.config
    assert settings.database == settings.data / "hub.db"
    assert settings == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("LINKHUB_DATA", "/srv/hub", "data", Path("/srv/hub")),
        ("LINKHUB_CONFIG", "/etc/hub", "config", Path("/etc/hub")),
        ("LINKHUB_ADDRESS", "[::1]", "address", "::1"),
        ("LINKHUB_PORT", "80", "port", 80),
        ("LINKHUB_KEY_FILE", "/run/secrets/key", "key_file", Path("/run/secrets/key")),
        ("LINKHUB_KEY_COMMAND", "vault kv get", "key_command", "vault kv get"),
        ("LINKHUB_KEY_KEYRING", "yes", "key_keyring", True),
        ("LINKHUB_HOSTS", "Hub.Example., other", "hosts", ("hub.example", "other")),
        ("LINKHUB_OUTBOUND_ALLOW", "bw.lan,10.1.2.3/16", "outbound_allow", ("bw.lan", "10.1.0.0/16")),
        ("LINKHUB_OUTBOUND_LOOPBACK", "127.0.0.1:8443 [::1]:9", "outbound_loopback", ("127.0.0.1:8443", "[::1]:9")),
        ("LINKHUB_OUTBOUND_PORTS", "8443, 9443", "outbound_ports", (8443, 9443)),
        ("LINKHUB_PLAINTEXT_HOSTS", "bw.lan", "plaintext_hosts", ("bw.lan",)),
        ("LINKHUB_PROXY", "http://proxy.lan:3128/", "proxy", "http://proxy.lan:3128"),
        ("LINKHUB_TOKEN_LIMIT", "10", "token_limit", 10),
        ("LINKHUB_INTERVAL_MINUTES", "60", "interval_minutes", 60),
        ("LINKHUB_SANDBOX", "off", "sandbox", False),
        ("LINKHUB_SANDBOX_PORT", "9000", "sandbox_port", 9000),
        ("LINKHUB_LOG_LEVEL", "debug", "log_level", "DEBUG"),
    ],
)
def test_each_variable_is_one_setting(variable: str, text: str, name: str, value: object) -> None:
    """A variable's text becomes the typed value of its setting, and nothing else changes."""
    settings = Settings.from_env({variable: text})
    assert getattr(settings, name) == value
    assert [f.name for f in fields(Settings) if getattr(settings, f.name) != getattr(Settings(), f.name)] == [name]


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LINKHUB_DATA", "relative/path"),
        ("LINKHUB_DATA", "~nobody-of-this-name/hub"),
        ("LINKHUB_ADDRESS", "hub.example"),
        ("LINKHUB_PORT", "0"),
        ("LINKHUB_PORT", "65536"),
        ("LINKHUB_PORT", "-1"),
        ("LINKHUB_PORT", "http"),
        ("LINKHUB_ALLOW_OPEN", "maybe"),
        ("LINKHUB_HOSTS", "https://hub.example"),
        ("LINKHUB_HOSTS", "*"),
        ("LINKHUB_OUTBOUND_ALLOW", "10.0.0.0/99"),
        ("LINKHUB_OUTBOUND_LOOPBACK", "127.0.0.1"),
        ("LINKHUB_OUTBOUND_LOOPBACK", "127.0.0.1:99999"),
        ("LINKHUB_OUTBOUND_PORTS", "443,x"),
        ("LINKHUB_PROXY", "https://proxy:1"),
        ("LINKHUB_PROXY", "http://user:word@proxy:1"),
        ("LINKHUB_PROXY", "http://proxy"),
        ("LINKHUB_PROXY", "http://proxy:99999"),
        ("LINKHUB_TOKEN_LIMIT", "61"),
        ("LINKHUB_INTERVAL_MINUTES", "0"),
        ("LINKHUB_LOG_LEVEL", "LOUD"),
    ],
)
def test_a_wrong_value_names_its_variable(variable: str, text: str) -> None:
    """A value that cannot be read is one sentence that begins with the variable."""
    (problem,) = problems(**{variable: text})
    assert problem.startswith(f"{variable}: ")
    assert problem.endswith(".")


def test_every_problem_is_told_at_once() -> None:
    """Three mistakes are three sentences, an unknown variable among them."""
    found = problems(LINKHUB_PORT="x", LINKHUB_TOKEN_LIMIT="x", LINKHUB_PROT="8501")
    assert [problem.partition(":")[0] for problem in found] == ["LINKHUB_PORT", "LINKHUB_TOKEN_LIMIT", "LINKHUB_PROT"]


def test_an_empty_variable_is_not_set() -> None:
    """Blank text means the default, as compose files write it."""
    assert Settings.from_env({"LINKHUB_PORT": " ", "LINKHUB_PROXY": "", "OTHER": "x"}) == Settings()


def test_the_key_leaves_the_environment_and_never_shows() -> None:
    """The master key is removed from the environment once read, and no representation shows it."""
    env = {"LINKHUB_KEY": KEY}
    settings = Settings.from_env(env)
    assert env == {}
    assert settings.key is not None
    assert settings.key.reveal() == KEY
    assert KEY not in repr(settings) + str(settings)


def test_the_key_leaves_the_environment_although_something_else_is_wrong() -> None:
    """A problem elsewhere neither keeps the key in the environment nor shows it."""
    env = {"LINKHUB_KEY": KEY, "LINKHUB_PORT": "x", "LINKHUB_KEY_FILE": "/k"}
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(env)
    assert "LINKHUB_KEY" not in env
    assert KEY not in str(caught.value) + repr(caught.value)


def test_exactly_one_source_of_the_key() -> None:
    """Two sources of the master key are refused by name."""
    (problem,) = problems(LINKHUB_KEY=KEY, LINKHUB_KEY_FILE="/k", LINKHUB_KEY_KEYRING="1")
    assert problem.startswith("LINKHUB_KEY, LINKHUB_KEY_FILE, LINKHUB_KEY_KEYRING: set exactly one")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "::ffff:127.0.0.1"])  # noqa: S104 - refused
def test_an_address_others_can_reach_must_be_wanted(address: str) -> None:
    """Listening beyond loopback is refused unless the operator says so and names the hosts."""
    (problem,) = problems(LINKHUB_ADDRESS=address)
    assert "LINKHUB_ALLOW_OPEN=1" in problem
    (problem,) = problems(LINKHUB_ADDRESS=address, LINKHUB_ALLOW_OPEN="1")
    assert problem.startswith("LINKHUB_HOSTS: ")
    settings = Settings.from_env(
        {"LINKHUB_ADDRESS": address, "LINKHUB_ALLOW_OPEN": "1", "LINKHUB_HOSTS": "hub.example"}
    )
    assert settings.shared
    assert not settings.sandbox_offered


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1"])
def test_loopback_is_not_shared(address: str) -> None:
    """Any loopback address is this machine only, and `localhost` is one of them."""
    assert Settings.from_env({"LINKHUB_ADDRESS": "localhost"}).address == "127.0.0.1"
    assert not Settings.from_env({"LINKHUB_ADDRESS": address}).shared


def test_every_setting_has_a_variable_and_a_sentence() -> None:
    """The manual is written from what each setting says of itself."""
    for setting in fields(Settings):
        assert setting.metadata["env"] == f"LINKHUB_{setting.name.upper()}"
        assert setting.metadata["doc"].rstrip().endswith((".", "`)."))
