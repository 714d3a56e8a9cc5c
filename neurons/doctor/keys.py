"""Key files: there, readable by us, by nobody else; the coldkey elsewhere."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from bittensor_core import keyfile_data_is_encrypted

from ranvier.chain import Wallet, WalletError
from ranvier.neurons.doctor.case import Case
from ranvier.neurons.doctor.finding import Finding, fail, ok, skipped, warn

ELSEWHERE: Final = "a running node does not need it: keep it on another machine"


def hotkey(case: Case) -> Finding:
    """The hotkey's file, its mode and its key; nobody else may put another one in its place."""
    settings = case.settings
    try:
        wallet = case.wallet = Wallet(settings.wallet, settings.hotkey, Path(settings.wallets))
        address = str(wallet.load_hotkey().ss58_address)
    except WalletError as error:
        step = "correct --wallet, --hotkey or --wallets, or make one with `ranvier wallet create`"
        return fail("hotkey", str(error), step)
    case.hotkey = address
    path = wallet.hotkey_file
    mode = _mode(path)
    if mode & 0o077:
        return fail("hotkey", f"{path} has mode {mode:04o}: others may use it", f"`chmod 600 {path}`")
    for folder in (path.parent, wallet.folder):
        open_to = _mode(folder) & 0o022
        if open_to:
            # A group is often the user's own, the world never is.
            report = fail if open_to & 0o002 else warn
            said = f"others may replace files in {folder} (mode {_mode(folder):04o})"
            return report("hotkey", said, f"`chmod go-w {folder}`")
    return ok("hotkey", f"{address}, file mode {mode:04o}")


def coldkey(case: Case) -> Finding:
    """A node never needs the coldkey; on a network with money in it an open one is a gift."""
    assert case.wallet is not None
    path = case.wallet.coldkey_file
    if not path.exists():
        return ok("coldkey", "not on this machine, as it should be")
    mode = _mode(path)
    if mode & 0o077:
        return fail("coldkey", f"{path} has mode {mode:04o}: others may use it", f"`chmod 600 {path}`")
    if case.network is None:
        return skipped("coldkey", "because of network")
    if case.is_private:
        return ok("coldkey", "on this machine; the network is local")
    if keyfile_data_is_encrypted(path.read_bytes()):
        return warn("coldkey", f"{path} is on this machine, encrypted", ELSEWHERE)
    return fail("coldkey", f"{path} is on this machine, and not encrypted", ELSEWHERE)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
