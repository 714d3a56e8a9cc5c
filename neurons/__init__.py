"""The processes: miner, validator and the command line that starts every role.

Nothing is imported here, so that ``ranvier --help`` stays fast: import `ranvier.neurons.miner`,
`ranvier.neurons.validator` or `ranvier.neurons.weights` by name.
"""
