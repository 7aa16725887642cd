"""The benchmarks are scripts that find each other beside themselves."""

from __future__ import annotations

import os
import sys

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "benchmarks"))
