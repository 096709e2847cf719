"""Runs the whole pipeline on this machine, on free loopback ports, with the configuration files that users deploy."""

from stack.part import Part, StartError
from stack.pipeline import Stack
from stack.programs import Programs

__all__ = ["Part", "Programs", "Stack", "StartError"]
