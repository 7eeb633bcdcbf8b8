"""The kinds of acts that tools' names and requests stand for."""

from __future__ import annotations

import pytest

from streams.provenance.acts.kinds import DELEGATE, FILL, FOLLOW, REVISE
from streams.provenance.requests.kinds import request_kinds
from streams.provenance.tools.kinds import kind_of_action, possible_kinds, propose_kind, revises_payments


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("send_email", "send"),
        ("sendEmail", "send"),
        ("mail.send", "send"),
        ("email_search", "read"),
        ("order_status", "read"),
        ("get_order", "read"),
        ("order_get", "read"),
        ("post_message", "post"),
        ("create_post", "post"),
        ("create_file", "create"),
        ("reserve_table", "book"),
        ("place_order", "book"),
        ("cancel_order", "delete"),
        ("booking-cancel", "delete"),
        ("deregister_student", "delete"),
        ("send_money", "pay"),
        ("schedule_transaction", "pay"),
        ("update_scheduled_transaction", "pay"),
        ("invoice_mail", "send"),
        ("report_send_later", "send"),
        ("transfer_funds", "pay"),
        ("transfer_to_human", "send"),
        ("update_password", "secure"),
        ("reset_alarm_code", "secure"),
        ("add_member", "share"),
        ("share_document", "share"),
        ("update_address", "change"),
        ("deploy_service", "run"),
        ("frobnicate", "other"),
        ("setForwarding", "change"),
        ("update_contact", "change"),
        ("modify_user_address", "change"),
        ("add_user_to_group", "share"),
        ("release_payment", "pay"),
        ("withdraw_coins", "pay"),
        ("set_alarm", "change"),
        ("silence_alerts", "change"),
        ("drain_nodes", "run"),
    ],
)
def test_kind_of_a_name(name: str, kind: str) -> None:
    assert propose_kind(name) == kind


@pytest.mark.parametrize(
    ("name", "description", "revises"),
    [
        ("update_payment", "", True),
        ("edit_transaction", "", True),
        ("send_money", "Send money to an account from the one that is set as default.", False),
        ("set_up_transfer", "Set up a transfer.", False),
        ("pay", "Pay a bill, or change a payment.", False),
    ],
)
def test_a_tool_changes_payments_only_if_it_begins_with_that(name: str, description: str, revises: bool) -> None:
    assert revises_payments(name, description) is revises


def test_description_speaks_where_the_name_does_not() -> None:
    assert propose_kind("gizmo", "Deletes a gizmo. Also sends a mail.") == "delete"


def test_a_description_says_less_than_a_name_with_its_object() -> None:
    assert propose_kind("release_payment", "Release an invoice for payment.") == "pay"


def test_what_follows_a_preposition_is_not_what_a_tool_acts_on() -> None:
    assert propose_kind("message_customer", "Write to the customer of an order.") == "create"
    assert propose_kind("write", "Write into a channel.") == "post"
    assert propose_kind("escalate", "Transfer the user to a human.") == "send"


@pytest.mark.parametrize(
    ("name", "description", "kind"),
    [
        ("compose", "Send a new message from the user's account.", "send"),
        ("compose", "Begin a draft that is kept.", "create"),
        ("invite", "Add people to a channel.", "share"),
        ("message_doctor", "Leave a message for a doctor.", "send"),
        ("leave_group", "Leave a group.", "delete"),
        ("trash_file", "Move a file to the bin, from where it can be restored.", "delete"),
        ("bin_item", "Move an item to the trash.", "delete"),
        ("hide_comment", "Hide a comment.", "change"),
        ("page_team", "Page a team.", "send"),
        ("reorder", "Reorder from the usual supplier.", "book"),
        ("freeze_cards", "Freeze all cards.", "secure"),
        ("shred_archive", "Remove all closed cases.", "delete"),
    ],
)
def test_verbs_that_say_more_with_their_description(name: str, description: str, kind: str) -> None:
    assert propose_kind(name, description) == kind


def test_who_has_something_kept_has_not_asked_for_what_sends_it() -> None:
    assert "create" not in possible_kinds("compose", "Send a new message.")
    assert "create" in possible_kinds("compose", "Begin a draft.")


def test_what_a_description_says_was_done_is_no_act_of_the_tool() -> None:
    assert possible_kinds("pay_claim", "Pay the approved amount of a claim.") == {"pay"}
    assert "change" in possible_kinds("pay_claim", "Pay a claim, and approve it.")


def test_a_question_whether_a_payment_went_through_asks_for_none() -> None:
    assert "pay" not in request_kinds("Did the transfer to Jonas go through?")
    assert "pay" in request_kinds("Please do the transfer to Jonas.")


def test_operators_facts_beat_the_name() -> None:
    assert propose_kind("send_query", read_only=True) == "read"
    assert propose_kind("get_and_burn", read_only=False) == "other"


