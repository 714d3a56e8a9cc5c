"""Wallets on disk: the official layout, modes, passwords, and errors that help."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ranvier.chain import Keypair, Wallet, WalletError
from ranvier.chain.keyfiles import password_variable


def test_a_plain_wallet_has_the_official_files_with_mode_0600(tmp_path: Path) -> None:
    wallet = Wallet.create_plain("alice", "hot", tmp_path)
    names = {
        str(path.relative_to(tmp_path / "alice"))
        for path in (tmp_path / "alice").rglob("*")
        if path.is_file()
    }
    assert names == {"coldkey", "coldkeypub.txt", "hotkeys/hot", "hotkeys/hotpub.txt"}
    for path in (wallet.coldkey_file, wallet.hotkey_file):
        assert path.stat().st_mode & 0o777 == 0o600
    assert wallet.load_hotkey().ss58_address == wallet.hotkey_address()
    assert wallet.load_coldkey().ss58_address == wallet.coldkey_address() != wallet.hotkey_address()


def test_the_hotkey_loads_without_its_coldkey(tmp_path: Path) -> None:
    wallet = Wallet.create_plain("alice", "hot", tmp_path)
    wallet.coldkey_file.unlink()
    wallet.coldkeypub_file.unlink()
    assert wallet.load_hotkey().sign(b"x")


def test_a_second_hotkey_keeps_the_coldkey(tmp_path: Path) -> None:
    first = Wallet.create_plain("alice", "one", tmp_path)
    second = Wallet.create_plain("alice", "two", tmp_path)
    assert first.coldkey_address() == second.coldkey_address()
    assert first.hotkey_address() != second.hotkey_address()
    with pytest.raises(WalletError, match="there already"):
        Wallet.create_plain("alice", "two", tmp_path)


def test_given_keys_are_kept(tmp_path: Path) -> None:
    key = Keypair.create_from_uri("//Alice")
    wallet = Wallet.create_plain("alice", "hot", tmp_path, hot=key)
    assert wallet.load_hotkey().ss58_address == key.ss58_address
    assert key.verify(b"x", wallet.load_hotkey().sign(b"x"))


def test_an_encrypted_coldkey_needs_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = Wallet.create("alice", "hot", tmp_path, coldkey_password="secret")
    assert wallet.coldkey_file.read_bytes().startswith(b"$NACL")
    variable = password_variable(wallet.coldkey_file)
    with pytest.raises(WalletError, match=variable):
        wallet.load_coldkey()
    with pytest.raises(WalletError, match="wrong"):
        wallet.load_coldkey("other")
    monkeypatch.setenv(variable, "secret")
    assert wallet.load_coldkey().ss58_address == wallet.coldkey_address()


def test_missing_damaged_and_unreadable_files_are_named(tmp_path: Path) -> None:
    wallet = Wallet("alice", "hot", tmp_path)
    with pytest.raises(WalletError, match="ranvier wallet create"):
        wallet.load_hotkey()
    wallet.hotkey_file.parent.mkdir(parents=True)
    wallet.hotkey_file.write_text("{}")
    with pytest.raises(WalletError, match="holds no key"):
        wallet.load_hotkey()
    wallet.hotkey_file.chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(WalletError, match="mode 0000"):
            wallet.load_hotkey()


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "-x"])
def test_a_wallet_name_stays_in_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(WalletError, match="no wallet name"):
        Wallet(name, "hot", tmp_path)


@pytest.mark.slow
@pytest.mark.subtensor
def test_the_sdk_reads_our_wallets_and_we_read_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    official = pytest.importorskip("bittensor.wallet")
    ours = Wallet.create("ours", "hot", tmp_path, coldkey_password="secret")
    theirs = official.Wallet("ours", "hot", path=str(tmp_path))
    assert theirs.hotkey.ss58_address == ours.hotkey_address()
    assert theirs.coldkeypub.ss58_address == ours.coldkey_address()
    assert theirs.get_coldkey("secret").ss58_address == ours.coldkey_address()
    made = official.Wallet("theirs", "hot", path=str(tmp_path))
    made.create_new_coldkey(use_password=True, coldkey_password="secret", suppress=True)
    made.create_new_hotkey(suppress=True)
    read = Wallet("theirs", "hot", tmp_path)
    assert read.load_hotkey().ss58_address == made.hotkey.ss58_address
    assert made.hotkey.verify(b"x", read.load_hotkey().sign(b"x"))
    # The SDK keeps a saved password encoded.
    made.coldkey_file.save_password_to_env("secret")
    assert made.coldkey_file.env_var_name() == password_variable(read.coldkey_file)
    assert read.load_coldkey().ss58_address == made.coldkeypub.ss58_address == read.coldkey_address()
    made.coldkey_file.remove_password_from_env()
