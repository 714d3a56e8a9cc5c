"""Key files: there, readable by us, by nobody else; the coldkey elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path

from bittensor_core import keyfile_data_is_encrypted

from ranvier.chain import Wallet, WalletError
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, warn


def hotkey(case: Case) -> Finding:
    """The hotkey's file, its mode and its key."""
    settings = case.settings
    try:
        wallet = Wallet(settings.wallet, settings.hotkey, Path(settings.wallets))
        address = str(wallet.load_hotkey().ss58_address)
    except WalletError as error:
        return fail(
            "hotkey", str(error), "name another wallet or hotkey, or make one: `ranvier wallet create`"
        )
    case.wallet, case.hotkey = wallet, address
    loose = _loose(wallet.hotkey_file)
    if loose:
        return fail("hotkey", f"{wallet.hotkey_file} {loose}", f"`chmod 600 {wallet.hotkey_file}`")
    return ok("hotkey", f"{address}, mode 0600")


def coldkey(case: Case) -> Finding:
    """A node never needs the coldkey; on a network with money in it an open one is a gift."""
    assert case.wallet is not None
    path = case.wallet.coldkey_file
    if not path.exists():
        return ok("coldkey", "not on this machine, as it should be")
    loose = _loose(path)
    if loose:
        return fail("coldkey", f"{path} {loose}", f"`chmod 600 {path}`, better move it off this machine")
    if case.network is not None and case.network.on_this_machine:
        return ok("coldkey", "here; the network is local")
    try:
        encrypted = keyfile_data_is_encrypted(path.read_bytes())
    except OSError as error:
        return warn(
            "coldkey", f"{path} cannot be read: {error.strerror}", "a node does not need it: move it away"
        )
    kind = "encrypted" if encrypted else "NOT encrypted"
    report = warn if encrypted else fail
    return report("coldkey", f"{path} is here, {kind}", "a node does not need it: move it off this machine")


def _loose(path: Path) -> str:
    """Who else may read a file; empty if nobody."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"has mode {mode:04o}: others may read it" if mode & 0o077 else ""
