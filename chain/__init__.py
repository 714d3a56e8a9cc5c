"""The chain: one client interface, a local chain that keeps the real one's rules, wallets and genesis files."""

from bittensor_core import Keypair

from ranvier.chain.calls import AddStake, Call, Register, RemoveStake, Serve, SetWeights, Transfer
from ranvier.chain.client import ChainClient
from ranvier.chain.connect import connect
from ranvier.chain.errors import (
    BackEndMissing,
    BadGenesis,
    BadReply,
    CallRefused,
    ChainError,
    ChainTimeout,
    ChainUnreachable,
    NotFound,
    PortOccupied,
    StateUnusable,
    UnknownNetwork,
    WalletError,
    WrongChain,
)
from ranvier.chain.genesis import Genesis, GenesisNeuron, GenesisSubnet
from ranvier.chain.hyperparameters import Hyperparameters
from ranvier.chain.models import (
    RAO,
    AxonInfo,
    Block,
    Earned,
    Epoch,
    EpochRow,
    Event,
    Metagraph,
    Neuron,
    Receipt,
    SubnetInfo,
)
from ranvier.chain.presets import local_genesis, local_hyperparameters
from ranvier.chain.wallet import Wallet

__all__ = [
    "RAO",
    "AddStake",
    "AxonInfo",
    "BackEndMissing",
    "BadGenesis",
    "BadReply",
    "Block",
    "Call",
    "CallRefused",
    "ChainClient",
    "ChainError",
    "ChainTimeout",
    "ChainUnreachable",
    "Earned",
    "Epoch",
    "EpochRow",
    "Event",
    "Genesis",
    "GenesisNeuron",
    "GenesisSubnet",
    "Hyperparameters",
    "Keypair",
    "Metagraph",
    "Neuron",
    "NotFound",
    "PortOccupied",
    "Receipt",
    "Register",
    "RemoveStake",
    "Serve",
    "SetWeights",
    "StateUnusable",
    "SubnetInfo",
    "Transfer",
    "UnknownNetwork",
    "Wallet",
    "WalletError",
    "WrongChain",
    "connect",
    "local_genesis",
    "local_hyperparameters",
]
