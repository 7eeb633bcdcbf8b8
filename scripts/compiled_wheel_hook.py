"""The build hook of a wheel with compiled modules: it is for one platform, and has what mypyc has made.

`scripts.compiled` lets hatchling use it in a copy of the checkout. Wheels that are built otherwise are pure Python.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledModules(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Say what the wheel is, and what is in it.

        Args:
            version: which kind of wheel is built.
            build_data: what hatchling knows of the wheel; changed.
        """
        del version
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].append("*.so")
        # What all compiled modules share lies beside the packages.
        build_data["force_include"].update({str(path): path.name for path in Path(self.root).glob("*__mypyc*.so")})
