"""``jmp completion``: the scripts that teach a shell to complete ``jmp`` and ``j``."""

from __future__ import annotations

import click

TOOLS = ("jmp", "j")


def script(shell: str) -> str:
    """The completion script of *shell* for both tools."""
    from click.shell_completion import ShellComplete, get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None, shell
    # The base class's `source`: click's own bash class first starts a bash to learn its version.
    return "\n".join(
        ShellComplete.source(completion(click.Command(tool), {}, tool, f"_{tool.upper()}_COMPLETE"))
        for tool in TOOLS
    )


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that teaches SHELL to complete jmp and j.

    For bash, add to ~/.bashrc: eval "$(jmp completion bash)"
    """
    click.echo(script(shell))
