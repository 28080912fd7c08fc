"""Features of many chunks, in this process or shared among several; the order and the features are the same."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np

from ..errors import ConfigError, LimnerError
from .extractor import Extractor, Features

_here: Extractor | None = None  # in a worker: its own copy


def spread(extractor: Extractor, chunks: Iterable[np.ndarray], *, processes: int = 1) -> Iterator[Features]:
    """The features of each chunk, in order.

    processes   each with its share of the cores and a copy of the network; the images are sent to them

    At most two chunks a process are under way, so memory does not grow with the number of images. Raises what the
    extractor raises, and LimnerError when a process dies.
    """
    if processes < 1:
        raise ConfigError(f"processes={processes} is not possible; use 1 or more")
    if processes == 1:
        yield from map(extractor, chunks)
    else:
        yield from _by_processes(extractor, chunks, processes)


def _by_processes(extractor: Extractor, chunks: Iterable[np.ndarray], processes: int) -> Iterator[Features]:
    threads = max(1, (os.cpu_count() or 1) // processes)
    pool = ProcessPoolExecutor(processes, get_context("spawn"), initializer=_start, initargs=(extractor, threads))
    waiting: deque[Future[Features]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_work, np.asarray(chunk)))
            if len(waiting) == 2 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise LimnerError(f"one of {processes} processes died; it may have run out of memory, so try fewer") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _start(extractor: Extractor, threads: int) -> None:
    global _here
    _here = extractor
    if torch := sys.modules.get("torch"):  # a network has brought it
        torch.set_num_threads(threads)


def _work(chunk: np.ndarray) -> Features:
    assert _here is not None
    return _here(chunk)
