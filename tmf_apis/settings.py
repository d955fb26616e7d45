"""The configuration: one immutable value, read from ``TMF_*`` environment variables."""

import os
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Self

from tmf_apis import setting_addresses as addresses
from tmf_apis import setting_parsers as parsers

#: Roles in which a related party owns a resource.
OWNER_ROLES = (
    *("customer", "end customer", "wholesale customer", "owner", "legal owner", "holder"),
    *("account holder", "buyer", "payer", "bill payer", "bill receiver", "bill responsible"),
    *("user", "end user", "subscriber", "service subscriber", "consumer", "client", "tenant"),
    *("requester", "requestor", "orderer", "initiator", "originator", "partner", "reseller"),
)


def _setting(  # noqa: PLR0913 - a table of settings
    default: Any,
    help: str,
    unit: str = "",
    *,
    secret: bool = False,
    range: tuple[float, float | None] = (0, None),
    parse: Callable[[str], Any] | None = None,
) -> Any:
    lowest, highest = range
    metadata = {
        "help": help,
        "unit": unit,
        "secret": secret,
        "parse": parse or parsers.default_parser(default, unit, lowest, highest),
    }
    return field(default=default, metadata=metadata)


#: Beginnings of variables that others read: credentials of elements, and the tests.
_FURTHER_VARIABLES = ("TMF_CREDENTIAL_", "TMF_FUZZ_")
#: Longest value that an error message repeats, in characters.
_LONGEST_QUOTE = 100
#: Settings that another setting bounds.
_BOUNDS = {"page_size": "page_limit", "retry_first": "retry_longest"}
#: Headings of the table of settings, by the first setting of each group.
_HEADINGS = {
    "data_dir": "Location",
    "tls_cert": "TLS",
    "mongodb_uri": "Database and Temporal",
    "auth": "Identity",
    "encryption": "Personal data and audit log",
    "header_bytes": "Connections",
    "depth_limit": "Bodies and patches",
    "page_size": "Lists",
    "client_rate": "Rates",
    "processes": "Processes and threads",
    "storage_limit": "Quotas",
    "partial_status": "Behaviour",
    "callback_hosts": "Events and callbacks",
    "element_networks": "Elements",
    "fulfilment_patience": "Fulfilment",
    "discovery_interval": "Discovery, audit and capacity",
    "metrics_host": "Metrics and log",
}


