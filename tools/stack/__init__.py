"""Runs the whole pipeline on this machine, on free loopback ports, with the configuration files that users deploy."""

from eventually import eventually
from stack.part import Part, StartError
from stack.pipeline import Stack, render_alertmanager
from stack.probe import Jaeger, Prometheus
from stack.programs import Programs
from stack.service import Service
from stack.webhook import Webhook

__all__ = [
    "Jaeger",
    "Part",
    "Programs",
    "Prometheus",
    "Service",
    "Stack",
    "StartError",
    "Webhook",
    "eventually",
    "render_alertmanager",
]
