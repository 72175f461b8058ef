"""Database URLs are parsed as libpq parses them. An invalid URL is reported in one line."""

import pytest

from db.postgres.database import Database
from db.postgres.dsn.options import BadDatabaseUrl
from db.postgres.dsn.url import Host, Target, parse
from server.settings import Settings, SettingsError, read_settings

SECRET = "s3cret"


def target(*hosts: Host, **options: str) -> Target:
    return Target(hosts, "u", "p", "db", options)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@a:5433/db", target(Host("a", 5433))),
        ("postgres://u:p@a/db", target(Host("a"))),
        ("postgresql+asyncpg://u:p@a/db", target(Host("a"))),
        ("  postgresql://u:p@a/db\n", target(Host("a"))),
        ("postgresql://u:p@a:1,b:2/db", target(Host("a", 1), Host("b", 2))),
        ("postgresql://u:p@a:1,b/db", target(Host("a", 1), Host("b"))),
        ("postgresql://u:p@[::1]:5433,[fe80::1]/db", target(Host("::1", 5433), Host("fe80::1"))),
        ("postgresql://u:p@%2Frun%2Fpg:5433/db", target(Host("/run/pg", 5433))),
        ("postgresql://u:p@/db?host=/run/pg", target(Host("/run/pg"))),
        ("postgresql://u:p@/db?host=a,b&port=1,2", target(Host("a", 1), Host("b", 2))),
        ("postgresql://u:p@/db?host=a,b&port=1", target(Host("a", 1), Host("b", 1))),
        ("postgresql:///db?user=u&password=p&host=a", target(Host("a"))),
        ("postgresql://u:p@a?dbname=db", target(Host("a"))),
        ("postgresql://u:p@a/?database=db", target(Host("a"))),
        ("postgresql://u:p@a/db?hostaddr=10.0.0.1", target(Host("a", None, "10.0.0.1"))),
        ("postgresql://u:p@/db", target(Host())),
        ("postgresql://u:p@a/db?ssl=true", target(Host("a"), sslmode="require")),
        ("postgresql://u:p@a/db?ssl=disable", target(Host("a"), sslmode="disable")),
        ("postgresql://u:p@a/db?sslmode=", target(Host("a"))),
        (
            "postgresql://u:p@a/db?options=-c%20geqo%3Doff&application_name=a+b",
            target(Host("a"), options="-c geqo=off", application_name="a+b"),
        ),
    ],
)
def test_url_is_parsed(url: str, expected: Target) -> None:
    assert parse(url) == expected


def test_credentials_are_decoded() -> None:
    found = parse("postgresql://us%40er:p%3Aa%2Fs%25s@a/d%20b")
    assert (found.user, found.password, found.database) == ("us@er", "p:a/s%s", "d b")
    assert "p:a/s%s" not in repr(found)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://u:s3cret@a/db", "postgresql://user:password@host"),
        ("host=a password=s3cret", "postgresql://user:password@host"),
        ("postgresql://u:s3cret@more@a/db", "%40"),
        ("postgresql://u:s3cret/more@a/db", "%2F"),
        ("postgresql://u:s3cret%zz@a/db", "%25"),
        ("postgresql://u:s3cret@a:70000/db", "A port must be a number"),
        ("postgresql://u:s3cret@a:1,b:2/db?port=1,2,3", "3 ports for 2 hosts"),
        ("postgresql://u:s3cret@a,,b/db", "One of the hosts is empty"),
        ("postgresql://u:s3cret@a/db?sslmode", "sslmode=require"),
        ("postgresql://u:s3cret@a/db?sslmode=on", "sslmode must be one of disable"),
        ("postgresql://u:s3cret@a/db?statement_timeout=5s", "statement_timeout is not known"),
        ("postgresql://u:s3cret@a/db?connect_timeout=soon", "connect_timeout must be a number"),
        ("postgresql://u:s3cret@a/db?service=main", "service is not supported"),
        ("postgresql://u:s3cret@a/db?channel_binding=require", "channel_binding can only be"),
        ("postgresql://u:s3cret@a/db?gssencmode=require", "gssencmode can only be"),
        ("postgresql://u:s3cret@a/db?client_encoding=LATIN1", "client_encoding can only be"),
        ("postgresql://u:s3cret@a/db?replication=database", "replication can only be"),
        ("postgresql://u:s3cret@a/db?require_auth=scram-sha-256", "require_auth is not supported"),
        ("postgresql://u:s3cret@a/db?target_session_attrs=standby", "use read-write"),
        ("postgresql://u:s3cret@a/db?target_session_attrs=rw", "target_session_attrs must be one"),
        ("postgresql://u:s3cret@a/db?sslrootcert=system&sslmode=require", "verify-full only"),
        ("postgresql://u:s3cret@a/db?sslnegotiation=direct", "sslnegotiation=direct needs"),
        ("postgresql://u:s3cret@a/db?hostaddr=::1&sslmode=verify-full&sslrootcert=x", "hostaddr"),
        ("postgresql://u:s3cret@a/db?sslmode=verify-full&sslrootcert=/no/ca", "no file /no/ca"),
        ("postgresql://u:s3cret@a/db?sslmode=require&sslrootcert=/dev/null", "no file /dev/null"),
        ("postgresql://u:s3cret@a/db?sslcert=/no/cert", "no file /no/cert"),
    ],
)
def test_invalid_url_is_reported_in_one_line(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", url)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    message = str(raised.value)
    assert message.startswith("ROLLCALL_DATABASE_URL: ")
    assert words in message
    assert "\n" not in message
    assert SECRET not in message


def test_verify_full_needs_root_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("ROLLCALL_DATABASE_URL", "postgresql://a/db?sslmode=verify-full")
    with pytest.raises(SettingsError, match="sslmode=verify-full needs sslrootcert"):
        read_settings()


@pytest.mark.parametrize(
    "options",
    [
        "gssencmode=prefer&channel_binding=prefer&client_encoding=utf-8&replication=false",
        "keepalives=1&keepalives_idle=30&keepalives_interval=5&keepalives_count=3",
        "tcp_user_timeout=5000&connect_timeout=10&load_balance_hosts=random&sslsni=1",
        "sslrootcert=/no/such&sslmode=prefer",
        "sslcert=/no/such&sslmode=disable",
        "sslmode=verify-full&sslrootcert=system",
    ],
)
def test_known_options_are_accepted(options: str) -> None:
    settings = Settings(database_url=f"postgresql://u:p@a/db?{options}")
    assert Database(settings.database_url or "")


def test_settings_repr_has_no_password() -> None:
    assert SECRET not in repr(Settings(database_url=f"postgresql://u:{SECRET}@a/db"))


def test_database_checks_its_url() -> None:
    with pytest.raises(BadDatabaseUrl):
        Database("postgresql://a/db?nonsense=1")
