"""Being on the subnet: looked up before anything starts, bought only if asked for."""

from __future__ import annotations

import getpass
import logging
import os
import sys

from ranvier.chain import ChainClient, Keypair, Neuron, Register, Wallet, WalletError
from ranvier.chain.keyfiles import password_variable
from ranvier.neurons.errors import NotRegistered

_log = logging.getLogger(__name__)


async def require_registered(chain: ChainClient, netuid: int, hotkey: str, network: str) -> Neuron:
    """The hotkey's neuron; raises `NotRegistered`, or `ChainError` for an unknown subnet."""
    neuron = (await chain.metagraph(netuid)).by_hotkey(hotkey)
    if neuron is None:
        raise NotRegistered(hotkey, netuid, network)
    return neuron


async def register_if_missing(chain: ChainClient, netuid: int, wallet: Wallet) -> bool:
    """Buy a uid for the wallet's hotkey where it has none; the only step of a node that opens the coldkey."""
    hotkey = wallet.hotkey_address()
    if (await chain.metagraph(netuid)).by_hotkey(hotkey) is not None:
        return False
    receipt = await chain.submit(Register(netuid, hotkey), open_coldkey(wallet))
    _log.info("registered %s on subnet %d in block %d", hotkey, netuid, receipt.block)
    return True


def open_coldkey(wallet: Wallet) -> Keypair:
    """The coldkey. Its password comes from the environment, else from a person at a terminal, never from elsewhere."""
    try:
        return wallet.load_coldkey()
    except WalletError:
        named = os.environ.get(password_variable(wallet.coldkey_file))
        if named or not wallet.coldkey_file.exists() or not sys.stdin.isatty():
            raise
    return wallet.load_coldkey(getpass.getpass(f"Password of {wallet.coldkey_file}: "))
