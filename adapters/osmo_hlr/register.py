"""The subscribers of an HLR: reading them, and changing one attribute at a time."""

from collections.abc import Mapping

from adapters.credentials import Secret
from adapters.errors import Rejected
from adapters.options import check_options
from adapters.osmo_hlr import subscriber
from adapters.osmo_hlr.ctrl import CtrlClient, CtrlError
from adapters.osmo_hlr.gsup import ServingNodeProbe
from adapters.osmo_hlr.keys import SimKeys, find_keys
from adapters.osmo_hlr.vty import VtyClient
from adapters.planning import State
from adapters.values import Step, Target

CTRL_PORT, VTY_PORT, GSUP_PORT = 4259, 4258, 4222
OPTIONS = frozenset({"vty", "gsup", "timeout"})
UNKNOWN_REPLY = "No such subscriber."
EXISTS_REPLY = "Subscriber already exists."
DELETED_REPLY = "Subscriber doesn't exist."
VARIABLES = {
    "circuitSwitched": "cs-enabled",
    "packetSwitched": "ps-enabled",
    "msisdn": "msisdn",
}


class SubscriberRegister:
    """The subscribers of one HLR.

    Attributes:
        endpoint: Host and port of the control interface.
        vty: Client of the command line.
        has_gsup: Whether the probe of a serving node can be used.

    Raises:
        ValueError: An option or the address is not usable.
        Misconfigured: An option is not known.
    """

    def __init__(self, target: Target, secret: Secret) -> None:
        check_options(target, OPTIONS)
        self._name, self._secret = target.name, secret
        self._keys: dict[str, SimKeys | None] = {}
        self._timeout = float(target.options.get("timeout", 2))
        self.endpoint = target.endpoint(CTRL_PORT)
        self.has_gsup = target.options.get("gsup") != "none"
        self._gsup_endpoint = (
            self._endpoint_option(target, "gsup", GSUP_PORT) if self.has_gsup else ("", 0)
        )
        self._ctrl = CtrlClient(self.endpoint, self._timeout)
        vty = self._endpoint_option(target, "vty", VTY_PORT)
        self.vty = VtyClient(vty, self._timeout, secret.get("vty", ""))

    def _endpoint_option(self, target: Target, option: str, default: int) -> tuple[str, int]:
        text = target.options.get(option, str(default))
        if text.isdecimal():
            return self.endpoint[0], int(text)
        return Target(target.name, text).endpoint(default)

    async def close(self) -> None:
        """Close the connections."""
        await self._ctrl.close()
        await self.vty.close()

    def keys(self, imsi: str) -> SimKeys | None:
        """Return the keys of a subscriber in the credentials, or None."""
        if imsi not in self._keys:
            self._keys[imsi] = find_keys(imsi, self._secret, self._name)
        return self._keys[imsi]

    def serving_node_probe(self, imsi: str) -> ServingNodeProbe:
        """Return a probe that sends the requests of a serving node for a subscriber."""
        return ServingNodeProbe(self._gsup_endpoint, self._timeout, imsi)

    async def read_attributes(self, imsi: str) -> Mapping[str, str] | None:
        """Return the attributes of a subscriber in the HLR, including keys; None: unknown."""
        if not subscriber.IMSI_PATTERN.fullmatch(imsi):
            return None
        try:
            text = await self._ctrl.get(f"subscriber.by-imsi-{imsi}.info-all")
        except CtrlError as error:
            if str(error) == UNKNOWN_REPLY:
                return None
            raise Rejected(self._name, f"subscriber {imsi}: {error}", path=imsi) from error
        return subscriber.parse_attributes(text)

    async def read_state(self, imsi: str) -> State:
        """Return the state of a subscriber."""
        return subscriber.state(await self.read_attributes(imsi), self.keys(imsi))

    async def find_imsi(self, msisdn: str) -> str:
        """Return the IMSI of the subscriber with an MSISDN; empty if there is none."""
        if not msisdn:
            return ""
        try:
            text = await self._ctrl.get(f"subscriber.by-msisdn-{msisdn}.info")
        except CtrlError:
            return ""
        return subscriber.parse_attributes(text).get("imsi", "")

    async def apply_step(self, step: Step, current: State) -> State:
        """Do a step, unless it is already done, and return the new state of the subscriber.

        Raises:
            Rejected: The HLR refuses the step.
            ConnectionFailed: There is no reply; the step may or may not be done.
        """
        if current[step.attribute] == step.after:
            return current
        if step.attribute == "keys":
            await self._write_keys(step)
        else:
            await self._set_variable(step)
        if step.attribute == "subscriber":
            return await self.read_state(step.port)
        return {**current, step.attribute: step.after}

    async def _set_variable(self, step: Step) -> None:
        if step.attribute == "subscriber":
            command, done_reply = (
                ("create", EXISTS_REPLY) if step.after else ("delete", DELETED_REPLY)
            )
            variable, value = f"subscriber.{command}", step.port
        else:
            done_reply = ""
            variable = f"subscriber.by-imsi-{step.port}.{VARIABLES[step.attribute]}"
            value = str(int(step.after)) if isinstance(step.after, bool) else str(step.after)
        try:
            await self._ctrl.set(variable, value or "none")
        except CtrlError as error:
            if str(error) == done_reply:
                return
            path = f"{step.port} {step.attribute}"
            message = f"{path} = {step.after!r}: {error}"
            raise Rejected(self._name, message, path=path, reason="refused") from error

    async def _write_keys(self, step: Step) -> None:
        """Write the keys of the credentials, or delete the keys; errors do not quote them."""
        keys = self.keys(step.port)
        if step.after == subscriber.CREDENTIAL_KEYS and keys is not None:
            commands = keys.commands(step.port)
        else:
            prefix = f"subscriber imsi {step.port} update"
            commands = [f"{prefix} aud2g none", f"{prefix} aud3g none"]
        for command in commands:
            if "%" in await self.vty.run(command):
                path = f"{step.port} keys"
                raise Rejected(self._name, f"{path}: refused", path=path, reason="refused")
