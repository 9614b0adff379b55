"""Image files decoded on all cores, in order and in bounded memory, by processes of their own.

Of the time that a small image takes Python's lock is held for two thirds: threads decode those of
Tiny-ImageNet no faster than one does. A process here imports Pillow and NumPy alone, and ends when
what started it has ended, whatever ended that.
"""

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from itertools import islice
from math import prod
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import numpy as np

from sanity.core.cores import cores
from sanity.core.errors import as_line, reason
from sanity.data.decoding import Decoded, Form, decode

WORTH = 250  # images of a process at least: to start one takes as long as to decode a thousand
BLOCK = 64  # images that a process is given at a time, so that asking costs little
BLOCK_BYTES = 1 << 20  # of files and pixels in a block, of which there are two a process
ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from sanity.data.decoders import serve; serve(sys.argv[1])"

Load = Callable[[str], bytes]

Answer = Decoded | str
"""The image in a file, or why there is none, in a line."""


def decode_files(names: Sequence[str], load: Load, form: Form) -> Generator[Answer, None, None]:
    """What is in each file, in the order of ``names``; close it to end its processes at once.

    ``load`` gives a file's contents, and is called by several threads. Besides the image that is
    handed out, two blocks a process are in memory.
    """
    count = min(cores(), len(names) // WORTH)
    if count < 2:
        yield from (_attempt(name, load, form) for name in names)
        return
    decoders: SimpleQueue[_Decoder] = SimpleQueue()
    started = [_Decoder(form) for _ in range(count)]
    for decoder in started:
        decoders.put(decoder)
    ending = threading.Event()

    def work(block: Sequence[str]) -> tuple[list[Answer], int]:
        decoder = decoders.get()
        try:
            return decoder.decode(block, load, ending)
        finally:
            decoders.put(decoder)

    threads = ThreadPoolExecutor(count, "decoder")
    try:
        yield from _in_order(iter(names), lambda block: threads.submit(work, block), 2 * count)
    finally:
        ending.set()
        for decoder in started:
            decoder.kill()  # who waits for its answer waits no longer
        threads.shutdown(cancel_futures=True)
        for decoder in started:
            decoder.close()


def _in_order(
    names: Iterator[str],
    submit: Callable[[Sequence[str]], "Future[tuple[list[Answer], int]]"],
    most: int,
) -> Iterator[Answer]:
    """The answers of ``most`` blocks under way; blocks are as large as the largest image allows."""
    under_way: deque[Future[tuple[list[Answer], int]]] = deque()
    largest = 0  # bytes of an image, its file and its pixels
    while True:
        # One by one, until it is known how large they are.
        count = max(1, min(BLOCK, BLOCK_BYTES // largest)) if largest else 1
        while len(under_way) < most and (block := list(islice(names, count))):
            under_way.append(submit(block))
        if not under_way:
            return
        answers, found = under_way.popleft().result()
        largest = max(largest, found)
        yield from answers


def _attempt(name: str, load: Load, form: Form) -> Answer:
    content = _loaded(name, load)
    return content if isinstance(content, str) else _decoded(content, form)


def _loaded(name: str, load: Load) -> bytes | str:
    try:
        return load(name)
    except OSError as error:
        return as_line(reason(error))
    except ValueError as error:
        return as_line(error)


def _decoded(content: bytes, form: Form) -> Answer:
    try:
        return decode(content, form)
    except OSError as error:
        return as_line(reason(error))
    except ValueError as error:
        return as_line(error)


class _Decoder:
    """A process that decodes; where it cannot be started, or was killed, this one does its work."""

    _alone = threading.Lock()  # what decode asks of Python's warnings counts for all threads

    def __init__(self, form: Form) -> None:
        self._form = form
        self._process: subprocess.Popen[bytes] | None = None
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with suppress(OSError, ValueError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", COMMAND, json.dumps(asdict(form))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # whatever ends it, this process tries the same
                env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
                start_new_session=True,  # Ctrl-C in a terminal is for whoever started it
            )

    def decode(
        self, names: Sequence[str], load: Load, ending: threading.Event
    ) -> tuple[list[Answer], int]:
        """The answers for a block of files, and the bytes of the largest image among them."""
        contents: list[bytes | str] = []
        for name in names:
            if ending.is_set():
                return [], 0
            contents.append(_loaded(name, load))
        given = [content for content in contents if isinstance(content, bytes)]
        try:
            found = iter(self._ask(given))
        except (OSError, ValueError):
            self.kill()
            if ending.is_set():
                return [], 0
            with self._alone:
                found = iter([_decoded(content, self._form) for content in given])
        answers = [content if isinstance(content, str) else next(found) for content in contents]
        return answers, max(map(_bytes, contents, answers), default=0)

    def _ask(self, contents: Sequence[bytes]) -> list[Answer]:
        """The process's answers; raises OSError or ValueError where there is none any more."""
        process = self._process
        if process is None or process.poll() is not None:
            raise OSError("no process")
        assert process.stdin is not None
        assert process.stdout is not None
        _write_line(process.stdin, [len(content) for content in contents])
        process.stdin.writelines(contents)
        process.stdin.flush()
        return [
            answer if isinstance(answer, str) else _image(process.stdout, *answer)
            for answer in json.loads(process.stdout.readline())
        ]

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        """Wait for the end of a process that was killed."""
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):  # what it no longer takes
                    assert pipe is not None
                    pipe.close()
            self._process.wait()


def _bytes(content: bytes | str, answer: Answer) -> int:
    return len(content) + (answer.pixels.nbytes if isinstance(answer, Decoded) else 0)


def _image(source: IO[bytes], shape: Sequence[int], traits: Sequence[str]) -> Decoded:
    """An image whose pixels are what comes next; ValueError where they do not come."""
    pixels = np.frombuffer(source.read(prod(shape)), dtype=np.uint8)
    return Decoded(pixels.reshape(shape), set(traits))


def _write_line(sink: IO[bytes], value: object) -> None:
    sink.write(json.dumps(value).encode() + b"\n")


def serve(form: str) -> None:
    """Be such a process: answer blocks of files from stdin on stdout, until stdin ends.

    A block is a line with the files' sizes, then the files; its answer is a line with a text or
    [shape, traits] for each, then the pixels of all images.
    """
    wanted, source, sink = Form(**json.loads(form)), sys.stdin.buffer, sys.stdout.buffer
    with suppress(OSError):  # nobody is left to be answered
        while line := source.readline():
            # All are read before any is decoded: nobody may wait for who waits for him.
            contents = [source.read(size) for size in json.loads(line)]
            answers = [_decoded(content, wanted) for content in contents]
            images = [answer for answer in answers if isinstance(answer, Decoded)]
            told = [
                a if isinstance(a, str) else (a.pixels.shape, sorted(a.traits)) for a in answers
            ]
            _write_line(sink, told)
            for image in images:
                sink.write(np.ascontiguousarray(image.pixels).data)
            sink.flush()
    os._exit(0)  # without another attempt at what could not be written
