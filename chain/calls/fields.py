"""What fields of calls may hold."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field

from ranvier.chain.addresses import canonical

STRICT: Final = ConfigDict(extra="forbid")
MOST_UIDS: Final = 4096
Netuid = Annotated[int, Field(strict=True, ge=0, le=65535)]
Amount = Annotated[int, Field(strict=True, ge=0, le=2**64 - 1)]
Address = Annotated[str, Field(strict=True, max_length=49), AfterValidator(canonical)]
U16 = Annotated[int, Field(strict=True, ge=0, le=65535)]
U32 = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
U16Row = Annotated[tuple[U16, ...], Field(max_length=MOST_UIDS)]
