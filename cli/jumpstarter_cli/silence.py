"""What a command does first, before it loads anything."""

import _signal  # type: ignore[import-not-found]  # signal itself loads others, and Ctrl-C may come meanwhile


def end_at_once() -> None:
    """Have Ctrl-C end the process there and then, and not by a traceback of whichever module is being loaded."""
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
