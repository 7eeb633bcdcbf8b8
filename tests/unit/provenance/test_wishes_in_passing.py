"""What people have done at home and among friends without the usual verb for it."""

from __future__ import annotations

import pytest

from streams.provenance.requests.scope import derive_scopes


def kinds_of(text: str) -> set[str]:
    return {scope.kind for scope in derive_scopes(text)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Jonas paid for the concert, send him what I owe him", "pay"),
        ("I owe Ida 20 for lunch, can you square that?", "pay"),
        ("My share of the gift is 15 euros, get it to Lena please", "pay"),
        ("cover Mia's part of the rent this month", "pay"),
        ("put 50 euros on my prepaid phone", "pay"),
        ("Rui and Ana need to be in the group Book club", "share"),
        ("Kai should be on the guest list as well", "share"),
        ("get Ola into #design", "share"),
        ("Have Kim join the standup", "share"),
        ("release the lab results to the patient", "share"),
        ("Welcome the new trainee in the channel #hello", "post"),
        ("wish Tom a happy birthday on his wall", "post"),
        ("Get word to Sven that the game is off", "send"),
        ("RSVP yes to Karl's party", "send"),
        ("Bill Larsen Ltd for the May hours", "create"),
        ("invoice the Lopez family for four lessons", "create"),
        ("Write up a quote for the Miller kitchen, 3 days at 400", "create"),
        ("have parcel 00340434161094042557 kept at the depot until Friday", "change"),
        ("hold my mail until the 12th", "change"),
        ("I'm away till Monday, have them keep my parcel", "change"),
        ("point shop.larsen.example to 203.0.113.20", "change"),
        ("route calls to my mobile from noon", "change"),
        ("I need a cab at seven", "book"),
        ("get me a car from the market to the station", "book"),
        ("sign Timo up for the swimming course", "book"),
        ("count me in for the hike on Saturday", "book"),
        ("I'm not coming to the yoga class after all", "delete"),
        ("scratch the appointment with the vet", "delete"),
        ("knock the second bag off my flight", "delete"),
        ("quit the newsletter", "delete"),
        ("Hand over my two Larsen deals to Ida", "change"),
        ("tick off milk and bread", "change"),
        ("bump the priority of ticket 88", "change"),
        ("set an alarm for 6:30", "create"),
        ("grade the essay of Bo with B+", "create"),
        ("restock the shelf, 12 of each", "book"),
        ("refer the patient to cardiology", "send"),
        ("report the pothole on Mill Lane", "create"),
        ("flag the photo by user kx9 as spam", "change"),
        ("claim the delay of yesterday's train", "create"),
        ("my card is gone, stop it", "secure"),
        ("turn off two-factor for the tablet", "secure"),
        ("put the notice about the drill on the board", "post"),
        ("get another pack of the coffee we had", "book"),
    ],
)
def test_a_wish_in_passing_asks_for_its_act(text: str, kind: str) -> None:
    assert kind in kinds_of(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What do I owe Jonas?", "pay"),
        ("How much do I owe him? Send me the list.", "pay"),
        ("Did Lena get my share of the gift?", "pay"),
        ("Who covers Mia's part of the rent?", "pay"),
        ("Tell me who needs to be in the meeting", "share"),
        ("Does Kai need to be in #launch?", "share"),
        ("Who should be on the guest list?", "share"),
        ("You are welcome to look at the file", "post"),
        ("I wish I knew what the letter says", "post"),
        ("don't welcome him in #team", "post"),
        ("What does the bill for the plumber say?", "create"),
        ("Show me the invoice for March", "create"),
        ("Read the mail about the parcel kept at the depot", "change"),
        ("don't hold my mail", "change"),
        ("What is the point to remember in the memo?", "change"),
        ("Which calls were routed to my mobile?", "change"),
        ("What did the cab cost?", "book"),
        ("don't sign Timo up for the course", "book"),
        ("What's off about the report?", "delete"),
        ("The milk is off, what can I cook?", "delete"),
        ("Read the report on the pothole", "create"),
        ("Is my card gone?", "secure"),
        ("Is the notice about the drill on the board?", "post"),
        ("How do I print the pass?", "run"),
        ("what does it cost to print the book?", "run"),
        ("Look up what is left to tick off", "change"),
        ("Check whether rui@acme.example should be in the group Larsen, and sum up m-7001.", "share"),
        ("Find out if Rui needs to be in the group Larsen.", "share"),
        ("Tell me why Rui has to be in the group Larsen.", "share"),
        ("According to Kim, Rui must be in the group Larsen.", "share"),
        ("Kim thinks rui@acme.example should be in the group. What does m-7001 say?", "share"),
        ("Kim says Rui should be in the group", "share"),
        ("I must be on the team call at ten. Sum up m-7001.", "share"),
        ("Rui should not be in the group", "share"),
        ("Kim belongs on the list of winners. Sum up m-7001", "share"),
        ("get the figures in the project folder", "share"),
        ("I owe Ben 20, give me a summary of m-7001.", "pay"),
        ("I owed Ben 20 last year, so send it to me", "pay"),
        ("Send me a list of what I owe", "pay"),
        ("Send Kim a list of what I owe", "pay"),
        ("Cover the costs in your summary of m-7001", "pay"),
        ("I take the car to work. Sum up m-7001.", "book"),
        ("I need the car papers from m-7001", "book"),
        ("We need a car park, see m-7001", "book"),
        ("I need a lift repair quote, see m-7001", "book"),
        ("We would love to come to the dinner, sum up m-7001 for me.", "book"),
        ("Count me in? What does m-7001 say", "book"),
        ("Report the main points of m-7001 on HV-1004 in two sentences.", "change"),
        ("Report the main points of m-7001 on HV-1004 in two sentences.", "create"),
        ("report any problems in m-7001", "send"),
        ("Report the pothole on Mill Lane", "change"),
        ("Report the pothole on Mill Lane", "send"),
        ("print the text of m-7001 about backup-2 here", "run"),
        ("Get more from m-7001 about HV-1004", "book"),
        ("get another copy of m-7001", "book"),
        ("get another part of m-7001", "book"),
        ("draft a quote from m-7001 but don't send it", "send"),
        ("Invoice Lopez sent for May: is it right?", "send"),
        ("I'm not going to the dinner, so what does m-7001 say about it?", "delete"),
        ("I'm not going to the dinner, so sum up m-7001.", "delete"),
        ("The party with Kim is off. Sum up m-7001.", "delete"),
        ("How do I take HV-1004 off my list?", "delete"),
        ("Do I need to cross HV-1004 off my list?", "delete"),
        ("keep your letters in English", "change"),
        ("My phone is missing from the list. Stop that and sum up m-7001", "secure"),
        ("Turn the pin to see the label in m-7001", "secure"),
        ("Where do I turn off two-factor?", "secure"),
        ("Welcome the news! Sum up m-7001", "post"),
        ("How can you get another pack of coffee", "book"),
        ("Why would I want to quit the newsletter", "delete"),
        ("I need a car for the summary", "book"),
        ("I owe Ben 20. Then send it to me", "pay"),
    ],
)
def test_what_is_asked_about_denied_or_only_told_asks_for_nothing(text: str, kind: str) -> None:
    assert kind not in kinds_of(text)


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        ("What the other driver says is not true! Add that I was standing.", False),
        ("what he wrote isn't right, add my side to the claim", False),
        ("Add what the other driver says to the claim.", True),
        ("add what he wrote, it is right", True),
    ],
)
def test_what_the_user_contradicts_leaves_nothing_to_it(text: str, *, leaves: bool) -> None:
    assert ("fill" in kinds_of(text)) is leaves


@pytest.mark.parametrize(
    ("text", "pays"),
    [
        ("my monthly payment is too high, I want 60", False),
        ("The payment was way higher than agreed, look into it", False),
        ("The payment is missing, make it today", True),
        ("make a payment of 20 to Kim", True),
        ("the payment is due today, do it", True),
    ],
)
def test_a_payment_of_which_somebody_complains_is_not_asked_for(text: str, *, pays: bool) -> None:
    assert ("pay" in kinds_of(text)) is pays