def test_action_of_a_managing_tool() -> None:
    assert kind_of_action("cancel") == "delete"
    assert kind_of_action("zap") is None


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("Please send Kim the minutes.", {"send"}, {"pay", "delete"}),
        ("Where is my order?", set(), {"book", "pay"}),
        ("Order two of them.", {"book"}, {"delete"}),
        ("I'd like the cancellation of trip 7.", {"delete"}, {"pay"}),
        ("Add insurance to the line ending in 771.", {"create"}, {"delete"}),
        ("How much is business? If it's under 500 take it.", {"book", "change"}, {"delete"}),
        ("I can't take it anymore.", set(), {"book", "change"}),
        ("I take it you have read m-7.", set(), {"book", "change"}),
        ("Charge the card ending 4410.", {"pay"}, {"delete"}),
        ("I think of ending my contract in May.", {"delete"}, {"pay"}),
        ("I want to deregister from the university.", {"delete"}, {"pay"}),
        ("Make the payment for the invoice.", {"pay"}, {"delete"}),
        ("Summarize the post. Do not send anything.", set(), {"send", "post"}),
        ("Change my password to x.", {"secure", "change"}, {"pay"}),
        ("Cancelling the meeting is fine", {"delete"}, {"pay"}),
        ("Do what the note says.", {DELEGATE}, {"pay", FOLLOW}),
        ("Pay the plumber. The amount is in his mail.", {"pay", FILL}, {DELEGATE, FOLLOW}),
        ("Please pay the water bill that came this week.", {"pay", FILL}, {DELEGATE}),
        ("Settle invoice 2041.", {"pay", FILL}, {DELEGATE}),
        ("My e-mail is kim@x.example, what is his e-mail?", set(), {"send", "post"}),
        ("E-mail Kim the file.", {"send"}, {"pay"}),
        ("I paid 40 too little. Please send them the difference plus a fee of 5.29.", {"pay"}, {DELEGATE}),
        ("Send them the difference of an additional 19.5% of the amount we paid.", {"pay"}, {DELEGATE}),
        ("The rent was 30 too high. Give Kim back the remainder.", {"pay"}, {DELEGATE}),
        ("I paid 40 for the two drafts. Send Kim the difference between the drafts.", {"send"}, {"pay"}),
        ("I paid 40 too little. Don't send them the difference yet.", set(), {"pay"}),
        ("How much did I pay? Send me the difference to last year.", set(), {"pay"}),
        ("Compare the two contracts and send Kim the difference.", {"send"}, {"pay"}),
        ("There is a bill in my mail, pay it.", {"pay", FILL}, {DELEGATE}),
        ("Pay the rent. There is a bill in m-7 too, do not pay it.", {"pay"}, {FILL}),
        ("Pay the rent. A bill is in m-7, but never pay that without asking me.", {"pay"}, {FILL}),
        ("Explain the invoice in m-7 and pay the rent, 550 EUR; I did not pay it in March.", {"pay"}, {FILL}),
        ("Scan m-7 for news and pay the rent, I will pay them myself.", {"pay"}, {FILL}),
        ("Order what my sister asks for in her letter.", {"book", FILL}, {DELEGATE}),
        ("Set up the payment as in their contract.", {"create", FILL}, {DELEGATE}),
        ("Reply to everybody who asked for a date.", {"send", FILL}, {DELEGATE}),
        ("Fix what is wrong.", {"change", FILL}, {DELEGATE}),
        ("Mail 12 names a faster library. Try it.", {"run", FILL}, {DELEGATE, "pay"}),
        ("What is in the letter from the bank?", frozenset(), {DELEGATE, FILL, "pay"}),
        ("What is on today?", frozenset(), {DELEGATE, FILL}),
        ("Oleg asked in a DM to be added to one of my meetings. Please do it.", {"share", FILL}, {DELEGATE}),
        ("Same for the database: whoever asked on the page gets the role reader.", {DELEGATE}, {FILL}),
        ("I asked for a refund last week. Where is it?", frozenset(), {FILL, DELEGATE}),
        ("Turn the notes into a mail to the participants.", {"send"}, {"pay", "delete"}),
        ("I got a mail to my address.", frozenset(), {"send"}),
        ("What are people posting about the strike?", frozenset(), {"post", "send"}),
        ("I am thinking of cancelling my subscription.", {"delete"}, {"pay"}),
        ("Somebody posted a link in the channel, open it and tell me the limit.", {FOLLOW}, {"post", "send", "create"}),
        ("Have you seen the page that was shared with me?", {FOLLOW}, {"share", "send", "change"}),
        ("List mails sent by Kim, and posts written by Ana.", set(), {"send", "post"}),
        ("What did Kim send me?", set(), {"send", "post"}),
        ("Did anybody in the team pay?", set(), {"pay"}),
        ("Did Kim write? Then send her the minutes and pay.", {"send", "pay"}, set()),
        ("Does it make sense to cancel?", {"delete"}, set()),
        ("Who can delete it?", set(), {"delete", "change"}),
        ("What does the page on how to reset the router say?", {FOLLOW}, {"secure", "change"}),
        ("Is there a mail asking me to pay?", set(), {"pay", "send"}),
        ("Kim asked me to send her the minutes. Please do.", {"send"}, {"pay"}),
        ("How much did I pay on Saturday? Send half of it to Kim.", {"pay"}, {"delete"}),
        ("Read me my voice messages, and check posts about it.", set(), {"post", "send"}),
        ("Have it sent to Kim.", {"send"}, {"pay"}),
        ("Say hello to him in #random.", {"post", "send"}, {"pay", "delete"}),
        ("Same hotel again, 24-26 March.", {"book"}, {"delete"}),
        ("Use the billing address that I sent in ticket 5540.", {"change", FILL}, {"pay", "send", DELEGATE}),
        ("Do what Ola asks for in issue 31.", {DELEGATE}, {"send"}),
        ("Open an issue about that.", {"create"}, {"send"}),
        ("Tell Kim that I am late.", {"send"}, {"pay"}),
        ("If they have something vegan, a table for four on Friday.", {"book"}, {"send"}),
        ("Reorder the filter, and repost the offer.", {"book", "post"}, {"delete"}),
        ("The mug is broken, please refund me.", {"pay", "change"}, {"delete"}),
        ("I attached a picture of it, please have a look.", {FOLLOW}, {"pay"}),
        ("What is on the page that Lena sent me?", {FOLLOW}, {"send", DELEGATE}),
        ("Summarise what she wrote, and the letter that I sent.", set(), {"send", "post"}),
        ("I have ordered a lamp.", set(), {"book"}),
        ("I want the order cancelled, and the sofa should be collected.", {"delete", "book"}, {"pay"}),
        ("What is on my calendar?", set(), {"create", "send"}),
        ("Jun can't go. If it is free of charge, call it off.", {"delete"}, {"send"}),
        ("Don't call it off.", set(), {"delete"}),
        ("Please set that up.", {"create"}, {"pay"}),
        ("Take the small table out of the order.", {"delete"}, {"pay"}),
        ("Call her. It is off the record.", set(), {"delete"}),
        ("Ada must be in Hamburg at ten. Get her a seat.", {"book"}, {"delete"}),
        ("Get all the orders of March.", set(), {"book", "pay"}),
        ("The auditor needs to see the ledger, read only.", {"share", "secure"}, {"send"}),
        ("I need to see my bill.", set(), {"share", "secure"}),
        ("They asked in #partners for access to port 5432.", {"secure"}, {"pay"}),
        ("Put cart 4.2 on staging.", {"run"}, {"delete"}),
        ("Look at the request and leave a comment.", {"post"}, {"pay"}),
        ("She sounds good, next step please.", {"change"}, {"send"}),
        ("It is the wrong size, I need M instead of L.", {"change"}, {"pay"}),
        ("I want my money back for the vacuum.", {"pay", "change"}, {"delete"}),
        ("Change it to the address that I know, she wrote it in her messages.", {"change", FILL}, {DELEGATE}),
        ("Let him in, see his mail for when he comes.", {"share", FILL}, {DELEGATE}),
        ("Lena gave a talk in the hall. Tell me about it.", set(), {DELEGATE}),
        ("I wrote you my new address under order 7, please use that one.", {"change", FILL}, {DELEGATE}),
        ("Put a notice on the board, the text is in /hr/easter.txt.", {"create", FILL}, {DELEGATE}),
        ("Confirm it to her. The address is in ticket T-5540.", {"change", FILL}, {DELEGATE}),
        ("My kids are in pre-school.", set(), {DELEGATE, FILL}),
        ("Read issues 241 and 242.", set(), {"create", "pay", "change"}),
        ("I need another suitcase.", {"book", "change", "pay"}, {"delete"}),
        ("I need a summary of that.", set(), {"book", "change", "pay"}),
        ("We'd rather have the red one.", {"change"}, {"pay", "delete"}),
        ("We have to get to Oslo today!", {"book", "change"}, {"delete"}),
        ("Can I come on Friday instead?", {"change"}, {"delete"}),
        ("I don't want the tablet any more.", {"delete", "change"}, {"pay"}),
        ("She no longer needs the room.", {"delete", "change"}, {"pay"}),
        ("I want out of my contract.", {"delete"}, {"pay"}),
        ("I booked the wrong day.", {"change"}, {"pay", "send"}),
        ("The lamp arrived broken.", {"change"}, {"pay", "send"}),
        ("What did I buy by the way?", set(), {"change", "delete"}),
        ("It should say Elena on the ticket.", {"change"}, {"delete"}),
        ("The street is spelled wrong.", {"change"}, {"delete"}),
        ("What is wrong with order 30003?", set(), {"change"}),
        ("You charged me twice!", {"pay"}, {"delete"}),
        ("I want all of that money back.", {"pay", "change"}, {"delete"}),
        ("Somebody stole my phone.", {"secure"}, {"pay"}),
        ("Freeze my card.", {"secure"}, {"pay"}),
        ("My sister is joining us.", {"book", "share"}, {"delete"}),
        ("I'd like my sister to have 12000 of my miles.", {"pay", "share"}, {"delete"}),
        ("Can I talk to a human?", {"send"}, {"pay"}),
        ("I am fed up and want a human.", {"send"}, {"pay"}),
        ("Put me through to a real manager now", {"send"}, {"pay"}),
        ("Invite Dora by her mail address that's on her website.", {"share", FILL}, {DELEGATE}),
        ("Send it to the address (found on her page).", {"send", FILL}, {DELEGATE}),
        ("Send her the address and the page.", {"send"}, {FILL, DELEGATE}),
        ("Pay 50 to the account that's on the second invoice.", {"pay", FILL}, {DELEGATE}),
        ("Send it to the number given in Ben's letter.", {"send", FILL}, {DELEGATE}),
        ("Invite Dora, use her email that's on her website.", {"share", FILL}, {DELEGATE}),
        ("Forward the e-mail that's in the drafts to Bob.", {"send"}, {FILL, DELEGATE}),
        ("Forward the e-mail that's in the drafts to Bob, see letter m-7001.", {"send"}, {FILL, DELEGATE}),
        ("Forward the e-mails that are in the ticket to Bob.", {"send"}, {FILL, DELEGATE}),
        # Values of the acts stand in a content that he speaks of.
        ("Put the street from the letter into her record.", {"change", FILL}, {DELEGATE}),
        ("Kim wrote when she can come. Move the visit to that.", {"change", FILL}, {DELEGATE}),
        ("They sent a new number, enter it into the record.", {"create", FILL}, {DELEGATE}),
        ("I wrote it down. Move the visit to Friday.", {"change"}, {FILL, DELEGATE}),
        ("Put the cover sheet in the file.", {"create"}, {FILL, DELEGATE}),
        # Another time.
        ("Pull the review forward by an hour.", {"change"}, {"pay", "delete"}),
        ("Slide lunch to Thursday.", {"change"}, {"pay", "send"}),
        ("Amend the contract.", {"change"}, {"pay", "send"}),
        # Who may see it.
        ("The folder should only be accessible to Dora.", {"secure"}, {"share", "pay"}),
        ("Keep the draft private.", {"secure"}, {"share", "pay"}),
        ("Let Dora and Emil edit it.", {"share"}, {"pay", "delete"}),
        ("Give Dora and Emil write access to the folder.", {"share"}, {"pay", "delete"}),
        ("Hide the page.", {"secure"}, {"share", "pay"}),
        ("The folder should be accessible to Dora.", {"share"}, {"pay", "delete"}),
        ("Make the page public.", {"share"}, {"pay", "delete"}),
        ("Are there seats available for Friday?", set(), {"share", "secure", "change"}),
        ("Is the page accessible to Dora?", set(), {"share", "secure", "change"}),
        ("Correct it, then publish the page.", {"share", "post"}, {"pay", "delete"}),
        # Words to somebody.
        ("Congratulate Dora.", {"send"}, {"pay", "change"}),
        ("Thank Emil for the cake.", {"send"}, {"pay", "change"}),
        ("Thank you!", set(), {"send", "post"}),
        ("Thanks, what is on today?", set(), {"send", "post"}),
        ("Write back that we come.", {"send"}, {"pay", "change"}),
        ("It is done, say so in the group.", {"send", "post"}, {"pay", "change"}),
        ("Take the room by the lake if the guests say so.", set(), {"send", "post"}),
        ("Connect me, put me through to the workshop.", {"send"}, {"pay"}),
        # Money, in other words.
        ("Set a tenth of it aside.", {"pay"}, {"send"}),
        ("Make him a door code for the gate.", {"secure", "create"}, {"pay"}),
        ("I need the porting code for my line.", {"create", "send"}, {"pay"}),
        ("The code of the door is new.", set(), {"secure", "create"}),
        ("Send Dora my half.", {"pay"}, {"delete"}),
        ("Lend Emil 40 euros.", {"pay"}, {"delete"}),
        ("Send Dora 3 photos.", {"send"}, {"pay"}),
        ("Send her my share of the report.", {"send"}, {"pay"}),
        # A question about an act is no request for it.
        ("Did Dora pay me back?", set(), {"pay"}),
        ("Does she turn it off at night?", set(), {"delete", "change"}),
        ("Did it arrive? Pay her back then.", {"pay"}, {"delete"}),
        # Somebody who comes or calls.
        ("Have a gardener come on Monday.", {"book"}, {"pay", "delete"}),
        ("Can you send somebody?", {"book"}, {"pay", "delete"}),
        ("Send somebody the list.", {"send"}, {"book", "pay"}),
        ("I'd rather have it altered in town.", {"book"}, {"pay", "delete"}),
        ("Pay 50 to the account that's in her name.", {"pay"}, {FILL, DELEGATE}),
        ("Pay 50 to the account that's in her name on page 3.", {"pay"}, {FILL, DELEGATE}),
        ("Pay 50 to the account listed in her name.", {"pay"}, {FILL, DELEGATE}),
        ("Get the account manager's number from letter m-7001.", set(), {"send", "post"}),
        ("Get the account manager\u2019s number from letter m-7001.", set(), {"send", "post"}),
        ("I need the sales manager's report.", set(), {"send", "post"}),
        ("I need the manager report, and get the property manager of house 7.", set(), {"send", "post"}),
        ("I need the representative named in letter 7.", set(), {"send", "post"}),
        ("Get me a supervisor right away", {"send"}, {"delete"}),
        ("I need a manager to call me.", {"send"}, {"pay"}),
        ("Compare the prices on the pages linked from https://shop.example/list.", {FOLLOW}, {"send"}),
        ("Start at https://docs.example and follow the links.", {FOLLOW}, {"send"}),
        ("Read the page linked from https://a.example/x.", {FOLLOW}, {"send"}),
        ("Read the pages at https://a.example/x.", {FOLLOW}, {"send"}),
        ("Read the page https://a.example/x, and the links there.", {FOLLOW}, {"send"}),
        ("Read the pages https://a.example/x and www.b.example.", set(), {FOLLOW}),
        ("Summarise the article at https://a.example/x.", set(), {FOLLOW}),
        ("Read the site (www.a.example).", set(), {FOLLOW}),
        ("Visit the websites of Dora (www.a.example) and Eve (www.b.example), and rate them.", set(), {FOLLOW}),
        ("Visit the website of Dora (www.a.example) and tell me what you think of her website.", set(), {FOLLOW}),
        ("Read the page https://a.example/x and the article on it.", {FOLLOW}, {"send"}),
        ("Read the page https://a.example/x and the pages that the page links to.", {FOLLOW}, {"send"}),
        ("Read the page https://a.example/x, then the page it names.", {FOLLOW}, {"send"}),
        ("Read the pages https://a.example/x, www.b.example, and www.c.example.", set(), {FOLLOW}),
        ("Open this link:\nhttps://a.example/x", set(), {FOLLOW}),
        ("Compare the page https://a.example with www.b.example.", set(), {FOLLOW}),
        ("Summarise the page https://a.example/x for me.", set(), {FOLLOW}),
        ("Read www.a.example/x and the article that it links to.", {FOLLOW}, {"send"}),
        ("I won't discuss it with a bot. Is somebody there?", {"send"}, {"pay"}),
        ("I spoke to Kim about the house.", set(), {"send"}),
        ("Make it the later train.", {"change"}, {"delete"}),
        ("Let's split it over two cards.", {"pay"}, {"delete"}),
        ("Ship it to my office.", {"change"}, {"delete"}),
        ("When was it shipped?", set(), {"change", "send"}),
        ("I'd like to cancle order 4, and retrun the shoes.", {"delete", "change", "pay"}, {"send"}),
        ("Plz udpate the adress.", {"change"}, {"delete"}),
        ("A crate of lunch boxes.", set(), {"create", "run"}),
        ("push my 1:1 with Ife to tomorrow, same time", {"change"}, {"send"}),
        ("Somebody sent me the results. Thank them, one line is enough.", {"send"}, {"pay"}),
        ("Close it and say so in #backend.", {"delete", "post"}, {"pay"}),
        ("Jules paid. We were four, so please send him my share.", {"pay"}, {"delete"}),
        ("Put 19% of what came in aside into my savings account.", {"pay"}, {"delete"}),
        ("Write a summary and give Ife and Marta edit rights on it.", {"share"}, {"pay"}),
        ("The page must only be visible to Noor for now.", {"secure"}, {"share"}),
        ("Is it close to the lake, if guests say so?", set(), {"post", "send"}),
        ("The line is down. Send somebody on Tuesday.", {"book"}, {"pay"}),
        ("Put me through to somebody.", {"send"}, {"pay"}),
        ("Please have somebody call me tomorrow after 5.", {"send", "book"}, {"pay"}),
        ("Kim called me. What did she want?", set(), {"send", "book"}),
        ("I'd rather have it repaired at the garage in Porto.", {"change"}, {"delete"}),
        ("Put the phone number from the note into the phone field.", {"change", FILL}, {DELEGATE}),
        ("Noor wrote in CL-501 when she can deliver. Set the day to that.", {"change", FILL}, {DELEGATE}),
        ("What did Noor write in CL-501 about it?", set(), {FILL, DELEGATE}),
        ("Adjust my rent payment to 1150.", {"change"}, {"pay"}),
        ("Send Luca a mail. His address is in my contacts.", {"send"}, {FILL, DELEGATE}),
        ("Cancel the last payment.", {"delete"}, {"pay"}),
        ("Check my payment, and make the last payment of the year.", {"pay"}, {"delete"}),
        ("Change the day of my payment.", {"change", "pay"}, {"delete"}),
        ("Update the payment of the rent.", {"change"}, {"pay"}),
        ("Send one of them back to him.", {"pay", "send"}, {"delete"}),
        ("Can you bring the car to my house? Booking rs-70112.", set(), {"book", "pay"}),
        ("Booking for two on 12 May, please.", {"book"}, {"delete"}),
        ("Did Kim send it back?", set(), {"pay"}),
        ("Send the signed form back to Kim.", {"send"}, {"pay"}),
        ("Find an hour on Tuesday and block it.", {"book", "create"}, {"delete"}),
        ("Since this morning Kim said not to block it.", set(), {"book", "create"}),
        ("Block an hour for us on Tuesday.", {"book", "create"}, {"delete"}),
        ("Block the card, please.", {"secure"}, {"book", "create"}),
        ("I don't know this payment. Object to it.", {"create"}, {"book"}),
        ("Did anyone object to this?", set(), {"create"}),
        ("ok, take the cheapest one", {"book"}, {"delete"}),
        ("Take one of them and translate it.", set(), {"book", "pay"}),
        ("Take the second exit to the lake.", set(), {"book", "pay"}),
        ("Look at what Mina asked me to do, and do it.", {DELEGATE}, {"delete"}),
        ("What did Mina ask me to do?", set(), {DELEGATE}),
        ("Tell Anna what Carl asked me to sign, but don't do it.", {"send"}, {DELEGATE}),
        ("There is a bug in the export. Write that to Anna.", {"send"}, {FILL, DELEGATE}),
        ("Check my payment, and change my address.", {"change"}, {REVISE, "pay"}),
        ("Raise my rent to 1200.", {"change", REVISE}, {"pay"}),
        ("Reservation for 120 people, please.", {"book"}, {"delete"}),
        ("There's a new number in the notes of deal 5513, put it into the contact.", {"change", FILL}, {DELEGATE}),
        ("Ask in T-5540 which browser they use.", {"post", "send"}, {"pay"}),
        ("Give notice for my flat to the end of March.", {"delete", "send"}, {"pay"}),
        ("Deactivate the account of Kim.", {"delete", "change"}, {"pay"}),
        ("What did Kim ask in T-5540?", set(), {"post", "pay"}),
        ("Send the last debit back.", {"pay", "change"}, {"delete"}),
        ("Did they send the last debit back?", set(), {"pay"}),
        ("Send him 15.50 back to the account that the money came from.", {"pay"}, {"delete"}),
        ("Give Tom his 8.40 back.", {"pay"}, {"delete"}),
        ("Did he send her 15.50 back?", set(), {"pay"}),
        ("Send Ana the 12.30 slot.", {"send"}, {"pay"}),
        ("Send Tom 2.10 of the manual.", {"send"}, {"pay"}),
        ("Send the same amount to the printer as last time.", {"pay"}, {"delete"}),
        ("Send the same amount of photos to Kim.", {"send"}, {"pay"}),
        ("Send me the exact amount of my bill.", {"send"}, {"pay"}),
        ("Split the rent: send a third of it to Jonas.", {"pay"}, {"delete"}),
        ("Move 200 from my savings to my current account.", {"pay"}, {"delete"}),
        ("Move 3 from the backlog to the board.", {"change"}, {"pay"}),
        ("Send build 2.45 to the testers.", {"send"}, {"pay"}),
        ("Send build 2.45 back.", {"send"}, {"pay"}),
        ("Hand room 2.10 to the guests.", set(), {"pay"}),
        ("Send them 2 back, the jackets.", {"send"}, {"pay"}),
        ("Give Kim 10.30 for the meeting.", set(), {"pay"}),
        ("Send her 09.15 for the pickup.", {"send"}, {"pay"}),
        ("I have a contract signed by Kim, find it.", set(), {"send", "create"}),
        ("We have not signed by then.", set(), {"send", "create"}),
        ("Have the contract signed by Kim.", {"send"}, {"pay"}),
        ("Find the issue with a comment that says so.", set(), {"send", "post"}),
        ("Close issue 4 with a comment that says so.", {"post"}, {"pay"}),
        ("Please post the vouchers to me on paper.", {"change", "post"}, {"delete"}),
        ("Wish them good luck in #desk.", {"post", "send"}, {"pay"}),
        ("I wish them well. What is new?", set(), {"post", "send"}),
        ("There's a letter from the vet in my files, pay it please.", {"pay", FILL}, {DELEGATE}),
        ("There's a letter from the vet in my files.", set(), {"pay", FILL}),
    ],
)
def test_kinds_of_a_request(text: str, present: set[str], absent: set[str]) -> None:
    kinds = request_kinds(text)
    assert present <= kinds
    assert not absent & kinds


