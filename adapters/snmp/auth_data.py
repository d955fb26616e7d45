"""SNMP credentials as pysnmp's ``authData``."""

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_MD5,
    USM_AUTH_HMAC96_SHA,
    USM_AUTH_HMAC128_SHA224,
    USM_AUTH_HMAC192_SHA256,
    USM_AUTH_HMAC256_SHA384,
    USM_AUTH_HMAC384_SHA512,
    USM_AUTH_NONE,
    USM_PRIV_CBC56_DES,
    USM_PRIV_CFB128_AES,
    USM_PRIV_CFB192_AES,
    USM_PRIV_CFB192_AES_BLUMENTHAL,
    USM_PRIV_CFB256_AES,
    USM_PRIV_CFB256_AES_BLUMENTHAL,
    USM_PRIV_NONE,
    CommunityData,
    UsmUserData,
)

from adapters.credentials import Secret
from adapters.errors import Misconfigured

AUTH_PROTOCOLS = {
    "SHA": USM_AUTH_HMAC96_SHA,
    "SHA-224": USM_AUTH_HMAC128_SHA224,
    "SHA-256": USM_AUTH_HMAC192_SHA256,
    "SHA-384": USM_AUTH_HMAC256_SHA384,
    "SHA-512": USM_AUTH_HMAC384_SHA512,
    "MD5": USM_AUTH_HMAC96_MD5,
}
PRIV_PROTOCOLS = {
    "AES": USM_PRIV_CFB128_AES,
    "AES-128": USM_PRIV_CFB128_AES,
    "AES-192": USM_PRIV_CFB192_AES_BLUMENTHAL,
    "AES-256": USM_PRIV_CFB256_AES_BLUMENTHAL,
    "AES-192-C": USM_PRIV_CFB192_AES,
    "AES-256-C": USM_PRIV_CFB256_AES,
    "DES": USM_PRIV_CBC56_DES,
}


def auth_data(secret: Secret, element: str) -> object:
    """Return the credentials of a secret, which has a ``community`` (v2c) or a ``user`` (v3).

    Keys for v3: user, auth (one of ``AUTH_PROTOCOLS``), auth_password, priv (one of
    ``PRIV_PROTOCOLS``), priv_password.

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
