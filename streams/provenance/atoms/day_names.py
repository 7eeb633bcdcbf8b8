"""The names of days in the languages that are read, as they are written, with `_` in the place of a space."""

from __future__ import annotations

DAYS_AHEAD = (
    "today tonight heute aujourd'hui hoy hoje oggi dzisiaj",
    "tomorrow morgen demain mañana amanhã domani jutro",
    "overmorrow übermorgen après-demain pasado_mañana depois_de_amanhã dopodomani pojutrze day_after_tomorrow",
)
"""Names of today, of tomorrow, and of the day after: the place in the row says how far a day is ahead."""
WEEKDAYS = (
    "monday montag lundi lunes segunda-feira lunedì",
    "tuesday dienstag mardi martes terça-feira martedì",
    "wednesday mittwoch mercredi miércoles quarta-feira mercoledì",
    "thursday donnerstag jeudi jueves quinta-feira giovedì",
    "friday freitag vendredi viernes sexta-feira venerdì",
    "saturday samstag samedi sábado sabato",
    "sunday sonntag dimanche domingo domenica",
)
"""Names of Monday to Sunday."""
