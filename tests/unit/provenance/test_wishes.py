"""Requests that ask for an act without calling it by its name."""

from __future__ import annotations

import time

import pytest

from streams.provenance.acts.kinds import DELEGATE, FILL
from streams.provenance.requests.kinds import request_kinds


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("and open the main door of the cabin for the plumber", "secure"),
        ("Close the blinds in the bedroom please", "secure"),
        ("Mach bitte die Haustür auf", "secure"),
        ("Ouvre le portail", "secure"),
        ("Abre la puerta del garaje", "secure"),
        ("Abre o portão", "secure"),
        ("Apri il cancello", "secure"),
        ("Meter reading is 24903, from today.", "change"),
        ("the odometer says 52310", "create"),
        ("Der Zählerstand ist 24903", "change"),
        ("Le compteur indique 24903", "change"),
        ("La lectura del contador es 24903", "change"),
        ("Da steht der Zählerstand drin, bitte eintragen", "change"),
        ("my new address is 12 High Street, Leeds", "change"),
        ("Meine neue Adresse ist Lange Str. 5", "change"),
        ("Ma nouvelle adresse est 4 rue Haute", "change"),
        ("he typed his street wrong", "change"),
        ("its TP-5106, the street is Nygata 14 not 41", "change"),
        ("Tomek can pick up Ola tomorrow.", "share"),
        ("I'm not home tomorrow so let it go to the neighbours", "change"),
        ("Point blog.acme.example to the new address", "change"),
        ("Pay the fee and sign the form.", "secure"),
        ("Unterschreib das Formular", "secure"),
        ("Liv wants her deposit back", "pay"),
        ("30 euros, to the account in her mail", "pay"),
        ("I'd like to talk to my advisor", "book"),
        ("Ich möchte mit meiner Beraterin sprechen", "book"),
        ("Vorrei parlare con il consulente", "book"),
        ("the green one would be nice from the next month", "change"),
        ("renew the domain acme.example", "pay"),
        ("Ship TP-5104: cheapest label", "pay"),
        ("send her a link by mail", "share"),
        ("make a code for the front door for her", "share"),
        ("buy what's on the shopping list", "change"),
        ("Kannst du Ben Bescheid sagen?", "send"),
        ("Schreib ne Notiz auf die Website", "post"),
        ("Odpisz mu, że będziemy o 15", "send"),
        ("Zapłać rachunek za prąd", "pay"),
        ("Powiedz jej, że przyjdę", "send"),
        ("If the gate isn't shut, shut the gate", "secure"),
        ("Is the alarm on? If not, arm it", "secure"),
        ("if it doesn't fit, cancel the order", "delete"),
        ("Is it paid? If not, can you cancel the order?", "delete"),
        ("Move it and confirm to the guest", "send"),
        ("and confirm in the same ticket", "send"),
        ("I described all of it in case 7120.", "send"),
        ("I wrote all that in my support ticket", "send"),
        ("confirm it to desk@acme.example", "send"),
        ("Confirm with them", "send"),
        ("Bestätige ihr den Termin", "send"),
        ("Bestätige es den Gästen", "send"),
        ("Confirme-leur par mail", "send"),
        ("Ändere es und bestätige es dort", "send"),
        ("Cámbialo y confírmaselo", "send"),
        ("Cambialo e confermaglielo", "send"),
        ("Change-le et confirme-lui par mail", "send"),
        ("They offered me a refund for the lamp, I accept that", "pay"),
        ("I'll take the 15 euros that they offered", "pay"),
        ("Das Angebot nehme ich an", "pay"),
        ("J'accepte le remboursement", "pay"),
        ("Acepto la oferta", "pay"),
        ("Aceito a proposta", "pay"),
        ("Accetto il rimborso", "pay"),
        ("I'd accept the offer of 20.50 euros. Can you arrange it?", "pay"),
        ("Sag ihnen, das Angebot über 20 Euro nehmen wir an", "pay"),
        ("I found my card, you can open it again", "secure"),
        ("you can open it again, the card was in my bag", "secure"),
        ("My account is safe now. Please get it working again", "secure"),
        ("make the line work again", "secure"),
        ("I want you to open my account again", "secure"),
    ],
)
def test_a_request_asks_for_an_act_that_it_does_not_name(text: str, kind: str) -> None:
    assert kind in request_kinds(text)


