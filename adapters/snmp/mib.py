"""Object identifiers of the standard MIBs, with their names in the standard."""

# RFC 3418 SNMPv2-MIB
SYS_DESCR = "1.3.6.1.2.1.1.1.0"
SYS_OBJECT_ID = "1.3.6.1.2.1.1.2.0"
SYS_UP_TIME = "1.3.6.1.2.1.1.3.0"
SYS_CONTACT = "1.3.6.1.2.1.1.4.0"
SYS_NAME = "1.3.6.1.2.1.1.5.0"
SYS_LOCATION = "1.3.6.1.2.1.1.6.0"
SNMP_TRAP_OID = "1.3.6.1.6.3.1.1.4.1.0"

# RFC 3411 SNMP-FRAMEWORK-MIB
SNMP_ENGINE_BOOTS = "1.3.6.1.6.3.10.2.1.2.0"

# RFC 2863 IF-MIB
IF_NUMBER = "1.3.6.1.2.1.2.1.0"
IF_INDEX = "1.3.6.1.2.1.2.2.1.1"
IF_DESCR = "1.3.6.1.2.1.2.2.1.2"
IF_SPEED = "1.3.6.1.2.1.2.2.1.5"
IF_PHYS_ADDRESS = "1.3.6.1.2.1.2.2.1.6"
IF_ADMIN_STATUS = "1.3.6.1.2.1.2.2.1.7"
IF_OPER_STATUS = "1.3.6.1.2.1.2.2.1.8"
IF_LAST_CHANGE = "1.3.6.1.2.1.2.2.1.9"
IF_IN_OCTETS = "1.3.6.1.2.1.2.2.1.10"
IF_IN_DISCARDS = "1.3.6.1.2.1.2.2.1.13"
IF_IN_ERRORS = "1.3.6.1.2.1.2.2.1.14"
IF_OUT_OCTETS = "1.3.6.1.2.1.2.2.1.16"
IF_OUT_DISCARDS = "1.3.6.1.2.1.2.2.1.19"
IF_OUT_ERRORS = "1.3.6.1.2.1.2.2.1.20"
IF_NAME = "1.3.6.1.2.1.31.1.1.1.1"
IF_HC_IN_OCTETS = "1.3.6.1.2.1.31.1.1.1.6"
IF_HC_OUT_OCTETS = "1.3.6.1.2.1.31.1.1.1.10"
IF_HIGH_SPEED = "1.3.6.1.2.1.31.1.1.1.15"
IF_ALIAS = "1.3.6.1.2.1.31.1.1.1.18"
IF_COUNTER_DISCONTINUITY_TIME = "1.3.6.1.2.1.31.1.1.1.19"
IF_TYPE = "1.3.6.1.2.1.2.2.1.3"

UP, DOWN = 1, 2  # ifAdminStatus, ifOperStatus
OPER_STATES = {
    1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "notPresent",
    7: "lowerLayerDown",
}  # fmt: skip
SOFTWARE_LOOPBACK = 24  # ifType

# Table of service profiles of the lab's gateways, indexed by ifIndex (adapters/lab/agent.py)
SVC = "1.3.6.1.4.1.64999.1.1.1"
SVC_IF_NAME = f"{SVC}.1"
SVC_DOWN_KBPS = f"{SVC}.2"
SVC_UP_KBPS = f"{SVC}.3"
SVC_TX_BYTES = f"{SVC}.4"
SVC_TX_DROPS = f"{SVC}.5"

# RFC 6933 ENTITY-MIB
ENT_DESCR = "1.3.6.1.2.1.47.1.1.1.1.2"
ENT_CONTAINED_IN = "1.3.6.1.2.1.47.1.1.1.1.4"
ENT_CLASS = "1.3.6.1.2.1.47.1.1.1.1.5"
ENT_PARENT_REL_POS = "1.3.6.1.2.1.47.1.1.1.1.6"
ENT_NAME = "1.3.6.1.2.1.47.1.1.1.1.7"
ENT_FIRMWARE_REV = "1.3.6.1.2.1.47.1.1.1.1.9"
ENT_SOFTWARE_REV = "1.3.6.1.2.1.47.1.1.1.1.10"
ENT_SERIAL_NUM = "1.3.6.1.2.1.47.1.1.1.1.11"
ENT_MFG_NAME = "1.3.6.1.2.1.47.1.1.1.1.12"
ENT_MODEL_NAME = "1.3.6.1.2.1.47.1.1.1.1.13"

