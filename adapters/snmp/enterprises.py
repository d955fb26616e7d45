"""Vendors of SNMP agents, by the enterprise number in their sysObjectID.

Source: IANA, Private Enterprise Numbers.
"""

from adapters.snmp.wire.ber import Value, as_text

ENTERPRISES = "1.3.6.1.4.1."
VENDORS = {
    2: "IBM", 9: "Cisco", 11: "HP", 36: "DEC", 42: "Sun Microsystems", 43: "3Com", 45: "Nortel",
    52: "Cabletron", 63: "Apple", 94: "Nokia", 111: "Oracle", 116: "Hitachi", 119: "NEC",
    161: "Motorola", 171: "D-Link", 193: "Ericsson", 207: "Allied Telesis", 211: "Fujitsu",
    232: "HP", 236: "Samsung", 253: "Xerox", 297: "Fuji Xerox", 311: "Microsoft", 318: "APC",
    332: "Digi", 343: "Intel", 367: "Ricoh", 368: "Axis", 388: "Symbol", 476: "Emerson",
    529: "Ascend", 534: "Eaton", 637: "Alcatel", 641: "Lexmark", 664: "ADTRAN", 674: "Dell",
    705: "MGE UPS", 789: "NetApp", 850: "Tripp Lite", 890: "Zyxel", 1248: "Epson",
    1347: "Kyocera", 1588: "Brocade", 1602: "Canon", 1751: "Lucent", 1872: "Alteon",
    1916: "Extreme Networks", 1981: "EMC", 1991: "Foundry", 2001: "Oki", 2011: "Huawei",
    2021: "net-snmp", 2272: "Nortel", 2281: "Ceragon", 2435: "Brother", 2544: "ADVA",
    2606: "Rittal", 2620: "Check Point", 2636: "Juniper Networks", 3224: "NetScreen",
    3320: "BDCOM", 3375: "F5", 3417: "Blue Coat", 3808: "CyberPower", 3902: "ZTE",
    3955: "Linksys", 4413: "Broadcom", 4526: "Netgear", 4881: "Ruijie", 5528: "NetBotz",
    5624: "Enterasys", 5951: "Citrix", 6027: "Force10", 6141: "Ciena", 6321: "Calix",
    6486: "Alcatel-Lucent Enterprise", 6527: "Nokia", 6574: "Synology", 6876: "VMware",
    6889: "Avaya", 7779: "Infoblox", 8072: "net-snmp", 8691: "Moxa", 8741: "SonicWall",
    8886: "Raisecom", 9148: "Acme Packet", 9694: "Arbor Networks", 10002: "Ubiquiti",
    11863: "TP-Link", 12325: "FreeBSD", 12356: "Fortinet", 13742: "Raritan", 14179: "Cisco",
    14525: "Trapeze Networks", 14823: "Aruba", 14988: "MikroTik", 15004: "RuggedCom",
    17163: "Riverbed", 17713: "Cambium Networks", 18248: "Papouch", 19046: "Lenovo",
    22610: "A10 Networks", 24681: "QNAP", 25053: "Ruckus", 25461: "Palo Alto Networks",
    25506: "H3C", 26928: "Aerohive", 29671: "Meraki", 30065: "Arista", 31926: "Siklu",
    33049: "Mellanox", 35265: "Eltex", 39165: "Hikvision", 40310: "Cumulus Networks",
    41112: "Ubiquiti", 41263: "Nutanix", 41916: "Viptela", 43356: "Mimosa Networks",
    47196: "Aruba", 48690: "Teltonika", 52642: "FS",
}  # fmt: skip


def vendor_of(system_object_id: Value) -> str:
    """Return the vendor of an agent by its sysObjectID; empty if the vendor is not known.

    >>> vendor_of("1.3.6.1.4.1.9.1.1208")
    'Cisco'
    """
    text = as_text(system_object_id)
    number = text.removeprefix(ENTERPRISES).partition(".")[0]
    known = text.startswith(ENTERPRISES) and number.isdecimal()
    return VENDORS.get(int(number), "") if known else ""
