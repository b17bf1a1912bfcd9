"""Inference as a queue of jobs: bounded, fair, one worker for each device, nothing computed twice at a time."""

from tumorseg.adapters.inference.queue import InferenceQueue
from tumorseg.adapters.inference.report import JobReport, QueueStats
from tumorseg.adapters.inference.subject import Subject

__all__ = ["InferenceQueue", "JobReport", "QueueStats", "Subject"]
