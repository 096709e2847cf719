"""Runs the whole pipeline on this machine, on free loopback ports, with the configuration files that users deploy."""

from stack.part import Part, StartError
from stack.pipeline import Stack
from stack.probe import Jaeger, Prometheus, eventually
from stack.programs import Programs
from stack.service import Service

__all__ = ["Jaeger", "Part", "Programs", "Prometheus", "Service", "Stack", "StartError", "eventually"]