# RFC 4293 IP-MIB, and its predecessor in RFC 1213
IP_ADDRESS_IF_INDEX = "1.3.6.1.2.1.4.34.1.3"
IP_ADDRESS_PREFIX = "1.3.6.1.2.1.4.34.1.5"
IP_AD_ENT_IF_INDEX = "1.3.6.1.2.1.4.20.1.2"
IP_AD_ENT_NET_MASK = "1.3.6.1.2.1.4.20.1.3"

# RFC 4188 BRIDGE-MIB
BASE_PORT_IF_INDEX = "1.3.6.1.2.1.17.1.4.1.2"

# IEEE 802.1AB LLDP-MIB
LLDP_LOC_CHASSIS_ID_SUBTYPE = "1.0.8802.1.1.2.1.3.1.0"
LLDP_LOC_CHASSIS_ID = "1.0.8802.1.1.2.1.3.2.0"
LLDP_LOC_PORT_ID_SUBTYPE = "1.0.8802.1.1.2.1.3.7.1.2"
LLDP_LOC_PORT_ID = "1.0.8802.1.1.2.1.3.7.1.3"
LLDP_LOC_PORT_DESC = "1.0.8802.1.1.2.1.3.7.1.4"
LLDP_REM_CHASSIS_ID_SUBTYPE = "1.0.8802.1.1.2.1.4.1.1.4"
LLDP_REM_CHASSIS_ID = "1.0.8802.1.1.2.1.4.1.1.5"
LLDP_REM_PORT_ID_SUBTYPE = "1.0.8802.1.1.2.1.4.1.1.6"
LLDP_REM_PORT_ID = "1.0.8802.1.1.2.1.4.1.1.7"
LLDP_REM_PORT_DESC = "1.0.8802.1.1.2.1.4.1.1.8"
LLDP_REM_SYS_NAME = "1.0.8802.1.1.2.1.4.1.1.9"

#: Names of columns in their MIBs, for people.
NAMES = {
    IF_DESCR: "ifDescr",
    IF_TYPE: "ifType",
    IF_SPEED: "ifSpeed",
    IF_PHYS_ADDRESS: "ifPhysAddress",
    IF_ADMIN_STATUS: "ifAdminStatus",
    IF_OPER_STATUS: "ifOperStatus",
    IF_NAME: "ifName",
    IF_HIGH_SPEED: "ifHighSpeed",
    IF_ALIAS: "ifAlias",
    SYS_NAME: "sysName",
    SYS_DESCR: "sysDescr",
    SYS_OBJECT_ID: "sysObjectID",
    ENT_DESCR: "entPhysicalDescr",
    ENT_CONTAINED_IN: "entPhysicalContainedIn",
    ENT_CLASS: "entPhysicalClass",
    ENT_PARENT_REL_POS: "entPhysicalParentRelPos",
    ENT_NAME: "entPhysicalName",
    ENT_FIRMWARE_REV: "entPhysicalFirmwareRev",
    ENT_SOFTWARE_REV: "entPhysicalSoftwareRev",
    ENT_SERIAL_NUM: "entPhysicalSerialNum",
    ENT_MFG_NAME: "entPhysicalMfgName",
    ENT_MODEL_NAME: "entPhysicalModelName",
    IP_ADDRESS_IF_INDEX: "ipAddressIfIndex",
    IP_ADDRESS_PREFIX: "ipAddressPrefix",
    IP_AD_ENT_IF_INDEX: "ipAdEntIfIndex",
    IP_AD_ENT_NET_MASK: "ipAdEntNetMask",
    BASE_PORT_IF_INDEX: "dot1dBasePortIfIndex",
    LLDP_LOC_CHASSIS_ID: "lldpLocChassisId",
    LLDP_LOC_PORT_ID_SUBTYPE: "lldpLocPortIdSubtype",
    LLDP_LOC_PORT_ID: "lldpLocPortId",
    LLDP_LOC_PORT_DESC: "lldpLocPortDesc",
    LLDP_REM_CHASSIS_ID_SUBTYPE: "lldpRemChassisIdSubtype",
    LLDP_REM_CHASSIS_ID: "lldpRemChassisId",
    LLDP_REM_PORT_ID_SUBTYPE: "lldpRemPortIdSubtype",
    LLDP_REM_PORT_ID: "lldpRemPortId",
    LLDP_REM_PORT_DESC: "lldpRemPortDesc",
    LLDP_REM_SYS_NAME: "lldpRemSysName",
}
