"""The listener for HL7 v2 over MLLP: connections in, frames to the flow, acknowledgments back.

    connection ─► allowed? ─► frames ─► one message at a time ─► a thread takes it in ─► acknowledgment ─► next

Law: an acknowledgment is sent only for what is decided. When a message cannot be kept, nothing is said and the
connection is closed, so that its sender sends it again.
"""

import asyncio
import contextlib
import signal
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any
from uuid import uuid4

import structlog

from service.api import counting
from service.api.hl7v2 import counted, new_control_id
from service.domain.audit import SYSTEM, Entry
from service.domain.errors import Fault, Unavailable
from service.flows.hl7v2 import Sending, Whole, take_in
from service.flows.means import Means
from service.flows.trail import Trail
from service.formats.hl7v2 import ack
from service.formats.hl7v2.ack import Stamp
from service.formats.hl7v2.frames import Frames, TooLarge, framed
from service.formats.hl7v2.head import head_of

Network = IPv4Network | IPv6Network
_PIECE = 65_536
_FAREWELL = 2  # seconds that the other side has to end the connection, too


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """Where is listened, to whom, and how long they are waited for (in seconds).

    ``allow`` empty: everybody who reaches the address. ``read``: from the first byte of a frame to its last, and for
    an acknowledgment to be taken. ``idle``: between two frames.
    """

    host: str
    port: int
    source: str
    allow: tuple[Network, ...] = ()
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    connections: int = 64
    threads: int = 4
    largest: int = 1_048_576
    read: float = 30
    idle: float = 600
    graceful: float = 30
    zone: tzinfo = UTC
    partial: bool = False
    remember: timedelta = timedelta(hours=24)


