"""One key in one file, in the official format: JSON, plain or encrypted by bittensor-core."""

from __future__ import annotations

import os
from pathlib import Path

from bittensor_core import (
    KeyfileError,
    Keypair,
    WrongPasswordError,
    decrypt_keyfile_data,
    deserialize_keypair_from_keyfile_data,
    encrypt_keyfile_data,
    get_password_from_environment,
    keyfile_data_is_encrypted,
    serialized_keypair_to_keyfile_data,
)

from ranvier.chain.errors import WalletError

_OWNER_ONLY = 0o600


def password_variable(path: Path) -> str:
    """The environment variable the official tools look up for this file's password."""
    return "BT_PW_" + str(path).replace(os.sep, "_").replace(".", "_").upper()


def read_key(path: Path, password: str | None = None) -> Keypair:
    """The key in a file. An encrypted one is opened with `password`, else with `password_variable`'s value.

    Never prompts. Raises `WalletError` naming the file, its mode where that matters, and the next step.
    """
    data = _bytes_of(path)
    if keyfile_data_is_encrypted(data):
        data = _decrypted(path, data, password)
    try:
        return deserialize_keypair_from_keyfile_data(data)
    except (KeyfileError, ValueError) as error:
        raise WalletError(f"{path} holds no key ({error}); restore it from its words or a copy") from error


def write_key(path: Path, keypair: Keypair, password: str | None = None) -> None:
    """Write a new file, mode 0600, encrypted where a password is given; never over an existing one."""
    data = bytes(serialized_keypair_to_keyfile_data(keypair))
    if password is not None:
        data = bytes(encrypt_keyfile_data(data, password))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError as error:
        raise WalletError(f"{path} is there already; name another wallet or move the file away") from error
    except OSError as error:
        raise WalletError(
            f"cannot write {path}: {error.strerror}; choose a folder you may write to"
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def public_half(keypair: Keypair) -> Keypair:
    """The same key without its private part."""
    return Keypair(ss58_address=keypair.ss58_address, crypto_type=keypair.crypto_type)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise WalletError(f"{path} does not exist; make it with `ranvier wallet create`") from error
    except OSError as error:
        mode = _mode_of(path)
        raise WalletError(
            f"cannot read {path} (mode {mode}): {error.strerror}; run as its owner or `chmod 600` it"
        ) from error


def _mode_of(path: Path) -> str:
    try:
        return f"{path.stat().st_mode & 0o7777:04o}"
    except OSError:
        return "unknown"


def _decrypted(path: Path, data: bytes, password: str | None) -> bytes:
    variable = password_variable(path)
    candidates = [password] if password else _environment_passwords(variable)
    if not candidates:
        raise WalletError(f"{path} is encrypted; put its password into the environment as {variable}")
    for candidate in candidates:
        try:
            return bytes(decrypt_keyfile_data(data, candidate))
        except WrongPasswordError:
            continue
        except (KeyfileError, ValueError) as error:
            raise WalletError(f"{path} cannot be decrypted ({error}); restore it from a copy") from error
    following = "type it again" if password else f"check {variable}"
    raise WalletError(f"the password for {path} is wrong; {following}")


def _environment_passwords(variable: str) -> list[str]:
    """The variable's value as the official tools encode it, and as a person would export it."""
    try:
        decoded = get_password_from_environment(variable)
    except (KeyfileError, ValueError):
        # Not the official encoding: the plain value below is the password.
        decoded = None
    return [found for found in (decoded, os.environ.get(variable)) if found]
