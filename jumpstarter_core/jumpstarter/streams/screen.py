"""What the bytes of a console look like to a person: text without control sequences, in lines.

`Screen` takes bytes in pieces of any size and keeps lines of text. What must hold:

- the same bytes give the same text, wherever they were cut into pieces: a character, a control sequence or a line end that is
  not complete waits for its rest;
- a line ends with a line feed; carriage returns before it are a part of its end. A carriage return alone ends a line, too, when
  text follows: what a progress bar has shown stays, line by line;
- backspaces and movements within a line edit it; after a jump to another line text stands in a line of its own;
- the work is linear in what comes.

Control sequences: ECMA-48, https://ecma-international.org/publications-and-standards/standards/ecma-48/; those of the Linux
console: https://man7.org/linux/man-pages/man4/console_codes.4.html.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

#: Characters of a line after which it is kept in parts, so that work on one line stays bounded.
LONGEST_PART = 16 * 1024
#: How far one sequence may move or insert: no screen is wider.
_FARTHEST = 1024

_STRING = r"[^\x07\x1b\x9c\r\n]{0,4096}"
_TOKEN = re.compile(
    r"(?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f\ufeff]+)"
    r"|(?P<end>[\n\x0b\x0c])"
    r"|(?P<csi>(?:\x1b\[|\x9b)(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~]))"
    rf"|(?P<string>\x1b\]P[0-9A-Fa-f]{{7}}|\x1b\]R|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_STRING}(?:\x07|\x1b\\|\x9c))"
    r"|(?P<escape>\x1b(?:[ -/]+[0-~]|[0-OQ-WYZ\\`-~]))"
)
_PARTIAL = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*\Z"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_STRING}\x1b?\Z"
    r"|\x1b[ -/]*\Z"
)
_HARMLESS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[IL-OQ-WYZ\[\\\]^_abcegh-rtv-z{|}~]"  # colours, modes, questions
    r"|\x1b\[0?[JK]"  # wipes out what is behind the cursor: nothing, as long as nothing moves it
    rf"|(?:\x1b\]P[0-9A-Fa-f]{{7}}|\x1b\]R|\x1b[\]PX^_]{_STRING}(?:\x07|\x1b\\|\x9c))"
    r"|\x1b[()*+#%][0-~]|[\x00\x05-\x07\x0e\x0f]"
)
_SPECIAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufeff]")
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_UP_TO_NEWLINE = re.compile(r"[^\n]+")
_UP_TO_RETURN = re.compile(r"[^\r\n]+")
_JUMPS = frozenset("ABEFHfd")
_NO_TEXT = re.compile("[\udc80-\udcff]")
_WITHOUT_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8"}


def encoding_without_mark(encoding: str) -> str:
    """The encoding whose texts have no byte order mark: consoles have no beginning where one could stand.

    Raises LookupError for one that Python does not know, or that is not for reading text which comes in pieces.
    """
    try:
        name = codecs.lookup(encoding).name
        # What is none of text (hex, rot13), or of whole names only (idna), fails with the first bytes of a console.
        "".encode(name)
        codecs.getincrementaldecoder(name)("surrogateescape").decode(b"")
    except (LookupError, ValueError, TypeError):
        raise LookupError(
            f"{encoding!r} is no encoding of text, expected one such as 'utf-8', 'latin-1' or 'utf-16-le'"
        ) from None
    return _WITHOUT_MARK.get(name, name)


def as_shown(data: bytes, encoding: str = "utf-8") -> str:
    """*data* as text without control sequences, edited as its backspaces say, with line ends as they were sent."""
    return _shown(data, encoding, as_sent=True)


def as_lines(data: bytes, encoding: str = "utf-8") -> str:
    """*data* as text without control sequences in lines that end with a line feed."""
    return _shown(data, encoding, as_sent=False)


def _shown(data: bytes, encoding: str, *, as_sent: bool) -> str:
    screen = Screen(encoding, as_sent=as_sent)
    screen.feed(data)
    screen.finish()
    return replaced(screen.window(0))


def control_sequences(data: bytes, encoding: str = "utf-8", most: int = 5) -> list[str]:
    """The control sequences and characters of *data*, each once, *most* at the most."""
    found = _CONTROL.findall(data.decode(encoding_without_mark(encoding), "replace"))
    return list(dict.fromkeys(found))[:most]


def replaced(text: str) -> str:
    """*text* with a replacement character for every byte that was no text."""
    return _NO_TEXT.sub("\ufffd", text)


class _Line:
    """One line while it is written: its characters, and where in the stream the bytes of each end."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.ends: list[int] = []
        self.column = 0
        self.broken = False  # the cursor went away: text that comes now stands in another line
        self._saved: tuple[int, bool] | None = None

    @property
    def is_plain(self) -> bool:
        """Whether text that comes now is appended, and nothing else."""
        return not self.broken and self.column == len(self.cells)

    @property
    def length(self) -> int:
        """How much of it shows: blanks that have wiped out its end do not."""
        size = len(self.cells)
        while size > self.column and self.cells[size - 1] == " ":
            size -= 1
        return size

    def put(self, text: str, ends: list[int]) -> None:
        """Write *text* at the cursor."""
        after = self.column + len(text)
        self.pad(self.column, ends[0])
        self.cells[self.column : after] = text
        self.ends[self.column : after] = ends
        self.column = after

    def pad(self, column: int, end: int) -> None:
        """Fill up with blanks to *column*."""
        missing = column - len(self.cells)
        if missing > 0:
            self.cells += " " * missing
            self.ends += [end] * missing

    def control(self, final: str, parameters: str, end: int) -> None:
        """Do what a CSI sequence says."""
        first = parameters.split(";")[0]
        number = min(int(first), _FARTHEST) if first.isascii() and first.isdigit() else 0
        if final in _JUMPS or (final == "J" and number > 1):
            self.broken = True
        elif final == "s":
            self.save()
        elif final == "u":
            self.restore()
        elif not self.broken:
            self._edit(final, number, end)

    def _edit(self, final: str, number: int, end: int) -> None:
        count = max(number, 1)
        if final in "KJ" and number != 1:
            self._cut(0 if number == 2 else self.column)
        elif final == "D":
            self.column = max(0, self.column - count)
        elif final == "C":
            self.column += count
        elif final in "G`":
            self.column = count - 1
        elif final == "P":
            del self.cells[self.column : self.column + count], self.ends[self.column : self.column + count]
        elif final == "@" and self.column < len(self.cells):
            self.cells[self.column : self.column] = " " * count
            self.ends[self.column : self.column] = [end] * count

    def _cut(self, column: int) -> None:
        del self.cells[column:], self.ends[column:]

    def save(self) -> None:
        """Remember where the cursor is."""
        self._saved = (self.column, self.broken)

    def restore(self) -> None:
        """Bring the cursor back to where it was remembered."""
        if self._saved is not None:
            self.column, self.broken = self._saved


