"""MLLP: messages framed in a stream, 0x0B … 0x1C 0x0D (HL7 version 3, transport specification MLLP release 1).

Law: it does not matter where the stream was cut. Bytes outside of frames are dropped and counted, never guessed at.
"""

START, END = b"\x0b", b"\x1c\r"


class TooLarge(Exception):
    """A frame is larger than is accepted; ``beginning`` is what there is of it."""

    def __init__(self, beginning: bytes) -> None:
        self.beginning = beginning
        super().__init__("a frame is too large")


class Frames:
    """The frames of one stream. ``dropped`` counts the bytes that belonged to none."""

    def __init__(self, *, longest: int) -> None:
        self.dropped = 0
        self._longest = longest
        self._inside = False
        self._held = bytearray()
        self._searched = 0

    @property
    def begun(self) -> bool:
        """Is there a frame that has not ended yet?"""
        return self._inside

    def feed(self, received: bytes) -> None:
        """Take what came."""
        self._held += received

    def next(self) -> bytes | None:
        """The next whole message, or None until more has come. Raises ``TooLarge``."""
        if not self._inside and not self._found_start():
            return None
        end = self._held.find(END, self._searched)
        if (end if end >= 0 else len(self._held)) > self._longest:
            raise TooLarge(bytes(self._held[: self._longest]))
        if end < 0:
            # The last byte may be the first of an end.
            self._searched = max(len(self._held) - 1, 0)
            return None
        message = bytes(self._held[:end])
        del self._held[: end + len(END)]
        self._inside, self._searched = False, 0
        return self._restarted(message)

    def _found_start(self) -> bool:
        start = self._held.find(START)
        outside = len(self._held) if start < 0 else start
        self.dropped += outside
        del self._held[: outside + (start >= 0)]
        self._inside, self._searched = start >= 0, 0
        return self._inside

    def _restarted(self, message: bytes) -> bytes:
        """Where a frame begins anew within another one, the first was broken off."""
        broken = message.rfind(START) + 1
        self.dropped += broken
        return message[broken:]


def framed(message: bytes) -> bytes:
    """A message as it goes over the wire."""
    return START + message + END