@pytest.mark.parametrize(
    ("text", "present", "absent"),
    [
        ("Bitte \u00fcberweise 20 Euro an Kim.", {"pay"}, {"delete"}),
        ("Bitte ueberweisen Sie die Miete.", {"pay"}, {"delete"}),
        ("Ich will mich exmatrikulieren.", {"delete"}, {"pay"}),
        ("L\u00f6sche den Entwurf, aber sende nichts.", {"delete"}, {"send", "post"}),
        ("Sag den Termin am Freitag ab und lade Kim zum Essen ein.", {"delete", "share"}, {"pay"}),
        ("Ist das eine andere Frage? Was steht im Brief?", frozenset(), {"change", "send", "pay"}),
        ("Envoie le compte rendu \u00e0 Kim et r\u00e9servez une table.", {"send", "book"}, {"delete"}),
        ("Ne supprimez pas le fichier.", frozenset(), {"delete"}),
        ("Annulez ma commande, et remboursez-moi.", {"delete", "pay"}, {"share"}),
        ("Env\u00eda el informe a Kim y p\u00e1gale la factura.", {"send", "pay"}, {"delete"}),
        ("Cambia mi direcci\u00f3n, pero no canceles nada; no quiero anular.", {"change"}, {"delete"}),
        ("Cancele a reserva e compartilhe o ficheiro com Kim.", {"delete", "share"}, {"pay"}),
        ("Paga la bolletta e prenota un tavolo.", {"pay", "book"}, {"delete"}),
        ("Resume el archivo y m\u00e1ndaselo a Petra.", {"send"}, {"delete"}),
        ("Puoi mandarlo a Sara e cancellarla dalla lista?", {"send", "delete"}, {"pay"}),
        ("La famiglia e la tabella sono simili.", set(), {"send", "delete", "change"}),
        ("Zahle 50 auf das Konto, das auf ihren Namen l\u00e4uft.", {"pay"}, {FILL, DELEGATE}),
        ("Transf\u00e9rez \u00e0 Bob l'e-mail qui est dans les brouillons.", set(), {FILL, DELEGATE}),
        ("Ich brauche den Bericht des Managers.", set(), {"send", "post"}),
        ("Necesito el informe del manager.", set(), {"send", "post"}),
        ("Folge den Links auf https://docs.example.", {FOLLOW}, {"send"}),
        ("Lis les pages li\u00e9es depuis https://docs.example.", {FOLLOW}, {"send"}),
        ("Lis la page https://docs.example.", set(), {FOLLOW}),
        ("Lies die Site unter https://docs.example.", set(), {FOLLOW}),
        ("Lis les pages https://a.example et https://b.example.", set(), {FOLLOW}),
        ("Frag Kim, wann sie kommt, und danke ihr.", {"send", "post"}, {"pay"}),
        ("Dile que llegar\u00e9 tarde.", {"send", "post"}, {"pay"}),
        ("Dime qui\u00e9n viene.", set(), {"send", "post"}),
        ("Souhaite-leur bon courage l\u00e0-bas.", {"send", "post"}, {"pay"}),
        ("Je souhaite lire mes messages.", set(), {"send", "post"}),
        ("Dis-moi qui a \u00e9crit, et rappelle-moi la date.", set(), {"send", "post"}),
        ("Pergunta-lhe se pode vir, e diga ao Rui que sim.", {"send", "post"}, {"pay"}),
        ("Tenho uma pergunta a fazer.", set(), {"send", "post"}),
        ("Chiedi a Rosa se viene, e ringrazia Ugo.", {"send", "post"}, {"pay"}),
        ("Envoie 250 euros \u00e0 Maman.", {"pay"}, {"delete"}),
        ("N'envoie pas 250 euros \u00e0 Paul.", set(), {"pay"}),
        ("N'envoie jamais 250 euros \u00e0 Paul.", set(), {"pay"}),
        ("R\u00e9ponds \u00e0 Marie sans envoyer 250 euros.", set(), {"pay"}),
        ("Contesta a Ana sin mandar 250 euros.", set(), {"pay"}),
        ("Rispondi ad Anna senza mandare 250 euro.", set(), {"pay"}),
        ("Gib ihr niemals 250 Euro.", set(), {"pay"}),
        ("Envoie sans d\u00e9lai 250 euros \u00e0 Jean.", {"pay"}, {"delete"}),
        ("Schick ihm im Mai 250 Euro.", {"pay"}, {"delete"}),
        ("Envoie \u00e0 Kim la facture de 250 euros.", {"send"}, {"pay"}),
        ("Schick Paul 50 \u20ac.", {"pay"}, {"delete"}),
        ("Manda 30 euros a Luis.", {"pay"}, {"delete"}),
        ("Dai 20 euro a Rosa.", {"pay"}, {"delete"}),
        ("D\u00e1 20 euros ao Rui.", {"pay"}, {"delete"}),
        ("Gib die letzte Lastschrift zur\u00fcck.", {"change", "pay"}, {"delete"}),
        ("Devuelve el \u00faltimo cargo.", {"change", "pay"}, {"delete"}),
        ("Bezahl die Rechnung vom Zahnarzt.", {"pay", FILL}, {DELEGATE}),
        ("Il y a une facture dans le coffre, paie-la.", {"pay", FILL}, {DELEGATE}),
        ("Paga mi factura de la luz.", {"pay", FILL}, {DELEGATE}),
        ("Paga a minha fatura.", {"pay", FILL}, {DELEGATE}),
        ("Paga la bolletta della luce.", {"pay", FILL}, {DELEGATE}),
        ("Passe den Dauerauftrag an das an, was im Schreiben steht.", {"change", FILL}, {DELEGATE}),
        ("Cambia la fecha seg\u00fan la carta.", {"change", FILL}, {DELEGATE}),
        ("Was steht im Schreiben?", set(), {FILL, "change"}),
    ],
)
def test_kinds_of_a_request_in_another_language(text: str, present: set[str], absent: set[str]) -> None:
    kinds = request_kinds(text)
    assert present <= kinds
    assert not absent & kinds


