"""The facts of provenance: where the values of a call come from, what kind of act it is, and whether it was asked for.

`streams.processors.provenance.facts` makes them. A flag that is optional here is true or missing, so rules ask `has()`.
"""

from __future__ import annotations

from streams.policy.language.fact_types import Struct, flag, number, text, texts, word

_ORIGINS = ("user", "trusted", "field", "text", "nowhere")
_ROLES = ("unknown", "target", "destination", "content", "amount", "selector", "time")

ORIGIN = Struct(
    "Origin",
    (
        text("arg", "the JSON pointer of the argument, or of the place in it, that holds the value"),
        word("role", "what the argument is for, as the catalog states or proposes it", *_ROLES),
        flag("sink", "the argument says where data goes or what is acted on (`sink_args` of the catalog)"),
        flag("part", "the value is a part of the argument's text"),
        flag("shaped", "the value has the shape of a machine's: an address, a link, an account number, an id"),
        word(
            "origin",
            "the best source of the value: the user's words (or the subject), trusted data, a whole field of a "
            "structured result that others may write, text that others may write, or nowhere",
            *_ORIGINS,
        ),
        flag("instructed", "others have named the value beside something that reads like an instruction"),
        flag("decoded", "others have named the value only in disguise: encoded, reversed, with look-alike letters"),
        flag("named", "text that others may write names the value, outside of a record that it is a field of"),
        flag(
            "pointed",
            "the user has named the value, or something else in the record that holds it; of text also in an act that "
            "they leave to a content while they have pointed at none that was read",
        ),
        flag(
            "shown",
            "the value is a field of a record that the user has not pointed at, and text names it as well that the "
            "user has asked for; missing if not",
            optional=True,
        ),
        flag(
            "sole",
            "the value says where data goes and stands in text that the user has asked for, they have said what kind "
            "of value it is (an e-mail address, a phone or account number), and the content has no other one of this "
            "kind; missing if not",
            optional=True,
        ),
        flag(
            "instead",
            "the value is a sink that only text by others names, the user has named a value of this sort for what they "
            "ask for (a mail address, an account number, an id of this form), and the call does not have theirs; "
            "missing if not, and of reads",
            optional=True,
        ),
        word(
            "proposed",
            "what the agent has proposed, and the user has let stand, says of a value of an act that text by others "
            "names and the user does not: it was proposed (`this`), or another one of its sort that the call lacks "
            "(`other`), or neither (`none`); missing of all other values, and where no proposal is known",
            *("this", "other", "none"),
            optional=True,
        ),
        flag("subject", "the value is the session's subject itself"),
        texts("events", "the ids of the events that have shown the value first"),
        word(
            "calls_for",
            "what the instruction beside the value calls for: this kind of act (or to put the value into what is "
            "written), another one, or something unknown; missing if there is none",
            *("this", "other", "unknown"),
            optional=True,
        ),
        flag(
            "composed",
            "the value is an address that nothing has shown, but others have named its host or its beginning; missing "
            "if it is not",
            optional=True,
        ),
        flag(
            "excluded",
            "the user has left this target of an act out (`not to Eve`, `everybody but Kim`), and has not named it "
            "since; missing if not",
            optional=True,
        ),
        flag("money", "the argument is an amount of money; missing if it is not", optional=True),
        flag(
            "otherwise",
            "the user's last message says how many of the thing there are that the argument is called after, and the "
            "value is another number, which no record states; missing if not",
            optional=True,
        ),
        word(
            "resembles",
            "the host of an address in a sink, which is not the user's or from trusted data, differs by one slip from "
            "that of an address that is (`known`), or from another one that was read (`other`); `unknown` if there are "
            "too many to compare it with all; missing if it looks like none",
            *("known", "other", "unknown"),
            optional=True,
        ),
    ),
)

