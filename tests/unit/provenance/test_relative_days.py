"""Days that are said by how far they are away: what is found in a text, and which days that means."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.provenance.atoms.days_meant import FORMS, days_apart, days_of, forms_of
from streams.provenance.atoms.relative_days import FORMS_MAX, days_said, proves_day, says_day

TUESDAY_MS = int(datetime(2026, 3, 3, 9, tzinfo=UTC).timestamp() * 1_000)

SAME = {
    "+14d": (
        "in two weeks, in 14 days, in a fortnight, two weeks from now, in a couple of weeks, in zwei Wochen, "
        "in 14 Tagen, dans deux semaines, dans 14 jours, dentro de dos semanas, en catorce días, daqui a duas semanas, "
        "tra due settimane, fra 14 giorni, za dwa tygodnie, za 14 dni"
    ),
    "+2d": (
        "the day after tomorrow, in two days, übermorgen, après-demain, pasado mañana, depois de amanhã, "
        "dopodomani, pojutrze"
    ),
    "-3d": (
        "three days ago, vor drei Tagen, il y a trois jours, hace tres días, há três dias, tre giorni fa, trzy dni temu"
    ),
    "+1m": "in a month, in einem Monat, dans un mois, dentro de un mes, tra un mese, za miesiąc",
    "end:m+0": (
        "at the end of the month, by month-end, on the last day of the month, am Monatsende, Ende des Monats, "
        "à la fin du mois, a fin de mes, no fim do mês, a fine mese, pod koniec miesiąca"
    ),
    "end:m+1": "at the end of next month, Ende nächsten Monats, à la fin du mois prochain",
    "start:m+1": "on the first of next month, Anfang nächsten Monats, am Ersten des nächsten Monats",
    "wd4": "on Friday, am Freitag, vendredi, el viernes, na sexta-feira, venerdì, w piątek",
    "wd4+": "next Friday, nächsten Freitag, vendredi prochain, el viernes que viene, venerdì prossimo",
    "we+0": "this weekend, am Wochenende, ce week-end, este fin de semana, nel fine settimana",
    "w+1": "next week, nächste Woche, la semaine prochaine, la semana que viene, w przyszłym tygodniu",
    "m+1": "next month, nächsten Monat, le mois prochain, el mes que viene, il mese prossimo",
    "by:+7d": (
        "a week later, postpone it by a week, push it back a week, eine Woche später, repousse-le d'une semaine, "
        "aplázalo una semana, adie por uma semana, una settimana dopo, przesuń o tydzień"
    ),
    "by:-1d": "one day earlier, bring it forward a day, einen Tag früher, un jour plus tôt, un día antes",
}


@pytest.mark.parametrize(("form", "text"), [(form, text) for form, texts in SAME.items() for text in texts.split(", ")])
def test_one_day_has_one_form_in_all_languages(form: str, text: str) -> None:
    assert form in days_said(f"Book it {text}.")


@pytest.mark.parametrize(
    "text",
    [
        "The invoice is attached, and a mail is on its way.",
        "See week 12 of the plan.",
        "It has been 14 days.",
        "Not in two weeks.",
        "Aber nicht in 14 Tagen.",
        "Pero no en dos semanas, ni no el viernes.",
        "It isn't on Friday.",
        "mes amis et un anniversaire",
        "in 4000 days",
        "an apple a day",
        "",
    ],
)
def test_other_words_say_no_day(text: str) -> None:
    assert days_said(text) == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Don't book it in two weeks.", False),
        ("Never schedule anything in two weeks.", False),
        ("Book it, and nothing in two weeks.", False),
        ("Buche es auf keinen Fall in zwei Wochen.", False),
        ("Ne r\u00e9serve pas la salle dans deux semaines.", False),
        ("Don't forget to book it in two weeks.", True),
        ("Why don't you book it in two weeks?", True),
        ("I don't have time, so book it in two weeks.", True),
        ("Do not book it today but in two weeks.", True),
        ("Book it in two weeks, not tomorrow.", True),
    ],
)
def test_who_denies_something_of_a_day_does_not_want_it(text: str, *, wanted: bool) -> None:
    assert ("+14d" in days_said(text, wanted=True)) is wanted
    assert "+14d" in days_said(text), "others may order it with any words"


@pytest.mark.parametrize(
    ("form", "days"),
    [
        ("+14d", ["2026-03-17"]),
        ("+1m", ["2026-04-03"]),
        ("+12m", ["2027-03-03"]),
        ("wd1", ["2026-03-03"]),
        ("wd0", ["2026-03-09"]),
        ("we+0", ["2026-03-07", "2026-03-08"]),
        ("end:m+0", ["2026-03-31"]),
        ("end:m+1", ["2026-04-30"]),
        ("end:y+0", ["2026-12-31"]),
        ("start:m+1", ["2026-04-01"]),
    ],
)
def test_a_form_means_a_day(form: str, days: list[str]) -> None:
    assert days_of(form, TUESDAY_MS) == days


def test_a_month_later_is_never_behind_the_end_of_a_month() -> None:
    assert days_of("+1m", int(datetime(2026, 1, 31, tzinfo=UTC).timestamp() * 1_000)) == ["2026-02-28"]


@given(form=st.sampled_from([form for form in FORMS if says_day(form)]), said_ms=st.integers(0, 4_000_000_000_000))
def test_whoever_means_a_day_can_have_ordered_it(form: str, said_ms: int) -> None:
    for day in days_of(form, said_ms):
        assert form in forms_of(day, said_ms)


@given(said_ms=st.one_of(st.integers(), st.integers(-(10**15), 10**15)), day=st.text(max_size=12))
def test_no_instant_and_no_text_is_too_odd(said_ms: int, day: str) -> None:
    for form in FORMS:
        days_of(form, said_ms)
    forms_of(day, said_ms)
    forms_of("9999-12-31", said_ms)
    assert list(days_apart("9999-12-31", lambda form: form == "by:-7d")) == []


@given(text=st.text(alphabet="in 14 days,.two weeks\u00fc\u0130\u00df", max_size=60))
def test_what_is_found_is_a_form(text: str) -> None:
    assert all(form in FORMS or form.startswith("by:") for form in days_said(text))


def test_no_text_says_too_many_days() -> None:
    assert len(days_said(" ".join(f"in {days} days." for days in range(1, 300)))) == FORMS_MAX


def test_whoever_says_today_proves_nothing() -> None:
    assert [form for form in ("+0d", "+1d", "-1d", "wd4", "wd4+", "we+0", "w+1", "by:+7d") if proves_day(form)] == []
    assert [form for form in ("+0d", "wd4+", "w+1", "m+1", "we+1", "by:+7d", "end:w+0") if says_day(form)] == ["+0d"]


def test_a_day_that_counts_from_another_one_is_found_among_the_first_forms() -> None:
    # A message costs a look at all forms up to the last one that it says: 1.4 ms instead of 0.1 ms.
    assert max(map(FORMS.index, days_said("Move it by a week."))) < 200