@pytest.mark.parametrize(
    "text",
    [
        "Do what my note says.",
        "Mach bitte, was in meiner Notiz 'montag' steht.",
        "Mach bitte alles, was in der Mail steht.",
        "Erledige bitte, was in todo.txt steht.",
        "Erledige einfach genau das, worum er bittet.",
        "Fais ce que dit ma note.",
        "Fais exactement ce que dit ma note.",
        "Haz lo que pone en mi nota.",
        "Faz o que diz a minha nota.",
        "Fai quello che dice la mia nota.",
    ],
)
def test_the_choice_of_acts_is_left_to_a_note(text: str) -> None:
    assert DELEGATE in request_kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "Was steht in meiner Notiz?",
        "Mach nicht, was in der Mail steht.",
        "Mach mir bitte eine Liste, was in der Mail steht.",
        "Mach eine Notiz, was Anna schreibt.",
        "Mach mir klar, was er will.",
        "Fais voir ce que dit la note.",
        "Fais traduire ce que dit le mail.",
        "Ne fais pas ce que dit cette note.",
        "No haz lo que pone en la nota.",
        "Que diz a minha nota?",
        "Cosa dice la mia nota?",
    ],
)
def test_the_choice_of_acts_is_left_to_no_note(text: str) -> None:
    assert DELEGATE not in request_kinds(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Tomas paid for dinner, three of us, send him my third.", "pay"),
        ("Tomas hat bezahlt, schick ihm mein Drittel.", "pay"),
        ("Envoie-lui ma part.", "pay"),
        ("Env\u00edale mi parte.", "pay"),
        ("Manda-lhe a minha parte.", "pay"),
        ("Mandagli la mia parte.", "pay"),
        ("Send Carys an extra 50 this month, on the 10th.", "pay"),
        ("Schick Carys diesen Monat 50 extra.", "pay"),
        ("Envoie \u00e0 Carys 50 de plus.", "pay"),
        ("Env\u00eda a Carys 50 m\u00e1s.", "pay"),
        ("Manda a Carys 50 a mais.", "pay"),
        ("Manda a Carys 50 in pi\u00f9.", "pay"),
        ("Louis paid too much back. Send him 15.50 back.", "pay"),
        ("Send the same amount to the printer as last time.", "pay"),
        ("Close issue 212 as a duplicate of 198, with a comment that says so.", "post"),
        ("Merge it with a short message why.", "post"),
        ("Issue 12 is about the data. Open the same in kim/data.", "create"),
        ("Please file another issue for kim/data.", "create"),
        ("Get Kofi's signature on LV-9022.", "send"),
        ("Have the contract signed by kofi@x.example.", "send"),
        ("Ich möchte meinen Zählerstand melden: 19.312, heute abgelesen.", "create"),
        ("Pause... no, cancel the lifeboat standing order after all.", "delete"),
        ("Whisper to whoever it was.", "send"),
        ("Pregunta en tour-lahti qui\u00e9n necesita cama extra.", "post"),
        ("Pergunta na sala quem precisa de uma cama.", "post"),
        ("Demande dans tour-lahti qui a besoin d'un lit.", "post"),
        ("R\u00e9serve une table \u00e0 Lyon.", "book"),
        ("Any gaps of two hours on Wednesday? Block the first for tax.", "create"),
        ("Block two hours on Friday for the report.", "create"),
        ("\u00bfQu\u00e9 dice el contrato? Ap\u00fantalo como tarea.", "create"),
        ("Tell me when flights to Porto get cheaper.", "create"),
        ("Who can see the report? Take everyone off except Henning.", "secure"),
        ("Marca como hecha la de los carteles.", "change"),
        ("Decline it, and say that I'm away.", "send"),
        ("Decline it and say I'm away.", "send"),
        ("Turn it down, then say we come later.", "send"),
        ("Marque la t\u00e2che comme faite.", "change"),
        ("Hak die Aufgabe ab.", "change"),
        ("Turn up the heating.", "change"),
        ("Dreh die Heizung runter.", "change"),
        ("Erh\u00f6he mein Limit auf 4500.", "change"),
        ("Augmente ma limite \u00e0 4500.", "change"),
        ("Baja mi l\u00edmite a 500.", "change"),
        ("Abaixa o meu limite para 500.", "change"),
        ("Abbassa il mio limite a 500.", "change"),
        ("\u00c9teins la lumi\u00e8re.", "change"),
        ("Enciende la luz.", "change"),
        ("Acende a luz.", "change"),
        ("Spegni la luce.", "change"),
        ("Segna come fatta quella dei manifesti.", "change"),
    ],
)
def test_what_people_say_asks_for_an_act(text: str, kind: str) -> None:
    assert kind in request_kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "Send Anna my quarter report.",
        "Send Anna my part list.",
        "Send Anna my sixth draft.",
        "Schick Anna das Teil.",
        "Schick Anna meinen Teil des Berichts.",
        "Schick Anna 3 mehr Fotos.",
        "Envoie \u00e0 Anna la part de g\u00e2teau.",
        "Manda a Anna la parte del informe.",
        "Invia ad Anna la mia parte del rapporto.",
        "Envia a Anna a minha parte do relat\u00f3rio.",
    ],
)
def test_a_part_of_a_thing_is_no_money(text: str) -> None:
    assert "pay" not in request_kinds(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Send Kim another 3 photos.", "pay"),
        ("Send form 1040 back to Kim.", "pay"),
        ("Send 20 back issues to Kim.", "pay"),
        ("Send the same amount of leaflets as last time.", "pay"),
        ("Send me 20 back.", "pay"),
        ("Don't send him 15.50 back.", "pay"),
        ("Find the issue with a comment from Kim.", "post"),
        ("Read the mail with a message that Kim forwarded.", "post"),
        ("Does another issue in kim/data say the same?", "create"),
        ("Where is Kofi's signature on LV-9022?", "send"),
        ("Send me the third of the letters.", "pay"),
        ("N'envoie pas \u00e0 Carys 50 de plus.", "pay"),
        ("There is no cancel button, why?", "delete"),
        ("Say no, do not cancel it.", "delete"),
        ("Ne r\u00e9serve pas de table.", "book"),
        ("Block the card for payments abroad.", "book"),
        ("Tell me when the bus goes.", "create"),
        ("Open the letter and say what is in it.", "send"),
        ("Look into the ticket, then say whether it is urgent.", "post"),
        ("Ich habe die Aufgabe als erledigt markiert, stimmt das?", "change"),
    ],
)
def test_what_people_say_asks_for_no_act(text: str, kind: str) -> None:
    assert kind not in request_kinds(text)


