"""SNMP credentials as pysnmp's ``authData``."""

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_SHA,
    USM_AUTH_HMAC192_SHA256,
    USM_AUTH_NONE,
    USM_PRIV_CFB128_AES,
    USM_PRIV_NONE,
    CommunityData,
    UsmUserData,
)

from adapters.credentials import Secret
from adapters.errors import Misconfigured

AUTH_PROTOCOLS = {"SHA": USM_AUTH_HMAC96_SHA, "SHA-256": USM_AUTH_HMAC192_SHA256}
PRIV_PROTOCOLS = {"AES": USM_PRIV_CFB128_AES}


def auth_data(secret: Secret, element: str) -> object:
    """Return the credentials of a secret, which has a ``community`` (v2c) or a ``user`` (v3).

    Keys for v3: user, auth ("SHA" or "SHA-256"), auth_password, priv ("AES"), priv_password.

    Raises:
        Misconfigured: The secret has neither, or its values are not usable.
    """
    if community := secret.get("community"):
        return CommunityData(community, mpModel=1)  # noqa: S508 - the operator chose it
    if not (user := secret.get("user")):
        raise Misconfigured(element, "SNMP credentials need a community or a user")
    try:
        return UsmUserData(
            user,
            secret.get("auth_password"),
            secret.get("priv_password"),
            authProtocol=AUTH_PROTOCOLS[secret.get("auth", "SHA")]
            if "auth_password" in secret
            else USM_AUTH_NONE,
            privProtocol=PRIV_PROTOCOLS[secret.get("priv", "AES")]
            if "priv_password" in secret
            else USM_PRIV_NONE,
        )
    except (KeyError, PySnmpError) as error:
        raise Misconfigured(element, f"SNMP credentials are not usable: {error}") from None