class Listener:
    """The listener of one process."""

    def __init__(self, listening: Listening, means: Means) -> None:
        self.dropped = 0  # bytes that belonged to no frame
        self._is, self._means = listening, means
        self._stopping = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(listening.threads, thread_name_prefix="mllp")
        self._trail = Trail(lambda: means.database, lost=counting.audit_lost)

    def stop(self) -> None:
        """Take no more messages; those under way are finished and answered."""
        self._stopping.set()

    async def run(self, ready: Callable[[str, int], None] | None = None) -> None:
        """Listen until ``stop``; ``ready`` hears where, once it is so."""
        tls: dict[str, Any] = {"ssl": self._is.tls, "ssl_shutdown_timeout": _FAREWELL} if self._is.tls else {}
        server = await asyncio.start_server(self._met, self._is.host, self._is.port, **tls)
        host, port = server.sockets[0].getsockname()[:2]
        structlog.get_logger().info("mllp listens", host=host, port=port, tls=self._is.tls is not None)
        if ready is not None:
            ready(host, port)
        await self._stopping.wait()
        server.close()
        if self._open:
            await asyncio.wait(self._open, timeout=self._is.graceful)
        # A thread cannot be stopped: what it still does is committed or not, and is answered when it is sent again.
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._trail.close()
        structlog.get_logger().info("mllp stopped", dropped_bytes=self.dropped)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        task = asyncio.current_task()
        if task is None or not self._welcome(writer):
            writer.close()
            return
        self._open.add(task)
        frames = Frames(longest=self._is.largest)
        try:
            await self._converse(reader, writer, frames)
        except (OSError, TimeoutError) as error:
            structlog.get_logger().info("mllp connection given up", why=type(error).__name__)
        finally:
            self._open.discard(task)
            self.dropped += frames.dropped
            if frames.dropped:
                structlog.get_logger().warning("bytes outside of frames", dropped_bytes=frames.dropped)
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), _FAREWELL)

    def _welcome(self, writer: asyncio.StreamWriter) -> bool:
        host = ip_address(writer.get_extra_info("peername")[0].partition("%")[0])
        mapped = getattr(host, "ipv4_mapped", None) or host
        if self._is.allow and not any(mapped in network for network in self._is.allow):
            structlog.get_logger().warning("mllp connection refused", why="its address is not allowed")
            return False
        if self._stopping.is_set() or len(self._open) >= self._is.connections:
            structlog.get_logger().warning("mllp connection refused", why="there are too many")
            return False
        return True

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: Frames) -> None:
        """Answer one message after another until the other side, or this service, is done."""
        while True:
            try:
                message = await self._next(reader, frames)
            except TooLarge as error:
                await self._send(writer, [_too_large(error.beginning, self._is.largest)])
                return
            if message is None or (replies := await self._replies(message)) is None:
                return
            await self._send(writer, replies)

    async def _next(self, reader: asyncio.StreamReader, frames: Frames) -> bytes | None:
        """The next message; None when there is none to wait for. Raises ``TimeoutError`` and ``TooLarge``."""
        until = None
        while (message := frames.next()) is None:
            if frames.begun and until is None:
                until = time.monotonic() + self._is.read
            patience = self._is.idle if until is None else until - time.monotonic()
            received = await self._received(reader, patience, waiting=not frames.begun)
            if not received:
                return None
            frames.feed(received)
        return message

    async def _received(self, reader: asyncio.StreamReader, patience: float, *, waiting: bool) -> bytes:
        """What comes next; nothing when the stream ends, or when the service stops while no frame has begun."""
        coming = asyncio.ensure_future(reader.read(_PIECE))
        stopping = asyncio.ensure_future(self._stopping.wait())
        told = {coming, stopping} if waiting else {coming}
        await asyncio.wait(told, timeout=max(patience, 0), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if coming.done():
            return coming.result()
        coming.cancel()
        if waiting and self._stopping.is_set():
            return b""
        raise TimeoutError

    async def _replies(self, message: bytes) -> Sequence[bytes] | None:
        """The acknowledgments of a message; None when it could not be kept."""
        began = time.perf_counter()
        sending = Sending(
            source=self._is.source,
            request_id=uuid4().hex,
            received_at=datetime.now(UTC),
            new_id=new_control_id,
            zone=self._is.zone,
            partial=self._is.partial,
            remember=self._is.remember,
        )
        loop = asyncio.get_running_loop()
        try:
            found: Whole = await loop.run_in_executor(self._threads, take_in, message, sending, self._means)
        except Unavailable as error:
            structlog.get_logger().warning("unavailable", why=error.why)
            self._trail.put(_entry(None, sending))
            return None
        self._trail.put(_entry(found, sending))
        for one in found.answered:
            counted(one, source=sending.source, door="mllp", seconds=time.perf_counter() - began)
        return found.replies

    async def _send(self, writer: asyncio.StreamWriter, replies: Sequence[bytes]) -> None:
        for reply in replies:
            writer.write(framed(reply))
        await asyncio.wait_for(writer.drain(), self._is.read)


def _entry(found: Whole | None, sending: Sending) -> Entry:
    """What is written down of a frame; there is nothing found in one that could not be kept."""
    answered = found.answered if found else ()
    receipts = [receipt for one in answered for receipt in one.receipts]
    patients = {one.patient for one in receipts if one.patient is not None}
    several = {"patients": len(patients)} if len(patients) > 1 else {}
    return Entry(
        at=sending.received_at,
        kind=SYSTEM,
        actor=sending.source,
        action="mllp",
        subject=patients.pop() if len(patients) == 1 else None,
        request_id=sending.request_id,
        outcome=answered[0].code if answered else "failed",
        detail={"messages": len(answered), "panels": len(receipts), **several},
    )


def _too_large(beginning: bytes, largest: int) -> bytes:
    head = head_of(beginning)
    fault = Fault(pointer="MSH^1", code="too-long", detail=f"the message has more than {largest} bytes")
    stamp = Stamp(id=new_control_id(), at=datetime.now(UTC))
    return ack.acknowledgment(head, ack.CONTENT, [ack.of_fault(fault)], stamp=stamp)


async def listen(listening: Listening, means: Means) -> None:
    """Listen until this process is asked to stop."""
    listener = Listener(listening, means)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, listener.stop)
    await listener.run()
