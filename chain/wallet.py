"""A wallet on disk as the official tools lay it out: one coldkey that owns, hotkeys that work.

ROOT/NAME/{coldkey, coldkeypub.txt, hotkeys/HOT, hotkeys/HOTpub.txt}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bittensor_core import Keypair

from ranvier.chain.errors import WalletError
from ranvier.chain.keyfiles import public_half, read_key, write_key

DEFAULT_ROOT = Path("~/.bittensor/wallets")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Wallet:
    """Names a wallet and one hotkey in it. Nothing is read before a key is asked for."""

    name: str = "default"
    hotkey: str = "default"
    root: Path = DEFAULT_ROOT

    def __post_init__(self) -> None:
        for part in (self.name, self.hotkey):
            if not _PLAIN_NAME.fullmatch(part):
                raise WalletError(f"{part!r} is no wallet name; use letters, digits, '.', '_' and '-'")

    @property
    def folder(self) -> Path:
        """The wallet's folder."""
        return self.root.expanduser() / self.name

    @property
    def coldkey_file(self) -> Path:
        """The secret of the coldkey; only chain commands that spend open it."""
        return self.folder / "coldkey"

    @property
    def coldkeypub_file(self) -> Path:
        """The public half of the coldkey."""
        return self.folder / "coldkeypub.txt"

    @property
    def hotkey_file(self) -> Path:
        """The secret of the hotkey."""
        return self.folder / "hotkeys" / self.hotkey

    @property
    def hotkeypub_file(self) -> Path:
        """The public half of the hotkey."""
        return self.folder / "hotkeys" / f"{self.hotkey}pub.txt"

    def load_hotkey(self, password: str | None = None) -> Keypair:
        """The hotkey, without touching the coldkey's file. Raises `WalletError`."""
        return read_key(self.hotkey_file, password)

    def load_coldkey(self, password: str | None = None) -> Keypair:
        """The coldkey; an encrypted one needs `password` or its BT_PW_ variable. Raises `WalletError`."""
        return read_key(self.coldkey_file, password)

    def coldkey_address(self) -> str:
        """The coldkey's address, from its public file. Raises `WalletError`."""
        return str(read_key(self.coldkeypub_file).ss58_address)

    def hotkey_address(self) -> str:
        """The hotkey's address, from its public file, else from the hotkey. Raises `WalletError`."""
        path = self.hotkeypub_file if self.hotkeypub_file.exists() else self.hotkey_file
        return str(read_key(path).ss58_address)

    @classmethod
    def create(
        cls,
        name: str,
        hotkey: str = "default",
        root: Path = DEFAULT_ROOT,
        *,
        coldkey_password: str | None,
        coldkey: Keypair | None = None,
        hot: Keypair | None = None,
    ) -> Wallet:
        """Make what is missing of a wallet: its coldkey (encrypted where a password is given), and a hotkey.

        New keys come from fresh mnemonics unless given. Raises `WalletError` where the hotkey is there already.
        """
        wallet = cls(name, hotkey, root)
        if wallet.hotkey_file.exists():
            raise WalletError(f"{wallet.hotkey_file} is there already; choose another hotkey name")
        if not wallet.coldkey_file.exists():
            owner = coldkey or _fresh()
            write_key(wallet.coldkey_file, owner, coldkey_password)
            write_key(wallet.coldkeypub_file, public_half(owner))
        worker = hot or _fresh()
        write_key(wallet.hotkey_file, worker)
        write_key(wallet.hotkeypub_file, public_half(worker))
        return wallet

    @classmethod
    def create_plain(
        cls,
        name: str,
        hotkey: str = "default",
        root: Path = DEFAULT_ROOT,
        *,
        coldkey: Keypair | None = None,
        hot: Keypair | None = None,
    ) -> Wallet:
        """`create` without encryption: for local networks, where the coldkey is worth nothing."""
        return cls.create(name, hotkey, root, coldkey_password=None, coldkey=coldkey, hot=hot)


def _fresh() -> Keypair:
    return Keypair.create_from_mnemonic(Keypair.generate_mnemonic())