@dataclass(frozen=True)
class _Run:
    """Finished text: its place in the whole text, and what it was made of."""

    at: int
    raw: int
    text: str
    sent: str


class Screen:
    """Text of a console. *controls* keeps control sequences as characters, *as_sent* carriage returns.

    Places in the text are counted from its beginning, places in the stream from the first byte that was fed.
    """

    def __init__(self, encoding: str = "utf-8", *, controls: bool = False, as_sent: bool = False) -> None:
        self._controls = controls
        self._as_sent = as_sent
        self._set_encoding(encoding_without_mark(encoding))
        self._may_swap = codecs.lookup(encoding).name in ("utf-16", "utf-32")
        self._runs: list[_Run] = []
        self._starts: list[int] = []
        self._line = _Line()
        self._line_at = 0
        self._line_raw = 0
        self._line_sent: list[str] = []
        self._carry = ""
        self._raw = 0
        #: The first place whose text may have changed since this was last set to `length`.
        self.changed_from = 0

    def _set_encoding(self, encoding: str) -> None:
        self._encoding = encoding
        self._errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)

    @property
    def length(self) -> int:
        """Characters of the whole text."""
        return self._line_at + self._line.length

    @property
    def line_start(self) -> int:
        """Where the line begins that is not finished."""
        return self._line_at

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._may_swap and data:
            self._may_swap = False
            if data[:2] == b"\xfe\xff" or data[:4] == b"\0\0\xfe\xff":
                self._set_encoding(self._encoding.replace("-le", "-be"))
        self._write(self._carry + self._decoder.decode(data))

    def finish(self) -> None:
        """Nothing more comes: take what is not complete as it is."""
        rest = self._decoder.decode(b"", True)
        text, self._carry = self._carry + rest, ""
        if text:
            self._slowly(text, final=True)

    def window(self, start: int) -> str:
        """The text from place *start* on."""
        if start >= self._line_at:
            return "".join(self._line.cells[start - self._line_at : self._line.length])
        first = max(0, bisect_right(self._starts, start) - 1)
        runs = self._runs[first:]
        parts = [run.text for run in runs]
        parts.append("".join(self._line.cells[: self._line.length]))
        at = runs[0].at if runs else self._line_at
        return "".join(parts)[max(0, start - at) :]

    @property
    def first(self) -> int:
        """Where the text begins that is still here."""
        return self._starts[0] if self._starts else self._line_at

    def forget(self, before: int) -> None:
        """Let go of text before place *before*, as far as whole runs go."""
        count = max(0, bisect_right(self._starts, before) - 1)
        del self._runs[:count], self._starts[:count]

    def raw_end(self, place: int) -> int:
        """Where in the stream the bytes end of the text before *place*."""
        if place > self._line_at:
            return max(self._line.ends[: place - self._line_at])
        index = bisect_right(self._starts, place - 1) - 1
        if place == 0 or index < 0:
            return 0
        return self._raw_end_in(self._runs[index], place)

    def _raw_end_in(self, run: _Run, place: int) -> int:
        """Write the line of *run* that has *place* once more, to see which bytes made it."""
        lines = run.text[: place - run.at - 1].count("\n")
        sent_at = text_at = 0
        for _ in range(lines):
            sent_at = run.sent.index("\n", sent_at) + 1
            text_at = run.text.index("\n", text_at) + 1
        again = _Again(
            self._encoding, self._controls, self._as_sent, run.raw + self._width(run.sent[:sent_at])
        )
        stop = run.sent.find("\n", sent_at) + 1 or len(run.sent)
        return again.end_of(run.sent[sent_at:stop], place - run.at - text_at)

    def _write(self, text: str) -> None:
        self._carry = ""
        at = 0 if self._line.is_plain else self._slow_line(text, 0)
        end = text.rfind("\n") + 1
        if at < end and not self._carry:
            at = self._lines(text[at:end], text, at)
        if at < len(text) and not self._carry:
            if (
                self._line.is_plain
                and (self._controls or not _SPECIAL.search(text, at))
                and "\r" not in text[at:]
            ):
                self._append(text[at:])
            else:
                self._slow_line(text, at)

    def _lines(self, block: str, text: str, at: int) -> int:
        """Take whole lines: at once if nothing moves the cursor, else one by one. Returns how far."""
        done = self._plain(block)
        if done is not None:
            self._quickly(block, done)
            return at + len(block)
        end = at + len(block)
        while at < end and not self._carry:
            stop = text.index("\n", at) + 1
            done = self._plain(text[at:stop]) if self._line.is_plain else None
            if done is None:
                at = self._slow_line(text, at)
            else:
                self._quickly(text[at:stop], done)
                at = stop
        return at

    def _plain(self, lines: str) -> str | None:
        """What *lines* look like if nothing in them moves the cursor, else None."""
        shown = lines if self._as_sent else lines.replace("\r\n", "\n")
        if not self._controls and _SPECIAL.search(shown):
            shown = _HARMLESS.sub("", shown)
            if _SPECIAL.search(shown):
                return None
        return None if not self._as_sent and "\r" in shown else shown

    def _quickly(self, sent: str, shown: str) -> None:
        self._line_sent.append(sent)
        self._raw += self._width(sent)
        self._end_run("".join(self._line.cells) + shown)

    def _slow_line(self, text: str, at: int) -> int:
        stop = text.find("\n", at) + 1 or len(text)
        taken = at + self._slowly(text[at:stop], final=False)
        if self._carry:
            # A sequence may have its end behind what looks like the end of the line.
            self._carry = text[taken:]
        return taken

    def _append(self, text: str) -> None:
        self._line_sent.append(text)
        self._line.put(text, self._ends(text))
        self._raw += self._width(text)
        self._split_when_long()

    def _slowly(self, text: str, *, final: bool) -> int:
        """Take (a part of) one line, token by token. Returns how much of it was taken; the rest is in the carry."""
        at = 0
        while at < len(text):
            token = None if self._controls else _TOKEN.match(text, at)
            if token is None and not self._controls and not final and _PARTIAL.match(text, at):
                self._carry = text[at:]
                return at
            at += self._take(text, at, token)
        return at

    def _take(self, text: str, at: int, token: re.Match[str] | None) -> int:
        """Take one token, or one character that is none. Returns its length."""
        sent = token[0] if token is not None else self._single(text, at)
        kind = token.lastgroup if token is not None else "single"
        printed = kind == "text" or (kind == "single" and self._prints(sent))
        if printed and self._line.broken:
            self._break()
        self._line_sent.append(sent)
        ends = self._ends(sent)
        self._raw += self._width(sent)
        if kind == "end" or (kind == "single" and sent == "\n"):
            self._end_line(sent)
        elif printed:
            self._touch()
            self._line.put(sent, ends)
            self._split_when_long()
        else:
            self._do(kind, sent, token)
        return len(sent)

    def _single(self, text: str, at: int) -> str:
        """What is taken of *text* where no token is: all up to the next line end when control characters are text."""
        if self._controls:
            found = (_UP_TO_NEWLINE if self._as_sent else _UP_TO_RETURN).match(text, at)
            return text[at] if found is None else found[0]
        broken = text[at] == "\x1b" and text[at + 1 : at + 2] not in ("", "\r", "\n", "\x1b")
        return text[at : at + 2] if broken else text[at]

    def _prints(self, single: str) -> bool:
        if single == "\n":
            return False
        return self._as_sent if single == "\r" else self._controls

    def _do(self, kind: str | None, sent: str, token: re.Match[str] | None) -> None:
        line = self._line
        if sent == "\r":
            line.broken = line.broken or bool(line.cells)
        elif sent == "\x08":
            if not line.broken:
                line.column = max(0, line.column - 1)
        elif kind == "csi" and token is not None:
            line.control(token["final"], token["parameters"], self._raw)
        elif kind == "escape":
            self._escape(sent[-1] if len(sent) == 2 else "")
        self._touch()

    def _escape(self, final: str) -> None:
        if final == "7":
            self._line.save()
        elif final == "8":
            self._line.restore()
        elif final and final in "DEMc":
            self._line.broken = True

    def _touch(self) -> None:
        """Note that the line may change from the cursor on."""
        self.changed_from = min(self.changed_from, self._line_at + min(self._line.column, self._line.length))

    def _end_line(self, sent: str) -> None:
        self._touch()
        text = "".join(self._line.cells[: self._line.length])
        self._end_run(text + (sent if self._as_sent and sent == "\n" else "\n"))

    def _break(self) -> None:
        """The text before the cursor's jump is a line of its own."""
        if self._line.cells:
            self._end_line("")
        self._line.broken = False
        self._line.column = 0

    def _split_when_long(self) -> None:
        if len(self._line.cells) > LONGEST_PART and self._line.is_plain:
            self._end_run("".join(self._line.cells))

    def _end_run(self, text: str) -> None:
        self._runs.append(_Run(self._line_at, self._line_raw, text, "".join(self._line_sent)))
        self._starts.append(self._line_at)
        self._line_at += len(text)
        self._line_raw = self._raw
        self._line_sent.clear()
        self._line = _Line()

    def _width(self, text: str) -> int:
        """How many bytes were *text*."""
        if text.isascii() and self._errors == "surrogateescape":
            return len(text)
        return len(text.encode(self._encoding, self._errors))

    def _ends(self, text: str) -> list[int]:
        """Where the bytes of each character of *text* end, if it comes next."""
        if text.isascii() and self._errors == "surrogateescape":
            return list(range(self._raw + 1, self._raw + len(text) + 1))
        return list(self._ends_by_width(text))

    def _ends_by_width(self, text: str) -> Iterator[int]:
        end = self._raw
        for character in text:
            end += self._width(character)
            yield end


class _Again(Screen):
    """Writes one line once more, and tells where the bytes of its text end."""

    def __init__(self, encoding: str, controls: bool, as_sent: bool, raw: int) -> None:
        super().__init__(encoding, controls=controls, as_sent=as_sent)
        self._raw = self._line_raw = raw
        self._all: list[int] = []

    def end_of(self, sent: str, place: int) -> int:
        """Where the bytes end of the first *place* characters of what *sent* becomes."""
        self._slowly(sent, final=True)
        self._all += self._line.ends
        # A line that another one has broken off has a line end without bytes of its own.
        return self._raw if place > len(self._all) else max(self._all[:place])

    def _end_run(self, text: str) -> None:
        ends = self._line.ends[: len(text)]
        self._all += ends + [self._raw] * (len(text) - len(ends))
        super()._end_run(text)
