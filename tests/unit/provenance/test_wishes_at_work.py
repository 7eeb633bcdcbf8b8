"""What people ask for at work without the verb for it."""

from __future__ import annotations

import time

import pytest

from streams.provenance.scope import derive_scopes


def kinds_of(text: str) -> set[str]:
    return {scope.kind for scope in derive_scopes(text)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Give Dr. Blum all of Dr. Rossi's patients on ward 3", "change"),
        ("let Tom have the open tickets from last week", "change"),
        ("hand the Larsen file over to Kim", "change"),
        ("Ida is taking over the Larsen project", "change"),
        ("the invoice of May is paid now", "change"),
        ("room 12 is now clean", "change"),
        ("what is left goes back to the queue", "change"),
        ("flip order 7001 to shipped", "change"),
        ("Mr. Larsen is no longer a tenant", "delete"),
        ("throw last year's drafts out", "delete"),
        ("strike Kim from the guest list", "delete"),
        ("please bin those photos", "delete"),
        ("take Kim off the rota", "delete"),
        ("the old ones are useless, out with them", "delete"),
        ("the photos of the party can go", "delete"),
        ("I've had it, so no more newsletters from them", "delete"),
        ("free up my Monday", "delete"),
        ("I need my whole afternoon free", "delete"),
        ("I can't make the yoga class", "delete"),
        ("the picnic isn't happening", "delete"),
        ("cc Kim on the reply", "send"),
        ("keep the tenants informed", "send"),
        ("My accountant needs the invoices of May", "send"),
        ("the caterer should get our final numbers and the notes of Kim", "send"),
        ("shoot Kim a short mail", "send"),
        ("pass the minutes on to Kim", "send"),
        ("45 minutes with the dentist, any morning", "create"),
        ("I want to meet Ida next week", "create"),
        ("Ida is our new tenant", "create"),
        ("New ticket: the lift is stuck", "create"),
        ("enter Ida as a new patient", "create"),
        ("plot the temperature of March", "create"),
        ("I need a bar chart of sales", "create"),
        ("My doctor has to know that I'm allergic", "send"),
        ("the builder still doesn't have our final plans in the files", "send"),
        ("we're not doing the picnic", "delete"),
        ("the guests have to be called off", "delete"),
        ("the fee should be 30", "change"),
        ("Tom's shift becomes a late one", "change"),
        ("A reminder for me: water the plants", "create"),
        ("a court for two on Sunday", "create"),
        ("Ida ist ab heute in Team 4", "change"),
        ("Der Arzt muss wissen, dass ich allergisch bin", "send"),
        ("La cuota pasa a 30", "change"),
        ("Un promemoria per domani: le piante", "create"),
        ("last year's drafts to the trash", "delete"),
        ("keep these ads out of my feed", "delete"),
        ("Kim has moved away, out of the list", "delete"),
        ("the old lists aren't needed", "delete"),
        ("Kim wants to be forgotten", "delete"),
        ("the picnic falls through", "delete"),
        ("Monday won't work for me", "delete"),
        ("my class begins an hour later", "change"),
        ("Kim's invoices of May to Ida please", "send"),
        ("'See you!' to his last mail", "send"),
        ("Tom hasn't got the minutes", "send"),
        ("The tenants missed our last letter", "send"),
        ("Monday at nine, 45 minutes, with the dentist", "create"),
        ("an hour in my first gap tomorrow", "create"),
        ("Kim and I should meet", "create"),
        ("Die alten Entwürfe in den Papierkorb", "delete"),
        ("Der Kurs am Montag fällt aus", "delete"),
        ("Mon cours commence une heure plus tard", "change"),
        ("Las fotos viejas a la papelera", "delete"),
        ("Tom wartet auf die Rechnungen", "send"),
        ("Wirf die alten Entwürfe weg", "delete"),
        ("Nimm Kim bitte aus dem Verteiler", "delete"),
        ("Die Fotos vom Fest können weg", "delete"),
        ("Sag den Zahnarzt am 3. März ab", "delete"),
        ("Halt mir den Montag frei", "create"),
        ("Gib Tom alle offenen Aufgaben von Ida", "change"),
        ("Ida übernimmt das Projekt", "change"),
        ("Benenne die Datei in plan.md um", "change"),
        ("Die Steuerberaterin braucht die Rechnungen vom Mai", "send"),
        ("Mach mit Ida am Dienstag einen Termin", "create"),
        ("Donne à Kim les dossiers de Marie", "change"),
        ("Décale le rendez-vous d'une heure", "change"),
        ("Kim a besoin des factures de mai", "send"),
        ("une demi-heure avec Marie demain", "create"),
        ("Dale a Kim los casos de Marta", "change"),
        ("Marta necesita los informes de mayo", "send"),
        ("Agenda una cita con Marta", "create"),
        ("A Marta precisa dos relatórios de maio", "send"),
        ("Assegna le pratiche a Marta", "change"),
        ("Butta le vecchie bozze", "delete"),
        ("mezz'ora con Marta domani", "create"),
        ("Przypisz zadania Kim", "change"),
        ("Wyrzuć stare szkice", "delete"),
    ],
)
def test_what_people_want_at_work_asks_for_an_act(text: str, kind: str) -> None:
    assert kind in kinds_of(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Give me all of Dr. Rossi's patients on ward 3", "change"),
        ("pass me the open tickets", "change"),
        ("Who takes over?", "change"),
        ("Where is it now?", "change"),
        ("Is there no meeting on Friday?", "delete"),
        ("Can I go?", "delete"),
        ("take 10 off the bill", "delete"),
        ("don't throw the drafts out", "delete"),
        ("Which bins are collected on Monday?", "delete"),
        ("I need the notes of Kim", "send"),
        ("What does Kim's mail say?", "send"),
        ("I spent an hour with her", "create"),
        ("How long is the film on Friday, two hours?", "create"),
        ("She was half an hour late on Monday", "create"),
        ("I haven't got the minutes", "send"),
        ("What is in the trash?", "delete"),
        ("Does it work on Monday?", "delete"),
        ("I want to see my bill", "create"),
        ("What does the chart say?", "create"),
        ("Ich brauche die Rechnungen vom Mai", "send"),
        ("Gib mir alle Aufgaben von Ida", "change"),
        ("Wirf die alten Entwürfe nicht weg", "delete"),
        ("Donne-moi les dossiers de Marie", "change"),
    ],
)
def test_what_people_tell_or_look_up_at_work_asks_for_no_act(text: str, kind: str) -> None:
    assert kind not in kinds_of(text)


@pytest.mark.parametrize(
    "part",
    [
        "give all ", "pass a ", "take off ", "throw a ", "no more ", "half an hour ", "i want to see kim ", "cc a ",
        "kim needs the ", "drop a ", "new ", "assign a ", "is responsible for ", "gib a ", "wirf a ", "nimm a ",
        "kim braucht a ", "mach a ", "30 minuten a ", "donne a ", ", a", "need my ", "dr. ",
    ],
)  # fmt: skip
def test_a_long_message_is_read_in_linear_time(part: str) -> None:
    begun = time.process_time()
    derive_scopes(part * (20_000 // len(part)))
    assert time.process_time() - begun < 2
