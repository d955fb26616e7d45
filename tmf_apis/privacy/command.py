"""``tmf privacy`` and ``tmf keys``: personal data and data keys on the command line."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tmf_apis.audit_log.signing import key_file, load_key, load_public_key
from tmf_apis.errors import TmfError
from tmf_apis.privacy.certificates import is_genuine
from tmf_apis.privacy.service import Privacy
from tmf_apis.security import private_files
from tmf_apis.security.master_keys import KeyUnavailable
from tmf_apis.settings import Settings


@contextmanager
def report_errors() -> Iterator[None]:
    """End the command with a message if a key is missing or a request is refused."""
    try:
        yield
    except KeyUnavailable as error:
        raise click.ClickException(str(error)) from None
    except TmfError as error:
        raise click.ClickException(error.message or error.reason) from None


def export(privacy: Privacy, tenant: str, customer: str, out: Path | None) -> None:
    """Write everything that is stored about a customer as JSON."""
    with report_errors():
        data = privacy.export(tenant, customer)
    text = json.dumps(data, indent=2, ensure_ascii=False)
    if out is None:
        click.echo(text)
        return
    private_files.replace(out, f"{text}\n".encode())
    click.echo(f"{out}: {sum(map(len, data['resource'].values()))} resources")


def erase(privacy: Privacy, tenant: str, customer: str, out: Path | None) -> None:
    """Erase a customer and write the certificate."""
    with report_errors():
        certificate = privacy.erasure.erase(tenant, customer, "tmf privacy erase")
    text = json.dumps(certificate, indent=2)
    if out is not None:
        out.write_text(text + "\n", "utf-8")
    click.echo(text)


def verify(settings: Settings, certificate: Path, public_key: Path | None) -> None:
    """Check the signature of a certificate; end with status 1 if it is wrong."""
    if public_key is not None:
        try:
            public = load_public_key(public_key)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
    elif key := load_key(key_file(settings)):
        public = key.public
    else:
        raise click.ClickException(f"{key_file(settings)} does not exist; use --key")
    if not is_genuine(json.loads(certificate.read_text("utf-8")), public):
        click.echo(f"{certificate}: the signature is wrong", err=True)
        sys.exit(1)
    click.echo(f"{certificate}: genuine")


def rotate(privacy: Privacy, *, data_keys: bool, rewrap_only: bool) -> None:
    """Change the master key, and the data keys if asked to."""
    with report_errors():
        if rewrap_only:
            click.echo(f"{privacy.rewrap()} data keys wrapped with the current master key")
        else:
            name, count = privacy.rotate_master_key()
            click.echo(f"master key {name} is current; {count} data keys are wrapped with it")
        if data_keys:
            deleted, kept = privacy.replace_data_keys()
            click.echo(f"{deleted} data keys replaced; {kept} are kept until their last use ends")
