"""The privacy functions of one database, composed."""

import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from tmf_apis.audit_log.signing import key_file, load_or_create_key
from tmf_apis.privacy.data_subject import SubjectRepository
from tmf_apis.privacy.erasure import Erasure
from tmf_apis.privacy.export import export_customer
from tmf_apis.privacy.overwriting import Overwriter
from tmf_apis.privacy.retention import Retention
from tmf_apis.rest.pipeline.resealing import Resealer
from tmf_apis.rest.pipeline.sealing import SealingCodec
from tmf_apis.rest.pipeline.writer import ResourceWriter
from tmf_apis.security.personal_attributes import PersonalAttributes
from tmf_apis.settings import Settings
from tmf_apis.store.connection import MongoDatabase
from tmf_apis.store.data_keys import MAX_AGE

#: Pause after which every process uses new keys, in seconds.
_KEY_CHANGE_PAUSE = MAX_AGE * 2
#: Most attempts to replace retired keys, while other processes still write with them.
_ATTEMPTS = 5


class Privacy:
    """Export, erasure, retention and keys.

    Attributes:
        erasure: Erases customers.
        retention: Overwrites personal data whose time is over.
        resealer: Seals documents of earlier releases and settings.
    """

    def __init__(
        self,
        settings: Settings,
        database: MongoDatabase,
        writer: ResourceWriter,
        codec: SealingCodec,
        kinds: Iterable[str],
    ) -> None:
        """Compose the functions.

        Args:
            settings: The configuration.
            database: The database.
            writer: The write pipeline.
            codec: Seals and opens documents.
            kinds: All kinds.
        """
        kinds = list(kinds)
        with_names = PersonalAttributes(
            settings.pii_attributes, settings.pii_characteristics, with_names=True
        )
        overwriter = Overwriter(codec.table, with_names)
        self._kind_registry = writer.kinds
        self._subjects = SubjectRepository(writer.resources, kinds, codec.table)
        self._keys = codec.keys
        self._key_file = key_file(settings)
        self.resealer = Resealer(database, codec, kinds)
        self.retention = Retention(database, writer, overwriter, dict(settings.retention))
        self.erasure = Erasure(
            database, writer, codec.keys, self._subjects, overwriter,
            partial(load_or_create_key, self._key_file),
        )  # fmt: skip

    def export(self, tenant: str, customer: str, base_url: str = "") -> Mapping[str, Any]:
        """Return everything that is stored about a customer.

        Raises:
            NotFound: There is no such customer (HTTP 404).
        """
        subject = self._subjects.get(tenant, customer)
        return export_customer(self._subjects, self._kind_registry, subject, base_url)

    def rotate_master_key(self) -> tuple[str, int]:
        """Make a new master key; return its name and the number of data keys that it wraps now.

        Raises:
            KeyUnavailable: The provider cannot make a key.
        """
        name = self._keys.provider.rotate()
        return name, self._keys.rewrap()

    def rewrap(self) -> int:
        """Wrap all data keys with the current master key; return the number of changed ones."""
        return self._keys.rewrap()

    def replace_data_keys(self) -> tuple[int, int]:
        """Encrypt everything with new data keys.

        Returns:
            The numbers of deleted keys and of keys that are kept until their last use expires.
        """
        self._keys.retire_all()
        retired = self._keys.retired_ids()
        in_use = set(retired)
        for _ in range(_ATTEMPTS):
            time.sleep(_KEY_CHANGE_PAUSE)
            in_use = self.resealer.replace_keys(retired)
            if not in_use:
                break
        return self._keys.delete_retired(retired - in_use), len(in_use)