def _quoted(text: str) -> str:
    """Return a value in quotes, without the middle of a long one."""
    quoted = repr(text)
    return quoted if len(quoted) <= _LONGEST_QUOTE else f"{quoted[:_LONGEST_QUOTE]}...'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of a process; it does not change after startup."""

    # Location
    data_dir: Path = _setting(
        Path("data"), "Directory of the embedded database and of files", parse=parsers.directory
    )
    public_url: str = _setting(
        "", "URL that clients use for this server; empty: the Host header", parse=addresses.url
    )

    # TLS
    tls_cert: str = _setting(
        "", "File of the TLS certificate and its chain (PEM); empty: no TLS", parse=parsers.path
    )
    tls_key: str = _setting(
        "", "File of its private key (PEM); empty: in the same file", parse=parsers.path
    )
    tls_client_ca: str = _setting(
        "",
        "File of the authorities of client certificates (PEM); empty: none are requested",
        parse=parsers.path,
    )
    tls_client_auth: str = _setting(
        "optional",
        "Whether a client must send a certificate: optional or required",
        parse=parsers.one_of("optional", "required"),
    )
    tls_hsts: int = _setting(
        31_536_000,
        "How long browsers use https only (Strict-Transport-Security); 0: not sent",
        "seconds",
    )

    # Database and Temporal
    mongodb_uri: str = _setting(
        "",
        "The operator's replica set; empty: embedded mongod",
        secret=True,
        parse=addresses.mongodb_uri,
    )
    mongodb_database: str = _setting("tmf", "Database name", parse=parsers.database_name)
    mongodb_cache: int = _setting(256, "Cache of the embedded mongod", "MiB", range=(0, 10_000_000))
    mongodb_timeout: float = _setting(
        5.0, "Time limit for the database to answer", "seconds", range=(0.01, 86_400)
    )
    query_time: int = _setting(
        5000, "Time limit of one query in the database", "milliseconds", range=(1, 86_400_000)
    )
    temporal_address: str = _setting(
        "", "The operator's Temporal; empty: the embedded server", parse=addresses.temporal_address
    )
    temporal_isolation: str = _setting(
        "auto",
        "Network namespace of the embedded Temporal: on, off, or auto: if the system permits it",
        parse=parsers.one_of("auto", "on", "off"),
    )
    temporal_namespace: str = _setting("default", "Temporal namespace", parse=parsers.namespace)

    # Identity
    auth: str = _setting(
        "auto",
        "on, off, or auto: off only while listening on loopback",
        parse=parsers.one_of("auto", "on", "off"),
    )
    jwks: str = _setting(
        "", "File or https URL of the keys that sign tokens (JWKS)", parse=addresses.source
    )
    jwks_refresh: float = _setting(
        300.0,
        "Age at which the keys are read again; a key that has been removed is refused then",
        "seconds",
        range=(1, None),
    )
    jwks_outage: float = _setting(
        12.0,
        "How long the last keys and revocations are used while their source cannot be read",
        "hours",
    )
    issuer: str = _setting("", "Required issuer (iss) of tokens; empty: any")
    audience: str = _setting("", "Required audience (aud) of tokens; empty: any")
    clock_skew: float = _setting(30.0, "Tolerance for token times", "seconds", range=(0, 86_400))
    revocation_list: str = _setting(
        "",
        "File or https URL of the list of revoked tokens (JSON); empty: none",
        parse=addresses.source,
    )
    revocation_refresh: float = _setting(
        60.0,
        "Age at which the revocation list is read again",
        "seconds",
        range=(1, None),
    )
    introspection_url: str = _setting(
        "",
        "Endpoint that checks opaque tokens (RFC 7662), and all tokens without TMF_JWKS; empty:"
        " none",
        parse=addresses.endpoint,
    )
    introspection_client: str = _setting("", "Client id of this server at that endpoint")
    introspection_secret: str = _setting("", "Client secret for that endpoint", secret=True)
    introspection_cache: float = _setting(
        60.0, "Longest time for which the answer of that endpoint is used", "seconds"
    )
    owner_roles: tuple[str, ...] = _setting(
        OWNER_ROLES, "Roles in which a related party owns a resource; so does one without"
    )
    default_tenant: str = _setting(
        "default", "Tenant of tokens without one, and without auth", parse=parsers.name
    )

    # Personal data and audit log
    encryption: bool = _setting(default=True, help="Encrypt personal attributes in the database")
    master_key: str = _setting(
        "",
        "Master keys in base64, the current one first; empty: from the file",
        secret=True,
        parse=parsers.master_keys,
    )
    master_key_file: str = _setting(
        "",
        "File of the master keys; empty: keys/master.key in TMF_DATA_DIR, generated once",
        parse=parsers.path,
    )
    key_provider: str = _setting(
        "local", "Provider of the master keys: local, or a plug-in", parse=parsers.key_provider
    )
    pii_attributes: tuple[str, ...] = _setting(
        (),
        "Further personal attributes, as note.text; with - in front: attributes that are not",
        parse=parsers.attribute_rules,
    )
    pii_characteristics: tuple[str, ...] = _setting(
        (), "Further characteristics that are personal; with - in front: that are not"
    )
    pii_names: bool = _setting(
        default=False, help="Names of customers and parties are personal, too"
    )
    retention: tuple[tuple[str, float], ...] = _setting(
        (),
        "Days after the end of a resource that its personal data is kept: ProductOrder=730,...",
        parse=parsers.retention_periods,
    )
    audit_key_file: str = _setting(
        "",
        "File of the key (PEM, Ed25519) that signs the audit log; empty: keys/audit-log.pem in"
        " TMF_DATA_DIR, generated once",
        parse=parsers.existing_file,
    )
    audit_log_days: float = _setting(
        400.0, "How long entries of the audit log are kept; 0: forever", "days"
    )

    # Connections
    header_bytes: int = _setting(
        16_384, "Largest head of a request (URI and headers)", "bytes", range=(256, None)
    )
    header_count: int = _setting(100, "Most headers of a request", "headers", range=(1, None))
    header_seconds: float = _setting(
        10.0, "Time limit for the head of a request", "seconds", range=(0.01, 86_400)
    )
    uri_limit: int = _setting(8192, "Longest path and query", "bytes", range=(1, None))
    body_limit: int = _setting(1_048_576, "Largest request body", "bytes", range=(1, None))
    body_seconds: float = _setting(
        30.0, "Time limit for the body of a request", "seconds", range=(0.01, 86_400)
    )
    stall_seconds: float = _setting(
        30.0,
        "How long a client can accept no more of its response",
        "seconds",
        range=(0.01, 86_400),
    )
    connection_limit: int = _setting(1000, "Most open connections; 0: any number", "connections")
    address_connections: int = _setting(
        256, "Most open connections of one address; 0: any number", "connections"
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        "Networks (CIDR) of proxies whose X-Forwarded-For names the client; empty: none",
        parse=addresses.networks,
    )

    # Bodies and patches
    depth_limit: int = _setting(32, "Deepest nesting of a body", "levels", range=(1, 1000))
    value_limit: int = _setting(
        100_000, "Most values in a body and in a patched resource", "values", range=(1, None)
    )
    array_limit: int = _setting(1000, "Longest array in a body", "items", range=(1, None))
    text_limit: int = _setting(
        65_536, "Longest text in a body, embedded files excepted", "characters", range=(1, None)
    )
    name_limit: int = _setting(1024, "Longest name or id in a body", "characters", range=(1, None))
    bulk_seconds: float = _setting(
        10.0,
        "Time after which no further operation of a patch of a collection is started; 0: none",
        "seconds",
    )
    resource_limit: int = _setting(4_194_304, "Largest stored resource", "bytes", range=(1, None))
    expand_limit: int = _setting(
        500, "Most references that the directive expand replaces in one answer", "references"
    )
    reference_limit: int = _setting(
        1000, "Most references to other resources in one body of a party", "references"
    )
    patch_limit: int = _setting(100, "Most operations in one patch", "operations", range=(1, None))
    patch_work: int = _setting(
        500_000,
        "Most work of one patch; a copied value counts ten times",
        "values",
        range=(1, None),
    )

    # Lists
    page_size: int = _setting(100, "Resources in one response by default", range=(1, None))
    page_limit: int = _setting(1000, "Most resources in one response", "resources", range=(1, None))
    page_bytes: int = _setting(
        67_108_864,
        "Most bytes that one list reads from the database, to the next 16 MiB; 0: any number",
        "bytes",
    )
    offset_limit: int = _setting(100_000, "Largest offset; deeper pages go by cursor")
    spool_limit: int = _setting(
        1_073_741_824, "Most bytes of large responses in temporary files", "bytes"
    )
    filter_values: int = _setting(100, "Most values in one filter", "values", range=(1, None))
    regex_limit: int = _setting(256, "Longest regular expression", "characters")
    jsonpath_limit: int = _setting(512, "Longest JSONPath filter", "characters")
    jsonpath_segments: int = _setting(8, "Most segments in a JSONPath filter", "segments")

    # Rates
    client_rate: float = _setting(
        1000.0, "Requests of one client (token subject); 0: any number", "per second"
    )
    client_burst: int = _setting(
        10_000,
        "Requests of one client at once, after a pause",
        "requests",
        range=(1, None),
    )
    client_concurrency: int = _setting(
        200, "Requests of one client at a time; 0: any number", "requests"
    )
    tenant_rate: float = _setting(2000.0, "Requests of one tenant; 0: any number", "per second")
    tenant_burst: int = _setting(
        20_000,
        "Requests of one tenant at once, after a pause",
        "requests",
        range=(1, None),
    )
    tenant_concurrency: int = _setting(
        500, "Requests of one tenant at a time; 0: any number", "requests"
    )
    address_rate: float = _setting(
        50.0, "Requests of one address without a valid token; 0: any number", "per second"
    )
    address_burst: int = _setting(
        1000,
        "Requests of one address without a valid token at once, after a pause",
        "requests",
        range=(1, None),
    )

    # Processes and threads
    processes: int = _setting(
        1,
        "Processes that answer requests, on one port; each uses one core",
        "processes",
        range=(1, 1000),
    )
    workers: int = _setting(
        1,
        "Workers of one server, for events, orders and alarms; 0: none",
        "processes",
        range=(0, 1000),
    )
    threads: int = _setting(
        16, "Most concurrent requests of one process", "threads", range=(1, 10_000)
    )
    contended_threads: int = _setting(
        1,
        "Most threads of one tenant while another one sends requests",
        "threads",
        range=(1, 10_000),
    )
    search_threads: int = _setting(
        8,
        "Most threads that filter and sort lists at a time",
        "threads",
        range=(1, 10_000),
    )
    queue_seconds: float = _setting(30.0, "Longest wait for a thread", "seconds")

    # Quotas
    storage_limit: int = _setting(
        107_374_182_400, "Most stored JSON of one tenant; 0: any size", "bytes"
    )
    order_limit: int = _setting(
        1_000_000, "Most orders of one tenant in a day (UTC); 0: any number", "orders"
    )
    client_order_limit: int = _setting(
        100_000, "Most orders of one client in a day (UTC); 0: any number", "orders"
    )
    hub_limit: int = _setting(100, "Most hub subscriptions of one tenant", "subscriptions")
    client_hub_limit: int = _setting(
        50, "Most hub subscriptions of one party; 0: any number", "subscriptions"
    )
    hub_backlog: int = _setting(
        100_000,
        "Most pending events of one subscription; older ones are parked",
        "events",
        range=(1, None),
    )
    job_limit: int = _setting(
        1000, "Most unfinished jobs and tasks of a kind of one tenant; 0: any number", "jobs"
    )
    client_job_limit: int = _setting(
        100, "Most unfinished jobs and tasks of a kind of one party; 0: any number", "jobs"
    )
    job_bytes: int = _setting(1_073_741_824, "Largest file of an import or export job", "bytes")
    job_area_bytes: int = _setting(
        10_737_418_240, "Most bytes of the job files of staff, and of each party", "bytes"
    )
    job_area_files: int = _setting(
        10_000, "Most job files and folders of staff, and of each party", "files"
    )
    job_seconds: float = _setting(
        3600.0, "Time limit of an import or export job", "seconds", range=(1, None)
    )

    # Behaviour
    partial_status: int = _setting(
        206, "Status of a partial list: 206 or 200", parse=parsers.partial_status
    )
    handling: str = _setting(
        "lenient",
        "Unknown attributes of bodies and fields: lenient (stored, with a Warning) or strict (400)",
        parse=parsers.one_of("lenient", "strict"),
    )
    unknown_filters: bool = _setting(
        default=False, help="Accept filters on attributes that the contract does not have"
    )
    required_attributes: str = _setting(
        "contract",
        "Mandatory attributes of a create or hub: contract (all that the contract requires); filled"
        " (those that the server knows, such as @type and lastUpdate, are added)",
        parse=parsers.one_of("contract", "filled"),
    )
    check_references: bool = _setting(
        default=False, help="Refuse an order for an offering that is not in the catalogue"
    )
    launch_unfulfillable: bool = _setting(
        default=False, help="Launch an offering that cannot be fulfilled, with a warning in the log"
    )
    unique_customers: bool = _setting(
        default=False, help="Refuse a second customer with the same engaged party"
    )
    idempotency_hours: float = _setting(24.0, "How long an Idempotency-Key is remembered", "hours")

    # Events and callbacks
    callback_hosts: tuple[str, ...] = _setting(
        (),
        "Hosts that callbacks and job URLs may name; empty: any public one",
        parse=addresses.hosts,
    )
    callback_ports: tuple[int, ...] = _setting(
        (),
        "Ports of other services, such as 22 or 5432, that callbacks and job URLs may name",
        parse=addresses.ports,
    )
    callback_loopback: bool = _setting(
        default=False, help="Allow loopback callbacks and job URLs (always so without auth)"
    )
    own_addresses: tuple[str, ...] = _setting(
        (),
        "Further addresses of this server (host:port), to which callbacks must not lead, beside"
        " TMF_PUBLIC_URL and the address on which it listens",
        parse=addresses.endpoints,
    )
    callback_timeout: float = _setting(
        10.0, "Time limit of one delivery to a subscriber", "seconds", range=(0.01, 86_400)
    )
    retry_first: float = _setting(
        1.0, "Pause before the first retry of an event", "seconds", range=(0.01, None)
    )
    retry_longest: float = _setting(
        3600.0, "Longest pause between two retries", "seconds", range=(0.01, None)
    )
    retry_days: float = _setting(3.0, "Age at which an undelivered event is parked", "days")
    delivery_hours: float = _setting(24.0, "How long a delivered event can be replayed", "hours")
    parked_days: float = _setting(30.0, "How long a parked event can be replayed", "days")
    relay_interval: float = _setting(
        1.0, "Poll interval of the outbox", "seconds", range=(0.01, None)
    )
    hub_secret: str = _setting("", "Key of event signatures; empty: generated once", secret=True)

    # Elements
    element_networks: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        "Networks (CIDR) in which elements may be; empty: those of discovery or, if it has none,"
        " all except loopback and special addresses; without authentication, all",
        parse=addresses.networks,
    )
    discovery_networks: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        "Networks (CIDR) that discovery through the API can scan; empty: none, but any without"
        " authentication",
        parse=addresses.networks,
    )
    credentials_file: str = _setting(
        "", "JSON file of named element credentials", parse=parsers.existing_file
    )
    profiles_dir: str = _setting(
        "", "Folder of profiles of SNMP elements (JSON)", parse=parsers.existing_directory
    )
    trap_host: str = _setting(
        "127.0.0.1", "Address to listen on for SNMP notifications", parse=addresses.host
    )
    trap_port: int = _setting(
        0, "UDP port for SNMP notifications; 0: a free one", range=(0, 65_535)
    )
    trap_relays: tuple[IPv4Network | IPv6Network, ...] = _setting(
        (),
        "Networks (CIDR) of relays that may name the address of an element in the SNMP"
        " notifications that they forward; empty: none",
        parse=addresses.networks,
    )
    trap_bytes: int = _setting(16_384, "Largest SNMP notification", "bytes", range=(484, 65_535))
    trap_rate: float = _setting(
        1000.0,
        "Most SNMP notifications of one address, on average over ten seconds; 0: any number",
        "per second",
    )

    # Fulfilment
    fulfilment_patience: float = _setting(
        900.0, "How long fulfilment retries an element that is unreachable", "seconds"
    )
    fulfilment_fallout: tuple[str, ...] = _setting(
        ("unreachable", "misconfigured", "undo"),
        "Failures that a person resolves instead of failing the item: unreachable, misconfigured,"
        " rejected, conflict, notVerified, undo (failed compensation)",
        parse=parsers.fallout_kinds,
    )
    fulfilment_confirm: float = _setting(
        60.0,
        "Time after which an element rolls back an unconfirmed change",
        "seconds",
        range=(1, None),
    )
    reservation_time: float = _setting(
        3600.0, "Lifetime of a reservation that is not renewed", "seconds", range=(1, None)
    )

    # Discovery, audit and capacity
    discovery_interval: float = _setting(
        0.0, "Pause between two discoveries of all known elements; 0: none", "seconds"
    )
    audit_interval: float = _setting(
        0.0, "Pause between two audits of all elements; 0: none", "seconds"
    )
    audit_remedy: str = _setting(
        "none",
        "Remedy of periodic audits for differences: none, correctNetwork, acceptIntoInventory or"
        " openTask",
        parse=parsers.one_of("none", "correctNetwork", "acceptIntoInventory", "openTask"),
    )
    capacity_interval: float = _setting(
        300.0, "Pause between two readings of the counters of all elements; 0: none", "seconds"
    )
    capacity_threshold: float = _setting(
        0.8,
        "Utilisation at which a capacity alarm is raised; 1 is full, 0: no alarms",
        range=(0, 1),
    )
    capacity_notice: float = _setting(
        30.0, "How long before exhaustion a capacity alarm is raised", "days"
    )

    # Metrics and log
    metrics_host: str = _setting(
        "127.0.0.1", "Address of the port for metrics", parse=addresses.host
    )
    metrics_port: int = _setting(
        0,
        "Port for /metrics without a token; 0: only on the port of the APIs, with a token",
        range=(0, 65_535),
    )
    log_level: str = _setting("INFO", "Lowest level of logged messages", parse=parsers.log_level)
    access_log: str = _setting(
        "on", "Log each request on standard error: on or off", parse=parsers.one_of("on", "off")
    )
    otlp_endpoint: str = _setting(
        "",
        "URL of an OpenTelemetry collector for traces (OTLP over HTTP), such as"
        " http://127.0.0.1:4318; empty: OTEL_EXPORTER_OTLP_ENDPOINT, or no traces",
        secret=True,
        parse=addresses.collector,
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; those that are not set have their defaults.

        Raises:
            ValueError: A value is invalid; the message names the variable.
        """
        values = {}
        for setting in fields(cls):
            variable = f"TMF_{setting.name.upper()}"
            if (text := environment.get(variable)) is None:
                continue
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                displayed = "(secret)" if setting.metadata["secret"] else _quoted(text)
                raise ValueError(f"{variable}={displayed}: {error}") from None
        settings = cls(**values)
        settings._check_pairs(values)
        return settings

    def _check_pairs(self, given: Container[str]) -> None:
        """Check the settings that were given against those that bound them.

        Raises:
            ValueError: One is above its bound; the message names both variables.
        """
        for name, bound in _BOUNDS.items():
            value, largest = getattr(self, name), getattr(self, bound)
            if name in given and value > largest:
                raise ValueError(
                    f"TMF_{name.upper()}={value}: expected at most"
                    f" TMF_{bound.upper()}, which is {largest}"
                )

    @classmethod
    def unknown_variables(cls, environment: Mapping[str, str] = os.environ) -> list[str]:
        """Return a sentence on each variable that looks like a setting and is none."""
        names = [f"TMF_{setting.name.upper()}" for setting in fields(cls)]
        sentences = []
        for variable in sorted(environment):
            upper = variable.upper()
            if not upper.startswith("TMF_") or variable.startswith(_FURTHER_VARIABLES):
                continue
            if variable not in names:
                near = get_close_matches(upper, names, 1)
                hint = f"did you mean {near[0]}?" if near else "`tmf settings` lists all"
                sentences.append(f"{variable} is not a setting; {hint}")
        return sentences

    @property
    def is_authentication_required(self) -> bool:
        """Return whether requests need a token; with ``auto``, assume so until listening."""
        return self.auth != "off"

    def table(self) -> list[tuple[str, str, str]]:
        """Return variable, value with unit (secrets masked) and description of each setting."""
        return [row for rows in self.grouped_table().values() for row in rows]

    def grouped_table(self) -> dict[str, list[tuple[str, str, str]]]:
        """Return the rows of the table by the heading of their group."""
        groups: dict[str, list[tuple[str, str, str]]] = {}
        heading = ""
        for setting in fields(self):
            heading = _HEADINGS.get(setting.name, heading)
            value = getattr(self, setting.name)
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            if setting.metadata["secret"] and text:
                text = "********"
            unit = setting.metadata["unit"]
            row = (
                f"TMF_{setting.name.upper()}",
                f"{text} {unit}".strip(),
                setting.metadata["help"],
            )
            groups.setdefault(heading, []).append(row)
        return groups
