"""`completion`: what bash needs to complete commands and options with the tab key."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from .terminal import Terminal

__all__ = ["add_completion"]

_SCRIPT = """\
# Completion of kairo-metrics for bash; in ~/.bashrc: source <(kairo-metrics completion)
_kairo_metrics() {{
  local words
  if [ "$COMP_CWORD" = 1 ]; then
    words="{commands}"
  else
    case "${{COMP_WORDS[1]}} $3" in
{choices}
    *)
      case "${{COMP_WORDS[1]}}" in
{options}
      esac
      ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$2"))
}}
complete -o default -F _kairo_metrics kairo-metrics
"""


def add_completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    completion = commands.add_parser("completion", help="print a script for bash: source <(kairo-metrics completion)")
    completion.set_defaults(run=lambda _options: Terminal().say(_script(commands.choices).rstrip()))


def _script(commands: Mapping[str, argparse.ArgumentParser]) -> str:
    options, choices = [], []
    for name, parser in commands.items():
        actions = parser._actions  # noqa: SLF001  argparse tells nobody else what it knows
        words = " ".join(option for action in actions for option in action.option_strings if option.startswith("--"))
        options.append(f'      {name}) words="{words}" ;;')
        for action in actions:
            if action.choices and action.option_strings:
                pattern = " | ".join(f'"{name} {option}"' for option in action.option_strings)
                choices.append(f'    {pattern}) words="{" ".join(map(str, action.choices))}" ;;')
    return _SCRIPT.format(commands=" ".join(commands), choices="\n".join(choices), options="\n".join(options))
