"""``tmf privacy`` and ``tmf keys``: personal data and the keys that encrypt it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tmf_apis.bulk_load.command import open_engine
from tmf_apis.command_options import (
    data_dir_option,
    read_settings,
    report_start_errors,
    with_options,
)
from tmf_apis.engine import Engine
from tmf_apis.privacy import command
from tmf_apis.rest.pipeline.data_subjects import CUSTOMER_KIND
from tmf_apis.security.identity import Identity

#: Subject of the entries of these commands in the audit log.
SUBJECT = "tmf-privacy"

_uri_option = click.option("--uri", default="", help="MongoDB; default: TMF_MONGODB_URI.")
_database_options = with_options(_uri_option, data_dir_option)
_customer_argument = click.argument("customer")
_tenant_option = click.option("--tenant", default="", help="Tenant; default: the default tenant.")
_out_option = click.option("--out", type=click.Path(path_type=Path), help="File to write.")


@contextmanager
def _open_engine(data_dir: Path | None, uri: str) -> Iterator[Engine]:
    with report_start_errors(), open_engine(read_settings(data_dir, uri)) as engine:
        yield engine


def _record(engine: Engine, tenant: str, operation: str, customer: str) -> None:
    """Add what a command is about to do to the audit log, as ``/admin/privacy`` does."""
    identity = Identity(SUBJECT, tenant)
    engine.audit_log.record(identity, operation, kind=CUSTOMER_KIND, resource=customer[:256])


@click.group()
def privacy() -> None:
    """Export or erase the personal data of a customer."""


@privacy.command("export")
@_customer_argument
@_tenant_option
@_out_option
@_database_options
def privacy_export(
    customer: str, tenant: str, out: Path | None, data_dir: Path | None, uri: str
) -> None:
    """Write everything that is stored about CUSTOMER as JSON."""
    with _open_engine(data_dir, uri) as engine:
        tenant = tenant or engine.settings.default_tenant
        _record(engine, tenant, "exportPersonalData", customer)
        command.export(engine.privacy, tenant, customer, out)


@privacy.command("erase")
@_customer_argument
@_tenant_option
@_out_option
@click.confirmation_option(prompt="The personal data cannot be recovered. Erase it?")
@_database_options
def privacy_erase(
    customer: str, tenant: str, out: Path | None, data_dir: Path | None, uri: str
) -> None:
    """Destroy the key of CUSTOMER, overwrite its names, and print the certificate."""
    with _open_engine(data_dir, uri) as engine:
        tenant = tenant or engine.settings.default_tenant
        _record(engine, tenant, "erasePersonalData", customer)
        command.erase(engine.privacy, tenant, customer, out)


@privacy.command("verify")
@click.argument("certificate", type=click.Path(exists=True, path_type=Path))
@click.option("--key", type=click.Path(exists=True, path_type=Path), help="Public key, PEM.")
@data_dir_option
def privacy_verify(certificate: Path, key: Path | None, data_dir: Path | None) -> None:
    """Check that CERTIFICATE of an erasure is genuine."""
    command.verify(read_settings(data_dir), certificate, key)


@click.group()
def keys() -> None:
    """Manage the keys that encrypt personal data."""


@keys.command("rotate")
@click.option("--data-keys", is_flag=True, help="Also encrypt all personal data with new keys.")
@click.option("--rewrap-only", is_flag=True, help="Use the current master key; make no new one.")
@_database_options
def keys_rotate(data_dir: Path | None, uri: str, *, data_keys: bool, rewrap_only: bool) -> None:
    """Make a new master key and wrap all data keys with it."""
    with _open_engine(data_dir, uri) as engine:
        identity = Identity(SUBJECT, engine.settings.default_tenant)
        engine.audit_log.record(identity, "rotateKeys")
        command.rotate(engine.privacy, data_keys=data_keys, rewrap_only=rewrap_only)
