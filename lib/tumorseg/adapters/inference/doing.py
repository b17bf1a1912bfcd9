"""The steps of tasks, done so that what goes wrong is a value: it belongs to one job or answer, never to a thread."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tumorseg.adapters.inference.job import Task

logger = logging.getLogger(__name__)


def error_of(step: Callable[[], None]) -> Exception | None:
    """Do one step and return what it raises."""
    try:
        step()
    except Exception as error:
        return error
    return None


def done(task: Task, wanted: Any) -> Future[Any]:
    """Put an answer into the wanted form; what goes wrong belongs to this form alone."""
    answer: Future[Any] = Future()
    try:
        answer.set_result(task.answer(wanted))
    except Exception as error:
        answer.set_exception(error)
    return answer


def computed(tasks: list[Task]) -> list[Exception | None]:
    """Run tasks together; where that fails one by one, so that only the one that fails gets its error."""
    try:
        return tasks[0].run(tasks)
    except Exception as error:
        if len(tasks) == 1:
            return [error]
        logger.warning("%d jobs of %s failed together (%s): running them alone", len(tasks), tasks[0].model, error)
    return [computed([task])[0] for task in tasks]