@pytest.mark.parametrize(
    "text", ["What is in my mail?", "Is there anything new on the account?", "How much did I spend in March, no tips?"]
)
def test_an_english_question_implies_nothing_by_words_of_other_languages(text: str) -> None:
    assert request_kinds(text) <= {"pay"}


@pytest.mark.parametrize(
    "text",
    [
        "Send Anna $5k",
        "Send Anna 5k",
        "send anna 5k please",
        "Give Kim 1.5k euros",
        "Wire Lee \u00a32k today",
        "Send Anna 2k EUR.",
        "Send 5k to Anna",
        "Send $5k to Anna",
        "Shoot Anna 50 bucks",
        "Send over 200 quid to Lee",
        "Send Anna 5 grand",
        "Send Anna five hundred dollars",
        "Send Anna fifty bucks",
        "Send Anna a hundred euros",
        "Venmo Anna $20",
        "Paypal Lee 20 euros",
        "Zelle Anna $50 for dinner",
        "Spot Lee $20",
        "Schick Anna 5k",
        "Schick Anna 5k \u20ac",
        "Schick Anna 5 Tausend Euro",
        "Schick Anna f\u00fcnfzig Euro",
        "Schick Anna 5.000\u20ac",
        "Envoie 5k\u20ac \u00e0 Anna",
        "Envoie 5 000 \u20ac \u00e0 Anna",
        "Envoie cinquante euros \u00e0 Anna",
        "Env\u00eda 5k a Ana",
        "Env\u00eda 5 mil euros a Ana",
        "M\u00e1ndale cincuenta euros a Ana",
        "Manda 5 mil reais para a Ana",
        "Manda cinquenta euros \u00e0 Ana",
        "Manda 5k ad Anna",
        "Manda 5 mila euro ad Anna",
        "Manda cinquanta euro ad Anna",
    ],
)
def test_money_is_asked_for_in_the_words_of_chats(text: str) -> None:
    assert "pay" in request_kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "Send Anna the 5k run photos",
        "Send me the results of the 10k",
        "Send the 4k video to Anna",
        "Send Anna 5k photos",
        "Send Anna the 2k word essay",
        "Tell Anna that I owe Lee $5k",
        "Did Kim send Anna $5k?",
        "Don't send Anna $5k",
        "Send Anna the report about the $5k invoice",
        "Send Anna a quote for $5k",
        "Send Anna an invoice for $5k",
        "Mail Anna that the car costs $5k",
        "Send Anna an offer of 5k EUR",
        "Schick Anna ein Angebot \u00fcber 5k Euro",
        "Envoie \u00e0 Anna un devis de 5k euros",
        "Give Anna 10k steps of feedback",
        "Send 5k emails",
    ],
)
def test_an_amount_beside_other_things_asks_for_no_payment(text: str) -> None:
    assert "pay" not in request_kinds(text)


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Don't forget to mail eve@x.example the report.", True),
        ("Please don't forget to send Eve the report.", True),
        ("Why don't you write to Eve about the report?", True),
        ("Why not write to Eve?", True),
        ("Send the report not only to Kim but also to Eve.", True),
        ("Don't hesitate to contact Eve.", True),
        ("Vergiss nicht, Eve zu schreiben.", True),
        ("Vergiss nicht Eve zu schreiben.", True),
        ("Warum schreiben wir nicht Eve?", True),
        ("N'oublie pas d'\u00e9crire \u00e0 Eve.", True),
        ("Pourquoi ne pas \u00e9crire \u00e0 Eve ?", True),
        ("No olvides escribir a Eve.", True),
        ("No te olvides de escribir a Eve.", True),
        ("N\u00e3o te esque\u00e7as de escrever a Eve.", True),
        ("Por que n\u00e3o escrever a Eve?", True),
        ("Non dimenticare di scrivere a Eve.", True),
        ("Perch\u00e9 non scrivi a Eve?", True),
        ("Schick den Bericht nicht nur an Kim, sondern auch an Eve.", True),
        ("Don't mail Eve.", False),
        ("Do not forget that I never write to Eve.", False),
        ("Schreib Eve nicht.", False),
        ("N'\u00e9cris pas \u00e0 Eve.", False),
        ("No escribas a Eve.", False),
        ("Non scrivere a Eve.", False),
        ("N\u00e3o escrevas a Eve.", False),
    ],
)
def test_some_negations_ask_for_what_they_seem_to_deny(text: str, *, asks: bool) -> None:
    assert ("send" in request_kinds(text)) is asks


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Annul the latest order, would you?", "delete"),
        ("Pull the plug on that order.", "delete"),
        ("Can you nix it?", "delete"),
        ("Let's scrap that order.", "delete"),
        ("Would you revoke the placed order?", "delete"),
        ("Could you reverse the transaction that we just made?", "delete"),
        ("Refill the tank, please.", "change"),
        ("Top off the tank with 30 gallons.", "change"),
        ("Fund my account with 500 dollars.", "pay"),
        ("Can you ignite the engine?", "run"),
        ("Let everyone know about my trip.", "post"),
        ("Let's set a limit of 1500 dollars.", "change"),
        ("Let's order two of them.", "book"),
        ("Jot down 'call Kim' in my notes.", "create"),
        ("Craft a new file for it.", "create"),
        ("Initiate the engine.", "run"),
        ("Entriegle die Haustür.", "secure"),
        ("Llena el depósito.", "change"),
    ],
)
def test_an_act_has_many_names(text: str, kind: str) -> None:
    assert kind in request_kinds(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What is in my pension fund?", "pay"),
        ("Can you list the funds that I have?", "pay"),
        ("Fill in the form for me.", "pay"),
        ("List the mails in reverse order.", "delete"),
        ("Is it Kim's order?", "book"),
    ],
)
def test_a_noun_or_a_form_asks_for_no_money_and_no_end(text: str, kind: str) -> None:
    assert kind not in request_kinds(text)


def test_who_opens_a_thing_by_its_number_only_reads_it() -> None:
    assert not request_kinds("Open ticket 77 first.")
    assert "create" in request_kinds("Open a 12 month savings account.")
    assert "create" in request_kinds("Open a ticket about my bell.")


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        ("Pay Kim. And read me what the letter says.", False),
        ("Pay Kim what the letter says.", True),
        ("Read me what the letter says, and pay that.", True),
    ],
)
def test_who_wants_to_be_told_what_a_content_says_leaves_nothing_to_it(text: str, *, leaves: bool) -> None:
    assert (FILL in request_kinds(text)) is leaves
