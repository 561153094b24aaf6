"""How the user's shell is started: a prompt that names the exporter, and completion of what it knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from shlex import quote
from typing import Final

#: The shells that get completion.
COMPLETING: Final = ("bash", "zsh", "fish")


def shell_command(shell: str, name: str, *, profiles: bool = False) -> tuple[list[str], dict[str, str]]:
    """The command line and the extra variables that start *shell* with a prompt naming the exporter *name*.

    Args:
        shell: path of the shell, as in ``$SHELL``.
        profiles: let the shell read the user's start-up files (which may replace the prompt).
    """
    kind = Path(shell).name
    # The prompt is code to a shell; a name holds nothing that a shell could take for more than text.
    name = re.sub(r"[^\w.:/-]", "?", name)
    if kind == "bash":
        plain = [] if profiles else ["--norc", "--noprofile"]
        prompt = rf"\[\e[93m\]\W \[\e[31m\]⚡\[\e[36m\]{name} \[\e[33m\]➤\[\e[0m\] "
        return [shell, *plain], {"PS1": prompt}
    if kind == "zsh":
        plain = [] if profiles else ["--no-rcs"]
        return [shell, *plain], {"PS1": f"%F{{yellow}}%1~ %F{{red}}⚡%F{{cyan}}{name} %F{{yellow}}➤%f "}
    if kind == "fish":
        plain = [] if profiles else ["--no-config"]
        prompt = (
            "function fish_prompt; set_color yellow; echo -n (basename $PWD)' '; set_color red; echo -n ⚡; "
            f"set_color cyan; echo -n '{name} '; set_color yellow; echo -n '➤ '; set_color normal; end"
        )
        return [shell, *plain, "--init-command", prompt], {}
    return [shell], {"PS1": f"⚡{name} ➤ "}


def with_completion(
    command: list[str], folder: Path, script_of: Callable[[str], str], environ: Mapping[str, str]
) -> tuple[list[str], dict[str, str]]:
    """*command*, of `shell_command` without profiles, and variables for it, so that the shell reads a script at its start.

    *script_of* gives the script for bash, zsh or fish; other shells are started as they are. What is written is in *folder*,
    which has to be there as long as the shell is. *environ* is the environment that the shell would have.
    """
    shell, *options = command
    kind = Path(shell).name
    if kind not in COMPLETING:
        return command, {}
    script = folder / f"completion.{kind}"
    script.write_text(script_of(kind), encoding="utf-8")
    if kind == "bash":
        # A file that --rcfile names is read after the system's own, which is not wanted.
        script.write_text(_again("PROMPT_COMMAND", environ) + script.read_text("utf-8"), encoding="utf-8")
        return command, {"PROMPT_COMMAND": f"unset PROMPT_COMMAND; . {quote(str(script))}"}
    if kind == "zsh":
        # Without it there is no file that zsh would read; the user's and the system's stay unread.
        (folder / ".zshrc").write_text(
            _again("ZDOTDIR", environ) + f"autoload -Uz compinit && compinit -i -D\n. {quote(str(script))}\n"
        )
        return [shell, "--no-global-rcs", *(each for each in options if each != "--no-rcs")], {
            "ZDOTDIR": str(folder)
        }
    return [*command, "--init-command", f"source {quote(str(script))}"], {}


def _again(variable: str, environ: Mapping[str, str]) -> str:
    """The line that gives *variable* the value back that it had."""
    value = environ.get(variable)
    return f"unset {variable}\n" if value is None else f"export {variable}={quote(value)}\n"
