"""Argument parser of `serve-model`: spelling of flags, groups, layout of the help."""

import argparse
from collections.abc import Sequence

from foldserve_contract.options import flags_of

from . import converters

_METAVARS: dict[object, str] = {
    converters.seconds: "SECONDS",
    converters.size: "BYTES",
    converters.message_size: "BYTES",
    converters.positive: "N",
    converters.count: "N",
    converters.port: "PORT",
    converters.rest_port: "PORT",
    converters.sizes: "N,N",
    converters.path: "PATH",
    converters.paths: "DIR,DIR",
    converters.engine: "[NAME=]ENGINE",
    converters.share: "SHARE",
}


class _Help(argparse.RawDescriptionHelpFormatter):
    """Wide enough for the longest flag."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34, width=118)


class FlagParser(argparse.ArgumentParser):
    """Takes `-` for `_` in a flag's name, and the other way round."""

    def __init__(self, prog: str, usage: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            epilog=epilog,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        self._spelled: dict[str, str] = {}
        self._theme = self.add_argument_group("what is served")

    def theme(self, title: str) -> None:
        """Flags that are added from here on stand below this title in the help."""
        self._theme = self.add_argument_group(title)

    def flag(self, name: str, help: str, **how: object) -> None:
        """Adds `--name`."""
        self._spelled[name.replace("_", "-")] = name
        if "choices" not in how and how.get("action") != "version":
            how.setdefault("metavar", _METAVARS.get(how.get("type"), "WORD"))
        self._theme.add_argument(f"--{name}", help=help, **how)  # type: ignore[arg-type]

    def switch(self, name: str, help: str, default: bool = False) -> None:
        """Adds `--name`, which may also be `--name=true` and `--name=false`."""
        self.flag(name, help, type=converters.boolean, nargs="?", const=True, default=default, metavar="true|false")

    def options(self, record: type, group: str = "") -> None:
        """Adds the flags that a record declares for a group."""
        for flag in flags_of(record).values():
            if flag.group != group:
                continue
            if flag.is_switch:
                self.switch(flag.name, flag.help, flag.default)
                continue
            how: dict[str, object] = {"default": flag.default}
            if flag.parse:
                how["type"] = getattr(converters, flag.parse)
            if flag.choices:
                how["choices"] = flag.choices
            if flag.metavar:
                how["metavar"] = flag.metavar
            self.flag(flag.name, flag.help, **how)

    def spell(self, words: Sequence[str]) -> list[str]:
        """The arguments with every flag spelled as it was added."""
        return [self._spell(word) if word.startswith("--") else word for word in words]

    def _spell(self, word: str) -> str:
        name, equals, value = word[2:].partition("=")
        return f"--{self._spelled.get(name.replace('_', '-'), name)}{equals}{value}"
