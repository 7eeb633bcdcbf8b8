"""Messages that agree to what the agent has put to the user, or answer it, in the words of customers."""

from __future__ import annotations

import pytest

from streams.model.session import TaskScope
from streams.provenance.requests.agreed import (
    ACCEPT,
    AGREE,
    AGREEING_CHARS_MAX,
    ANSWER_WORDS_MAX,
    BARE_ANSWER_WORDS_MAX,
    agrees,
)
from streams.provenance.requests.scope import REQUEST_KINDS, derive_scopes, parse_scopes


@pytest.mark.parametrize(
    "text",
    [
        "yes",
        "Yes please, and thank you!",
        "Okay, I accept.",
        "hmm ok that's enough I'd say",
        "Sounds good to me",
        "go ahead with both",
        "No problem, go ahead.",
        "No discount, thanks. Do it.",
        "I would like that very much",
        "the blue one then. No gift wrap",
        "April 30 it is then. No, I don't want a bonus",
        "option B then",
        "exactly. I want my money back",
        "second one",
        "16:05!!",
        "debit",
        "Friday, 3 pm",
        "9C would be perfect",
        "4410",
        "That\u2019s fine.",
        "Ja, bitte.",
        "oui, parfait",
        "s\u00ed, claro",
        "va bene",
    ],
)
def test_a_message_that_agrees_or_answers(text: str) -> None:
    assert agrees(text)


@pytest.mark.parametrize(
    "text",
    [
        "I refuse",
        "absolutely not",
        "Absolutely not, that was not me",
        "I disagree",
        "That's wrong",
        "Forget that",
        "leave everything as it is",
        "maybe tomorrow",
        "I'll think about it",
        "Great, thanks!",
        "Ok thanks",
        "Alright, have a good day",
        "Ok. And what does shipping cost?",
        "Ok, and what does shipping cost",
        "yes, but is it really free?",
        "I am not amused at all",
        "",
        "?!",
        "no",
        "No thanks.",
        "not really sure",
        "I'm not sure about that",
        "wait, which one was that?",
        "ok wait",
        "yes but hold on a second",
        "ok, but don't cancel it",
        "don't do it",
        "never mind",
        "what does it cost",
        "are you sure?",
        "do it?",
        "is that ok",
        "For the skis it was 412.50 in all, if I remember it right, and that is really a lot.",
        "can I think about it",
        "Thanks!",
        "thank you so much for your help",
        "Hello there",
        "That was my kid, he's only nine, and I am not paying for that",
        "10?? no way, then I keep it",
        "nein danke",
        "There is a charge on my card from a shop that I have never heard of",
    ],
)
def test_a_message_that_does_neither(text: str) -> None:
    assert not agrees(text)


def test_an_answer_is_short_and_a_story_is_none() -> None:
    assert agrees(" ".join(["word"] * (ANSWER_WORDS_MAX - 1) + ["7"]))
    assert not agrees(" ".join(["word"] * ANSWER_WORDS_MAX + ["7"]))
    assert agrees(" ".join(["word"] * BARE_ANSWER_WORDS_MAX))
    assert not agrees(" ".join(["word"] * (BARE_ANSWER_WORDS_MAX + 1)))
    assert agrees("Yes. " + "x" * (AGREEING_CHARS_MAX - 5))
    assert not agrees("Yes. " + "x" * (AGREEING_CHARS_MAX - 4))


def test_a_short_request_is_no_answer_unless_it_agrees() -> None:
    assert TaskScope(kind=AGREE) not in derive_scopes("Cancel it, please.")
    assert TaskScope(kind=AGREE) in derive_scopes("Yes, cancel it, please.")
    assert derive_scopes("the second one") == (TaskScope(kind=AGREE),)


def test_nobody_can_state_agreement_as_a_scope() -> None:
    assert AGREE not in REQUEST_KINDS
    assert parse_scopes([AGREE]) == ()


@pytest.mark.parametrize(
    ("text", "stands"),
    [
        ("perfect, thanks", True),
        ("I do.", True),
        ("tak, prosz\u0119", True),
        ("great", True),
        # He refuses, asks, asks for something, or says more than an answer does.
        ("No, not that one.", False),
        ("wait", False),
        ("Nee, liever niet", False),
        ("Nej tack", False),
        ("Hmm", False),
        # Nobody knows a refusal in a language that is not read.
        ("Ba\u015fka bir g\u00fcn olsun istiyorum", False),
        ("thanks, and what does it cost?", False),
        ("Cancel it.", False),
        ("I have been a customer of yours for twelve years", False),
        ("", False),
    ],
)
def test_a_message_that_lets_a_proposal_stand(text: str, *, stands: bool) -> None:
    kinds = {scope.kind for scope in derive_scopes(text)}
    assert bool({ACCEPT, AGREE} & kinds) is stands
    assert AGREE not in kinds or ACCEPT not in kinds
