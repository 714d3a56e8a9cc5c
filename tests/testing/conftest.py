"""Makes the subnet of sums of the neurons' tests importable here, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "neurons" / "plugins"))
