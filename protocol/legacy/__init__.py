"""The 10.x wire of the official SDK, for neurons that still speak it: off unless switched on, and never fallen back to.

What that wire leaves open, it leaves open here, too: replies are unsigned, method and path are not bound, and a body
is bound only by the fields that the synapse lists as `required_hash_fields`. docs/legacy.md says what is closed.
"""
