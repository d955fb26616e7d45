"""The subscribers of an HLR: read, and one attribute changed at a time."""

from collections.abc import Mapping

from adapters.credentials import Secret
from adapters.errors import Misconfigured, Rejected
from adapters.osmo_hlr import subscriber
from adapters.osmo_hlr.ctrl import Ctrl, Refused
from adapters.osmo_hlr.gsup import Probe
from adapters.osmo_hlr.keys import Keys, keys_of
from adapters.osmo_hlr.vty import Vty
from adapters.planning import State
from adapters.values import Step, Target

CTRL_PORT, VTY_PORT, GSUP_PORT = 4259, 4258, 4222
OPTIONS = frozenset({"vty", "gsup", "timeout"})
UNKNOWN = "No such subscriber."
EXISTS = "Subscriber already exists."
GONE = "Subscriber doesn't exist."
VARIABLES = {
    "circuitSwitched": "cs-enabled",
    "packetSwitched": "ps-enabled",
    "msisdn": "msisdn",
}


class Register:
    """The subscribers of one HLR.

    Attributes:
        endpoint: Host and port of the control interface.
        vty: The command line.
        can_be_asked: Whether we may ask as a serving node does.

    Raises:
        ValueError: An option or the address is not usable.
        Misconfigured: There is no such option.
    """

    def __init__(self, target: Target, secret: Secret) -> None:
        if unknown := sorted(set(target.options) - OPTIONS):
            raise Misconfigured(target.name, f"no such option: {', '.join(unknown)}")
        self._name, self._secret = target.name, secret
        self._keys: dict[str, Keys | None] = {}
        self._timeout = float(target.options.get("timeout", 2))
        self.endpoint = target.endpoint(CTRL_PORT)
        self.can_be_asked = target.options.get("gsup") != "none"
        self._gsup = self._beside(target, "gsup", GSUP_PORT) if self.can_be_asked else ("", 0)
        self._ctrl = Ctrl(self.endpoint, self._timeout)
        vty = self._beside(target, "vty", VTY_PORT)
        self.vty = Vty(vty, self._timeout, secret.get("vty", ""))

    def _beside(self, target: Target, option: str, default: int) -> tuple[str, int]:
        text = target.options.get(option, str(default))
        if text.isdecimal():
            return self.endpoint[0], int(text)
        return Target(target.name, text).endpoint(default)

    async def close(self) -> None:
        """Close the connections."""
        await self._ctrl.close()
        await self.vty.close()

    def keys(self, imsi: str) -> Keys | None:
        """Return the keys that the credentials have for a subscriber, if any."""
        if imsi not in self._keys:
            self._keys[imsi] = keys_of(imsi, self._secret, self._name)
        return self._keys[imsi]

    def probe(self, imsi: str) -> Probe:
        """Return a serving node that asks for a subscriber."""
        return Probe(self._gsup, self._timeout, imsi)

    async def seen(self, imsi: str) -> Mapping[str, str] | None:
        """Return what the HLR shows of a subscriber, its keys included; None: it has none such."""
        if not subscriber.IMSI.fullmatch(imsi):
            return None
        try:
            said = await self._ctrl.get(f"subscriber.by-imsi-{imsi}.info-all")
        except Refused as error:
            if str(error) == UNKNOWN:
                return None
            raise Rejected(self._name, f"subscriber {imsi}: {error}", path=imsi) from error
        return subscriber.shown(said)

    async def state(self, imsi: str) -> State:
        """Return the attributes of a subscriber."""
        return subscriber.state(await self.seen(imsi), self.keys(imsi))

    async def owner(self, msisdn: str) -> str:
        """Return the IMSI of the subscriber that has a number; empty: none has."""
        if not msisdn:
            return ""
        try:
            said = await self._ctrl.get(f"subscriber.by-msisdn-{msisdn}.info")
        except Refused:
            return ""
        return subscriber.shown(said).get("imsi", "")

    async def take(self, step: Step, current: State) -> State:
        """Do a step unless it is done, and return how the subscriber is then.

        Raises:
            Rejected: The HLR refuses it.
            Broken: No answer; whether it was done is not known.
        """
        if current[step.attribute] == step.after:
            return current
        if step.attribute == "keys":
            await self._write_keys(step)
        else:
            await self._set(step)
        if step.attribute == "subscriber":
            return await self.state(step.port)
        return {**current, step.attribute: step.after}

    async def _set(self, step: Step) -> None:
        if step.attribute == "subscriber":
            deed, fine = ("create", EXISTS) if step.after else ("delete", GONE)
            variable, value = f"subscriber.{deed}", step.port
        else:
            fine = ""
            variable = f"subscriber.by-imsi-{step.port}.{VARIABLES[step.attribute]}"
            value = str(int(step.after)) if isinstance(step.after, bool) else str(step.after)
        try:
            await self._ctrl.set(variable, value or "none")
        except Refused as error:
            if str(error) == fine:
                return
            path = f"{step.port} {step.attribute}"
            message = f"{path} = {step.after!r}: {error}"
            raise Rejected(self._name, message, path=path, reason="refused") from error

    async def _write_keys(self, step: Step) -> None:
        """Write the credentials' keys, or wipe those that are there; nothing quotes them."""
        keys = self.keys(step.port)
        if step.after == subscriber.ASKED and keys is not None:
            commands = keys.commands(step.port)
        else:
            begin = f"subscriber imsi {step.port} update"
            commands = [f"{begin} aud2g none", f"{begin} aud3g none"]
        for command in commands:
            if "%" in await self.vty.command(command):
                path = f"{step.port} keys"
                raise Rejected(self._name, f"{path}: refused", path=path, reason="refused")
