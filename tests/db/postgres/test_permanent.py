"""Permanent errors of the database have one line that says what to do, without the password."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.migrate import migrate
from db.postgres.database import Database
from db.postgres.permanent import DatabaseUnusable, permanent_reason
from db.postgres.transient import is_transient
from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, QUOTED, USER, Cluster, cluster, give_to_account

OTHER = "another secret"
SELF_SIGNED = (
    *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
    *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
)


async def failure(url: str) -> Exception:
    database = Database(url)
    try:
        with pytest.raises(Exception) as raised:  # noqa: PT011  the caller checks the type
            await migrate(database)
    finally:
        await database.close()
    for secret in (PASSWORD, QUOTED, OTHER):
        assert secret not in f"{raised.value!r} {raised.value}"
    return raised.value


async def reason(url: str) -> str:
    message = permanent_reason(await failure(url))
    assert message is not None
    assert "\n" not in message
    return message


async def test_wrong_password_is_permanent_error(url: str) -> None:
    message = await reason(url.replace(QUOTED, OTHER.replace(" ", "%20")))
    assert "refuses the password" in message
    assert "ROLLCALL_DATABASE_URL" in message


async def test_missing_password_is_permanent_error(url: str) -> None:
    assert "refuses the password" in await reason(url.replace(f":{QUOTED}", ""))


async def test_role_without_login_is_permanent_error(server: Cluster, url: str) -> None:
    server.sql(f"CREATE ROLE idle NOLOGIN PASSWORD '{OTHER}'")
    message = await reason(url.replace(f"{USER}:{QUOTED}", f"idle:{OTHER.replace(' ', '%20')}"))
    assert "refuses this user" in message


async def test_unknown_database_is_permanent_error(url: str) -> None:
    message = await reason(f"{url}_missing")
    assert message.startswith("There is no such database (database ")
    assert "create it with encoding UTF8" in message


async def test_missing_create_right_is_permanent_error(server: Cluster, url: str) -> None:
    server.sql(f"CREATE ROLE guest LOGIN PASSWORD '{OTHER}'")
    message = await reason(url.replace(f"{USER}:{QUOTED}", f"guest:{OTHER.replace(' ', '%20')}"))
    assert "lacks a right (permission denied for schema public)" in message


async def test_tables_of_another_program_are_permanent_error(server: Cluster, url: str) -> None:
    server.sql("CREATE TABLE owners (id int)", url.rpartition("/")[2])
    assert "a separate database" in await reason(url)


async def test_unknown_server_option_is_permanent_error(url: str) -> None:
    message = await reason(f"{url}?options=-c%20no_such%3D1")
    assert 'unrecognized configuration parameter "no_such"' in message


async def test_wrong_encoding_is_permanent_error(server: Cluster, url: str) -> None:
    server.sql(f"CREATE DATABASE latin OWNER {USER} ENCODING LATIN1 TEMPLATE template0")
    message = await reason(f"{url.rpartition('/')[0]}/latin")
    assert "encoding LATIN1" in message
    assert "ENCODING 'UTF8' TEMPLATE template0" in message


async def test_old_server_version_is_permanent_error(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.postgres.check.MIN_VERSION", 99)
    assert "Rollcall needs 99 or newer" in await reason(url)


async def test_newer_schema_revision_is_permanent_error(server: Cluster, url: str) -> None:
    database = Database(url)
    await migrate(database)
    await database.close()
    server.sql("UPDATE alembic_version SET version_num = '9999'", url.rpartition("/")[2])
    error = await failure(url)
    assert isinstance(error, DatabaseUnusable)
    assert "newer version of Rollcall (revision 9999)" in str(error)


async def test_concurrent_migrations_wait_for_each_other(url: str) -> None:
    databases = [Database(url) for _ in range(4)]
    try:
        await asyncio.gather(*map(migrate, databases))
    finally:
        for database in databases:
            await database.close()


@pytest.mark.parametrize("place", ["127.0.0.1:{port}", "no-such-host.invalid"])
async def test_unreachable_server_is_transient_error(place: str) -> None:
    error = await failure(f"postgresql://u:{QUOTED}@{place.format(port=free_port())}/db")
    assert permanent_reason(error) is None
    assert is_transient(error)


async def test_read_only_server_is_transient_error(server: Cluster, url: str) -> None:
    name = url.rpartition("/")[2]
    server.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    error = await failure(url)
    assert permanent_reason(error) is None
    assert is_transient(error)
    assert "only accepts reads" in str(error)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "other"):
        files = ("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt"))
        subprocess.run([*SELF_SIGNED, *files], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("tls") / "data") as server:
        for end in ("crt", "key"):
            copy = server.folder / f"server.{end}"
            copy.write_bytes((certificates / f"server.{end}").read_bytes())
            copy.chmod(0o600)
            give_to_account(copy)
        hba = server.folder / "pg_hba.conf"
        hba.write_text(
            "local all all trust\nhost all postgres all trust\n"
            f"hostnossl plain {USER} all scram-sha-256\n"
            f"hostssl all {USER} all scram-sha-256\n"
        )
        server.sql(f"CREATE DATABASE plain OWNER {USER}")
        server.sql("ALTER SYSTEM SET ssl = on")
        server.restart()
        yield server


async def encrypted(url: str) -> bool:
    database = Database(url)
    try:
        driver = await database.connection()
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        return bool(await driver.fetchval(query))
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", True),
        ("sslmode=prefer", True),
        ("sslmode=allow", True),
        ("sslmode=require", True),
        ("sslmode=require&sslrootcert={ca}", True),
        ("sslmode=verify-ca&sslrootcert={ca}", True),
        ("sslmode=verify-full&sslrootcert={ca}", True),
        ("sslmode=require&ssl_min_protocol_version=TLSv1.3", True),
    ],
)
async def test_tls_modes_with_encryption(
    tls: Cluster, certificates: Path, options: str, expected: bool
) -> None:
    url = tls.url.replace("127.0.0.1", "localhost")
    options = options.format(ca=certificates / "server.crt")
    assert await encrypted(f"{url}?{options}" if options else url) is expected


@pytest.mark.parametrize("mode", ["disable", "allow"])
async def test_tls_modes_without_encryption(tls: Cluster, mode: str) -> None:
    assert not await encrypted(f"{tls.url.rpartition('/')[0]}/plain?sslmode={mode}")


@pytest.mark.parametrize(
    ("host", "options", "words"),
    [
        ("localhost", "sslmode=disable", "refuses this user"),
        ("localhost", "sslmode=verify-full&sslrootcert={other}", "certificate can't be trusted"),
        ("localhost", "sslmode=verify-ca&sslrootcert={other}", "certificate can't be trusted"),
        ("localhost", "sslmode=require&sslrootcert={other}", "certificate can't be trusted"),
        ("127.0.0.1", "sslmode=verify-full&sslrootcert={ca}", "certificate can't be trusted"),
        ("localhost", "sslrootcert=system", "certificate can't be trusted"),
    ],
)
async def test_untrusted_certificate_is_permanent_error(
    tls: Cluster, certificates: Path, host: str, options: str, words: str
) -> None:
    files = {"ca": certificates / "server.crt", "other": certificates / "other.crt"}
    place = tls.url.replace("127.0.0.1", host)
    assert words in await reason(f"{place}?{options.format(**files)}")


async def test_server_without_tls_is_permanent_error(url: str) -> None:
    assert "does not speak TLS" in await reason(f"{url}?sslmode=require")


async def test_url_options_reach_the_server(server: Cluster, url: str) -> None:
    options = "application_name=app%201&options=-c%20statement_timeout%3D1234"
    folder = str(server.folder).replace("/", "%2F")
    for place in (server.address, f"{folder}:{server.port}"):
        database = Database(f"{url.replace(server.address, place)}?{options}")
        try:
            driver = await database.connection()
            shown = "SELECT current_setting('application_name'), current_setting($1)"
            row = await driver.fetchrow(shown, "statement_timeout")
            assert tuple(row or ()) == ("app 1", "1234ms")
            idle = await driver.fetchval("SHOW idle_in_transaction_session_timeout")
            assert idle == "1min"
        finally:
            await database.close()