@pytest.mark.parametrize(
    "text", ["Proszę nie wysyłać faktury.", "Nie anuluj rezerwacji.", "Nie zapłać rachunku.", "Nie odpisuj mu."]
)
def test_what_is_denied_in_polish_is_not_asked_for(text: str) -> None:
    assert request_kinds(text.replace("nie ", "").replace("Nie ", ""))
    assert not request_kinds(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Don't open the front door", "secure"),
        ("Open the mail from the door company", "secure"),
        ("What is the meter reading?", "change"),
        ("Does my new address show?", "change"),
        ("Who can pick up Ola?", "share"),
        ("Where did Liv put the deposit?", "pay"),
        ("What would be nice to see in Rome?", "change"),
        ("When does the domain run out?", "pay"),
        ("Who has signed the form?", "secure"),
        ("Is there a code for the front door?", "share"),
        ("What is on the shopping list?", "change"),
        ("Ne paie pas la facture", "pay"),
        ("Il ne faut jamais envoyer ce document", "send"),
        ("Nie płać rachunku, nie wysyłaj maila", "send"),
        ("Powiedz mi, kiedy przyjdą", "send"),
        ("If it rains, don't shut the gate", "secure"),
        ("You must not pay O-10001 if it does not match, or cancel it.", "delete"),
        ("Please do not, if not confirmed, book the hotel", "book"),
        ("Don't pay if not approved, or send", "pay"),
        ("If not told otherwise, send nothing", "send"),
        ("If I don't pay, will they cancel O-10001?", "delete"),
        ("Is O-10001 paid? If not, can they cancel O-10001?", "delete"),
        ("Ask them if not cancelling O-10001 costs money", "delete"),
        ("If she isn't there, do not cancel the order", "delete"),
        ("confirm to me that it is done", "send"),
        ("Don't confirm to the guest yet", "send"),
        ("They offered me a refund, I don't accept that", "pay"),
        ("What do they offer? I take the train", "pay"),
        ("do we get dinner on the train", "pay"),
        ("Das Angebot nehme ich nicht an", "pay"),
        ("Should I accept the refund they offered?", "pay"),
        ("They offered me 50 euros, should I accept that", "pay"),
        ("What happens if I accept the offer of 50 euros?", "pay"),
        ("I accept the offer of 20.50 euros, or is that too little?", "pay"),
        ("Before I accept the offer of a 20% discount, show me the contract", "pay"),
        (
            "They offered me a 20% discount on renewal and I am happy with that, just summarise the mail",
            "pay",
        ),
        ("They offered me a voucher for 20 euros, I accept that", "pay"),
        ("Tell me what I lose once I accept the refund they offered", "pay"),
        ("Nehme ich das Angebot an?", "pay"),
        ("Das Angebot nehme ich an, oder ist es zu wenig?", "pay"),
        ("Que se passe-t-il si j'accepte l'offre", "pay"),
        ("Est-ce que j'accepte l'offre ?", "pay"),
        ("Qué pasa si acepto la oferta", "pay"),
        ("O que acontece se eu aceito a oferta", "pay"),
        ("Che succede se accetto l'offerta", "pay"),
        ("do we get anything for the delay", "pay"),
        ("Bekomme ich etwas für die Wartezeit?", "pay"),
        ("¿Me dan algo por la espera?", "pay"),
        ("Tenho direito a uma compensação?", "pay"),
        ("Confirm to proceed", "send"),
        ("Please confirm to have received my file", "send"),
        ("Confirm to the best of your knowledge", "send"),
        ("Can you confirm with the calendar that I'm free?", "send"),
        ("Can you confirm there's a seat", "send"),
        ("Confirm there is a train at nine", "send"),
        ("Please confirm in that case", "send"),
        ("I asked for a quiet room in case of noise", "send"),
        ("I asked for a room in the case of noise", "send"),
        ("Bestätige den Termin", "send"),
        ("Bestätige ihr Angebot", "send"),
        ("Confirmez leur réservation", "send"),
        ("open it for me", "secure"),
        ("The PDF closed, open it again", "secure"),
        ("Can you open it again and read page 3", "secure"),
        ("When I open it again, it is empty", "secure"),
        ("Get it working again", "secure"),
        ("When I open the account again, it is empty", "secure"),
        ("I have the line working again", "secure"),
        ("The PDF of my account closed, please open it again", "secure"),
        ("My account statement closed, please open it again", "secure"),
        ("Please open it again and read the account", "secure"),
        ("Confirma la reserva", "send"),
        ("Conferma la prenotazione", "send"),
    ],
)
def test_what_is_asked_about_or_denied_is_not_asked_for(text: str, kind: str) -> None:
    assert kind not in request_kinds(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Pay 30 euros, to the account in her mail", FILL),
        ("Pay the money for the trip, details are in the portal.", FILL),
        ("Let it go to the neighbours, whoever said yes in the chat", FILL),
        ("Do points 1 to 3 of my memo 'monday' please", DELEGATE),
        ("It's in my notes, title 'week'. Do the ones about boats", DELEGATE),
        ("Erledige bitte Punkt 2 aus dem Memo", DELEGATE),
    ],
)
def test_where_values_and_tasks_stand_is_said_in_passing(text: str, left: str) -> None:
    assert left in request_kinds(text)


@pytest.mark.parametrize("text", ["What do the notes say? Points 1 to 3 of my memo are done.", "I do them myself."])
def test_who_speaks_of_his_notes_leaves_nothing_to_them(text: str) -> None:
    assert DELEGATE not in request_kinds(text)


@pytest.mark.parametrize(
    "part",
    [
        "30 eur,",
        "open the ",
        "let it be ",
        "send a ",
        "my new ",
        "mit meiner ",
        "my card ",
        "offer 1 euro i accept it ",
        ", a'",
        "30 eur to the ",
        "a-",
    ],
)
def test_a_long_message_is_read_in_linear_time(part: str) -> None:
    begun = time.process_time()
    request_kinds(part * (20_000 // len(part)))
    assert time.process_time() - begun < 2
