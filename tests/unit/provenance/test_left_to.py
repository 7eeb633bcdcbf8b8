"""Requests that leave values, or the choice of acts, to a content, as people say it in passing."""

from __future__ import annotations

import pytest

from streams.provenance.acts.kinds import DELEGATE, FILL
from streams.provenance.requests.kinds import request_kinds


@pytest.mark.parametrize(
    "text",
    [
        "Tell them that we come, and pay the deposit they mention.",
        "Transfer the deposit for the course, they wrote me how much and where to.",
        "Kim mailed me her new IBAN. Save her as a payee with it.",
        "Oleg asked to be added to the list, please add him.",
        "Send it to everybody who asked for it.",
        "Kim asked us in her mail for a copy, send her one.",
        "Who is on duty? It's in the wiki page 'Duty'. Message that person.",
        "Look in the sheet 'Shifts' who works on Friday and remind that person by mail.",
        "Take the number of the new plumber out of his last mail and add it to my contacts.",
        "Invite Lena to the room. You can find her e-mail on her website: www.lena.example",
        "Add the new colleague. You'll find the details in the message from Bob.",
        "Read rent.txt and change my standing order accordingly.",
        "The landlord raised the rent, change my standing order accordingly.",
        "My new address is in 'move-2026.txt', please change it at the insurance.",
        "Our new bank details are in new-bank.txt, change them at the supplier portal.",
        "Bea wrote about the trip. Put it into my calendar and invite Tom, she mentions his address.",
        "Make an entry for the fair, everything you need (who, when, where) is in fair_plan.docx.",
        "Her mail has the account, pay her 30 euros.",
        "Jo posted the e-mail of the new trainee in #general. Invite her to the board.",
        "Ines sent me a note with the e-mail of a translator. Invite him.",
        "Buy what's on my grocery list.",
        "Order everything on my packing list.",
        "Update my data with the new address in move.txt.",
        "Please buy the things from my note 'Groceries'.",
        "Mia sent me a DM with the number of the plumber. Add him to my contacts.",
        "Überweise den Beitrag, wie im Brief beitrag_2026.txt steht.",
        "Überweise die Anzahlung, die sie nennen.",
        "Mia hat mir ihre neue IBAN geschickt, leg sie als Empfängerin an und überweise 50 Euro.",
        "Sie haben mir geschrieben, wie viel und wohin. Bezahle das bitte.",
        "Die Adresse steht in seiner Mail, schick ihm die Fotos.",
        "Paie l'acompte qu'ils demandent.",
        "Elle m'a envoyé son nouvel IBAN, paie-lui 50 euros.",
        "Paga el anticipo que mencionan.",
        "Marta me ha mandado su nuevo IBAN, transfiere 50 euros.",
        "Ela me mandou o novo IBAN, transfere 50 euros.",
        "Paga la caparra che indicano.",
        "Mi ha mandato il nuovo IBAN, bonifica 50 euro.",
    ],
)
def test_a_value_is_left_to_a_content(text: str) -> None:
    kinds = request_kinds(text)
    assert FILL in kinds
    assert DELEGATE not in kinds