ACT = Struct(
    "Act",
    (
        word(
            "kind",
            "the kind of act, as the catalog states or proposes it",
            *("read", "send", "post", "create", "book", "change", "delete", "pay", "share", "secure", "run", "other"),
        ),
        flag("outward", "the tool reaches beyond the operator's systems; the same as `tool.open_world`"),
        flag(
            "requested",
            "the request asks for this kind of act; it asks for all reads, except of links if it does not speak of any",
        ),
        flag(
            "delegated",
            "the user leaves the choice of acts to a content that they name, or values of the act that they ask for",
        ),
        number("count", "how many calls of this kind the session has been allowed before"),
        number(
            "drift",
            "how many acting calls of the session, this one included, neither the request nor what it led to calls for",
        ),
        flag("drifts", "this call is one of them: neither the request nor what it led to calls for it"),
        flag(
            "called_for", "an instruction by others, anywhere in what the session has read, calls for this kind of act"
        ),
        flag(
            "other_thing",
            "the act ends something, changes who may do what, or gives access, and the user has said no word for the "
            "things that the tool is about; missing if not, and if no instruction by others was read",
            optional=True,
        ),
        flag(
            "other_matter",
            "the user has mentioned other matters than the one that the act changes (of a seat, and it is bags), and "
            "what it sets is neither theirs nor what records hold; missing if not, of messages, if the user has agreed "
            "to it or stated where it goes, and before anything untrusted was read",
            optional=True,
        ),
        flag(
            "uncalled",
            "all instructions by others in what the session has read call for other kinds of acts; missing if one may "
            "call for this kind, or if there is none",
            optional=True,
        ),
        flag(
            "agreed",
            "the user's last message agrees to what the agent has proposed, or answers it, and nothing that others "
            "may write was read since; missing if not, and if the act is requested",
            optional=True,
        ),
        flag(
            "stated",
            "the user has said where it goes or which amount it moves, and every sink is theirs or a field of a record "
            "that they have pointed at; missing if not, and if the act is requested",
            optional=True,
        ),
        flag(
            "priced",
            "a record that the user has pointed at states an amount of money, and they have named no number; "
            "missing if not",
            optional=True,
        ),
        flag(
            "unspoken",
            "nothing that the user has said names the tool, an argument that the call sets, or a value of the call "
            "other than themselves; missing if something does, of reads and outward acts with a sink, if they have "
            "said nothing, and before anything untrusted was read",
            optional=True,
        ),
        flag(
            "exceeds",
            "the call has an amount of money that is larger than each one that the user has named with its "
            "currency; missing if not",
            optional=True,
        ),
        flag(
            "worded",
            "the user has said what the tool does in the tool's own word; missing if not, and where no instruction by "
            "others may call for the act, or names a sink of the call that the user has named as well",
            optional=True,
        ),
        flag(
            "mentioned",
            "the user has said a word of each target of the call that others have named beside an instruction (`the "
            "Sports option` of `TV-SPORTS`); missing if not, if there is none, and of reads and outward acts",
            optional=True,
        ),
        flag(
            "filled",
            "the call is a read, and the user leaves values to a content that they name; missing if not, and of acts, "
            "of which `delegated` says it",
            optional=True,
        ),
        flag(
            "foreign",
            "the user has written in a language in which requests are not read, so nobody knows whether they ask for "
            "it; missing if not, and if the act is requested",
            optional=True,
        ),
        flag(
            "widened",
            "the user has named what the act is about and leaves values to a content, and nothing of the call is what "
            "they have named, or a field of its record; missing if not",
            optional=True,
        ),
    ),
)

SCOPE = Struct(
    "Scope",
    (
        word(
            "source",
            "who has limited the session to its task: the token service, a person, or nobody but the request itself",
            *("none", "derived", "person", "issuer"),
        ),
        flag("inside", "the call is within the limits of that source"),
        flag("amount", "that source limits the amount of the call; missing if it does not", optional=True),
    ),
)

OWNER = Struct(
    "Owner",
    (
        flag("several", "the tool's data belong to several owners"),
        flag("subject", "all that the call says about owners is the session's subject"),
        flag("other", "the call names another owner, or a record of another owner"),
        number(
            "age_ms",
            "the time since operators' systems last knew whose a record is that the call names (`owner_sub`); missing "
            "if they don't say it",
            optional=True,
        ),
        flag(
            "unread",
            "the call acts on a record of a kind that has owners, as a tool of the server shows (`output_owners`), and "
            "the session has read nothing that holds it; missing if it does not",
            optional=True,
        ),
    ),
)

READ = Struct(
    "Read",
    (
        flag("untrusted", "the session has read something that others may write"),
        flag("text", "some of that is free text"),
        flag("instructed", "some of that text reads like an instruction"),
        flag(
            "complete",
            "all values of what was read are known, but perhaps words without a shape; if not, an unknown value counts "
            "as instructed text",
        ),
        flag(
            "lacks_words",
            "words without a shape were read that are not known, so unknown words count as text, and so does an "
            "unknown value that says where something goes or what is acted on; missing if not",
            optional=True,
        ),
    ),
)

FLOW = Struct(
    "Flow",
    (
        flag(
            "private",
            "the call passes on a value with the shape of a machine's that not everybody may see and the user has not "
            "named",
        ),
        flag("public", "everybody may see what the call writes, by the label of the tool's output or as it is a post"),
        flag("excluded", "the call passes on a value to somebody who is not among its readers"),
        flag(
            "personal",
            "a text of the call tells somebody else a number that identifies a person (of a passport, a card, a bank "
            "account), of which the user has not spoken; missing if none does",
            optional=True,
        ),
    ),
)
