"""Whoever makes something of the city: a new module is named here, and nowhere else."""

from __future__ import annotations

from twin.demo.lanjiang import cameras, devices, expected, models, survey
from twin.demo.lanjiang.administration.subject import SUBJECT as ADMINISTRATION
from twin.demo.lanjiang.faults import deliveries
from twin.demo.lanjiang.pipelines.subject import SUBJECT as PIPELINES
from twin.demo.lanjiang.subject import Subject

SUBJECTS: tuple[Subject, ...] = (
    survey.SUBJECT,
    ADMINISTRATION,
    PIPELINES,
    devices.SUBJECT,
    cameras.SUBJECT,
    models.SUBJECT,
    expected.SUBJECT,
    deliveries.SUBJECT,
)