@pytest.mark.parametrize(
    "text",
    [
        "My friend recommended 'The Harp', book a table there for Friday.",
        "My sister suggested “The Harp”. Book a table there.",
        "Tell me what's on my shopping list, and order milk.",
        "Order milk. What's on my list for tomorrow?",
        "Don't buy the things from my note, just read it to me.",
        "All you need is a ticket. Book me one for Friday.",
        "Compare it with the prices in shop.example, and order the cheaper one.",
        "Yuki posted the mail in #reading. Invite kim@x.example.",
        "I sent her a message with the number of the plumber. Add her to the group.",
        "I moved to 4 Elm Street, rent is 900. Update my record and my standing orders accordingly.",
        "Can you find the invoice in my mail? Then send Kim 20 EUR.",
        "Send Kim all that you can find on my website.",
        "Don't pay the deposit they mention, just send me the mail.",
        "I wrote them how much and where to. Send them the flyer.",
        "Joost asked in a mail about the boat. Tell him that I'm in.",
        "Kim asked whether we come. Write her that we do.",
        "Who has asked me something? Tell them that I am away.",
        "Send Ana the report and book a table for two.",
        "Book the hotel they recommend.",
        "Was steht im Schreiben? Antworte mir hier.",
        "Nobody sent me the link, send it again.",
        "She sent me the wrong number, so book with 555 2200 instead.",
        "Sie haben mir die falsche Nummer gegeben, lösche den Termin.",
        "Es steht in keiner Liste, bestell es.",
        "Der Wein steht in der Liste nicht, bestell ihn.",
        "They sent me a new price list. Cancel my contract.",
        "Cancel the subscription the app lists as unused.",
        "Send Bob 20 EUR, it's in my notes that I owe him.",
        "Che mi chiedono? Paga 50 euro a Marco.",
        "My new address is in Lyon, 4 Rue Haute. Change it at the bank.",
        "He gives his talk at noon, send Ana the slides.",
        "The report shows the names of all guests. Cancel the party.",
        "The list has names of guests. Cancel the party.",
        "Order the desk that's on my list.",
        "Everything is fine in the plan, book it.",
        "Kim shared the file in the team folder, archive it.",
        "Eve sent me an e-mail with the IBAN, a fraud. Pay Anna 50 EUR.",
        "Paul wrote me a mail with her account, ignore that. Pay Anna 50 EUR.",
        "Check whether he names her account, and pay Anna 50 EUR.",
        "They give her account in the mail, which is wrong. Pay Anna 50 EUR.",
        "Somebody mailed me her new IBAN. Pay Anna 50 EUR.",
    ],
)
def test_no_value_is_left_to_a_content(text: str) -> None:
    assert FILL not in request_kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "do my todos that are due today pls",
        "Do the to-dos in my note 'errands'",
        "Please finish all my open tasks.",
        "I want you to do my to-dos.",
        "Erledige bitte meine Aufgaben von heute.",
        "Fais mes tâches du jour.",
        "Haz mis tareas de hoy.",
        "Faz as minhas tarefas de hoje.",
        "Fai le commissioni sulla mia lista.",
    ],
)
def test_acts_are_left_to_a_list_of_tasks(text: str) -> None:
    assert DELEGATE in request_kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "List my to-dos.",
        "Don't do my tasks.",
        "I don't want you to do my tasks.",
        "Which tasks are due today?",
        "I must finish my errands first, so book a taxi for five.",
        "Do the other tasks tomorrow, now pay Anna 20 EUR.",
        "Please handle the tasks server.",
        "Mach die Aufgaben morgen, ruf mir ein Taxi.",
    ],
)
def test_a_list_of_tasks_is_only_read(text: str) -> None:
    assert DELEGATE not in request_kinds(text)


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("Request my prescription again from the practice.", {"book", "create", "send"}, {"pay"}),
        ("My request was denied, why?", set(), {"book", "send"}),
        ("Beantrage bitte zwei Tage Urlaub.", {"book", "create"}, {"pay"}),
        ("Send my itinerary for Lisbon to my brother.", {"send", "share"}, {"secure"}),
        ("Send the invoice to Lea.", {"send"}, {"share"}),
        ("Find a hotel near the venue. Take the one they recommend.", {"book"}, {"delete"}),
        ("Do you take the one with wings?", set(), {"book"}),
        ("Put her number into my contacts.", {"create"}, {"send"}),
        ("Send her the 150 for May.", {"pay", "send"}, {"delete"}),
        ("Send her the 12 photos.", {"send"}, {"pay"}),
        ("Schick ihr die 150 für Mai.", {"pay"}, {"delete"}),
        ("Schick ihr die 150 Fotos.", {"send"}, {"pay"}),
    ],
)
def test_acts_by_the_words_that_people_use_for_them(text: str, present: set[str], absent: set[str]) -> None:
    kinds = request_kinds(text)
    assert present <= kinds
    assert not absent & kinds
