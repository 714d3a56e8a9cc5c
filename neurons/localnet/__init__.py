"""A whole network on one machine: a chain, engines, validators, miners and cheats, each a participant of its own."""
