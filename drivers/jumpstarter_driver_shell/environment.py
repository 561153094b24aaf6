"""Which variables callers of a shell method may set. Pure functions.

Many programs run code, read files or write files as a variable tells them (TAR_OPTIONS, PERL5OPT, GIT_CONFIG_..., MAKEFLAGS,
NODE_OPTIONS ...), and nobody knows them all. So a caller may set what is listed and nothing else. Where nothing is listed, that
is what the method's command mentions by name, as files of Jumpstarter 0.9 do, without the best known of those variables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from .methods import ShellMethod

__all__ = ["check_environment"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

#: Never set because a command mentions them (it reads `$HOME`, it does not ask for another) or because a `*` stands for all.
_POWERFUL: Final = (
    *("BASH_*", "BASHOPTS", "ENV", "IFS", "PROMPT_COMMAND", "PS4", "SHELL", "SHELLOPTS", "ZDOTDIR"),
    *(
        "LD_*",
        "DYLD_*",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "LOCPATH",
        "MALLOC_*",
        "NLSPATH",
        "OPENSSL_*",
        "SSL_*",
    ),
    *(
        "HOME",
        "PATH",
        "CDPATH",
        "PWD",
        "USER",
        "LOGNAME",
        "TMPDIR",
        "TEMP",
        "TMP",
        "XDG_*",
        "TERMINFO*",
        "TERMCAP",
    ),
    *(
        "PYTHON*",
        "PERL*",
        "RUBY*",
        "GEM_*",
        "BUNDLE_*",
        "NODE_*",
        "NPM_*",
        "LUA_*",
        "PHP*",
        "TCL*",
        "R_*",
        "GUILE_*",
    ),
    *(
        "JAVA_*",
        "JDK_*",
        "_JAVA_*",
        "CLASSPATH",
        "MAVEN_*",
        "GRADLE_*",
        "GO*",
        "CARGO*",
        "RUSTC*",
        "RUSTFLAGS",
    ),
    *(
        "GIT_*",
        "SSH_*",
        "GPG*",
        "RSYNC_*",
        "CVS*",
        "SVN_*",
        "HG*",
        "DOCKER_*",
        "KUBECONFIG",
        "AWS_*",
        "HELM_*",
    ),
    *(
        "TAR_*",
        "GZIP",
        "BZIP*",
        "XZ_*",
        "ZSTD_*",
        "ZIPOPT",
        "UNZIP*",
        "LESS*",
        "MORE",
        "PAGER",
        "MANPAGER",
        "MAN*",
    ),
    *(
        "EDITOR",
        "VISUAL",
        "BROWSER",
        "GREP_*",
        "AWK*",
        "POSIXLY_CORRECT",
        "MAKE*",
        "MFLAGS",
        "CC",
        "CXX",
        "LD",
    ),
    *("CFLAGS", "CXXFLAGS", "LDFLAGS", "CMAKE_*", "CURL_*", "WGETRC", "SYSTEM_WGETRC", "NETRC", "QEMU_*"),
    *("*_PROXY", "*_proxy", "DBUS_*", "SYSTEMD_*", "SUDO_*", "JMP_*", "JUMPSTARTER_*"),
)


def check_environment(env: Mapping[str, Any], name: str, method: ShellMethod) -> dict[str, str]:
    """*env* with its values as text, for the method *name*.

    Raises `ValueError` for a name that no variable can have, or that callers of *method* may not set.
    """
    for variable in env:
        if not _NAME.match(variable):
            raise ValueError(f"{variable!r} is not the name of an environment variable")
        if not _is_allowed(variable, method):
            raise ValueError(
                f"the environment variable {variable} may not be set by a client of shell method {name!r}: if its command is "
                f"to take it, add it to methods.{name}.env in the exporter file{_known(method)}"
            )
    return {variable: str(value) for variable, value in env.items()}


def _is_allowed(variable: str, method: ShellMethod) -> bool:
    if method.env is None:
        return variable in _mentioned(method.command) and not _is_powerful(variable)
    return any(
        variable == entry or ("*" in entry and fnmatchcase(variable, entry) and not _is_powerful(variable))
        for entry in method.env
    )


def _mentioned(command: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", command))


def _is_powerful(variable: str) -> bool:
    return any(fnmatchcase(variable, pattern) for pattern in _POWERFUL)


def _known(method: ShellMethod) -> str:
    if method.env is None:
        return ", which lists no variables, so that those count that the command mentions"
    return f", which has {', '.join(method.env) or 'none'}"
