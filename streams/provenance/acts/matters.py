"""Which matters a text speaks of: what people have changed about a record, such as luggage, a plan or an instalment.

**Idea.** The kinds of acts are a dozen, so "cancel the later flight" asks for a kind of act of which `add_bags` is as
well. What tells them apart is the thing. People call a thing by many names, so a comparison of nouns made questions of
honest work (`streams.provenance.acts.kinds`). Here two texts are compared by the matters that both of them name, and
only if each names one: what no table has proves nothing.

A word that names a matter is evidence of it. One that may stand for it, such as the contract in which a plan is, speaks
of it as well, but does not show that another matter is not meant. The tables are those of everyday words in the
languages in which requests are read, and in Polish. No name of a tool stands here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from streams.provenance.acts.words import CHANGING_VERBS, FORMS, GENERIC_VERBS, TOOL_VERBS
from streams.provenance.words import listed, singular, words_of_name

TEXT_CHARS_MAX = 20_000
NAMES_CACHED_MAX = 2_048
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)?")
_YES = re.compile(r"(?:\A|[.!?;,\n] ?|\bque )sim\b(?! cards?\b)")
"""The Portuguese word for "yes"."""
_COMPOUND_CHARS_MIN, _COMPOUND_CHARS_MAX = 9, 64
_HEAD_CHARS_MIN = 5
_ENDS_OBJECT = frozenset(("of", "to", "for", "in", "on", "at", "with", "from", "about", "into", "by", "per", "and"))
"""What stands behind one of them in the name of a tool is where the thing belongs: `add_bags_to_booking`."""

_NAMES = {
    "luggage": (
        "bag baggage luggage suitcase backpack holdall rucksack koffer gepaeck gepaeckstueck reisetasche "
        "bagage bagages valise valises equipaje equipajes maleta maletas bagagem bagagens mala? malas? bagaglio "
        "bagagli valigia valigie bagaz walizka walizki walizke"
    ),
    "seat": (
        "seat seating legroom sitz sitze sitzplatz sitzplaetze fensterplatz gangplatz siege sieges asiento "
        "asientos ventanilla assento assentos sedile sedili finestrino"
    ),
    "meal": (
        "meal food? menu? dish? vegetarian vegan lunch dinner breakfast halal kosher essen mahlzeit menue "
        "fruehstueck mittagessen abendessen repas dejeuner diner comida desayuno almuerzo cena? refeicao "
        "almoco jantar pasto pranzo colazione posilek sniadanie obiad"
    ),
    "flight": (
        "flight flights plane? fly flying flug fluege flieger fliegen vol? avion vuelo volar voo voar volo "
        "aereo volare samolot"
    ),
    "train": "train? railway zug zuege bahn tren trem treno pociag",
    "insurance": (
        "insurance insured deductible versicherung selbstbeteiligung assurance seguro seguros assicurazione "
        "ubezpieczenie"
    ),
    "roaming": "roaming abroad ausland etranger extranjero estrangeiro estero zagranica",
    "data": "data? gigabyte gigabytes gig gigs gb mb megabyte internet? datenvolumen daten donnees datos dados? dati?",
    "plan": (
        "plan? plans? tariff tariffs tier? tarif tarife forfait tarifa tarifas plano? planos? tariffa tariffe "
        "taryfa taryfe"
    ),
    "sim": "sim sims esim simcard sim-karte simkarte",
    "instalment": (
        "instalment installment abschlag abschlaege monatsrate teilbetrag teilzahlung mensualite echeance "
        "mensualidad cuota prestacao mensalidade rateizzazione canone rata"
    ),
    "reading": (
        "meter reading? readings? odometer mileage zaehler zaehlerstand kilometerstand compteur releve "
        "contador lectura leitura contatore lettura licznik odczyt"
    ),
    "address": (
        "address street postcode? zip? relocate relocated relocating adresse anschrift strasse postleitzahl? "
        "umzug umgezogen umziehen demenage demenagement direccion calle mudanza endereco rua mudanca "
        "indirizzo trasloco adres ulica przeprowadzka"
    ),
    "email": "email? e-mail? emails? e-mails? mailbox",
    "phone": "telephone? mobile? handynummer? telefonnummer? telefon? telefono? telefone?",
    "name": (
        "surname? misspelt misspelled spelling nachname? vorname? familienname? prenom? apellido? apelido? "
        "sobrenome? cognome? nazwisko?"
    ),
    "password": "password passcode pin? passwort kennwort contrasena senha haslo login?",
    "limit": "limit limits cap? ceiling? overdraft quota obergrenze dispo plafond decouvert limite? massimale",
    "warmth": (
        "temperature degree degrees warm warmer colder cool cooler heating heater heat thermostat freezing "
        "aircon temperatur grad? heizung kalt waerme heizen chauffage froid chaud temperatura calefaccion frio "
        "calor? aquecimento riscaldamento freddo caldo ogrzewanie zimno"
    ),
    "light": (
        "light? lights? lamp lamps brightness dim? bulb licht lampe lampen helligkeit lumiere lampes luz "
        "luces luzes luce luci swiatlo"
    ),
    "sound": (
        "loud? louder? quiet? quieter? music song playlist sound? volume? laut lauter leise musik lautstaerke "
        "musique bruit musica ruido rumore muzyka"
    ),
    "money": (
        "money refund refunded compensation compensate voucher coupon certificate? cash reimbursement "
        "reimburse goodwill payout payment payments cashback rebate geld erstattung entschaedigung gutschein "
        "rueckzahlung zahlung argent remboursement indemnite paiement dinero reembolso compensacion vale? pago "
        "dinheiro compensacao pagamento soldi rimborso indennizzo buono zwrot pieniadze odszkodowanie"
    ),
    "medicine": (
        "medicine medication dose? dosage pill pills tablet? tablets? prescription drug medikament dosis "
        "tablette tabletten rezept medicament ordonnance comprime medicamento receta pastilla receita remedio "
        "comprimido medicina ricetta pastiglia lek recepta"
    ),
    "salary": "salary wage wages bonus? gehalt lohn salaire sueldo salario stipendio pensja wynagrodzenie",
    "absence": (
        "vacation absence sick-leave urlaub urlaubstag krankmeldung conges conge vacaciones ferias ferie urlop"
    ),
    "garage": "parkings garage parkplatz stellplatz stationnement aparcamiento estacionamento parcheggio",
    "car": (
        "car? cars? vehicle van? truck? wagen fahrzeug mietwagen voiture vehicule coche vehiculo carro? macchina "
        "samochod"
    ),
    "room": "room? rooms? suite? balcony bed? beds? zimmer balkon bett chambre habitacion quarto pokoj",
    "newsletter": (
        "newsletter newsletters marketing advertising adverts promotions werbung publicite publicidad "
        "publicidade pubblicita reklama"
    ),
    "alarm": "alarm alarms siren burglar wecker alarme alarma allarme",
    "lock": "door? doors? tuer tueren porte? puerta porta drzwi",
    "loan": (
        "loan loans mortgage kredit darlehen hypothek pret? hypotheque prestamo hipoteca emprestimo prestito "
        "mutuo kredyt"
    ),
    "savings": "savings sparkonto sparen epargne ahorro ahorros poupanca risparmi risparmio oszczednosci",
    "donation": "donation donate spende spenden donacion doacao donazione darowizna",
    "stock": "stock? stocks? shares? bonds etf aktie aktien fonds? acciones acoes azioni akcje",
    "warranty": "warranty guarantee garantie garantia garanzia gwarancja",
    "pet": "dog cat? pet hund katze haustier chien chat? perro gato mascota cachorro cane gatto pies? kot",
    "speed": (
        "speed? faster? slower? mbit broadband router bandwidth geschwindigkeit vitesse velocidad velocidade velocita"
    ),
    "wrapping": "wrapping gift-wrap giftwrap geschenkpapier",
    "water": "watering irrigation sprinkler bewaesserung arrosage riego irrigazione",
}
"""Words that name a matter. A question mark is behind one that people say of other things as well."""
_HINTS = {
    "luggage": "stuff things pack carry heavy cello bike skis kilo kilos kg weight extra",
    "seat": (
        "window aisle row sit sitting together upgrade class place platz plaetze lugar lugares janela posto posti fila"
    ),
    "meal": "eat eating allergy allergic gluten vegetarisch diet",
    "flight": (
        "departure connection trip travel ticket earlier later leave arrive day rebook plane journey reise "
        "voyage viaje viagem viaggio date"
    ),
    "train": "connection trip travel ticket journey ride",
    "insurance": "cover covered coverage policy premium protect protection police",
    "roaming": "travel travelling holiday trip country usa america spain foreign",
    "data": "volume surf surfing megs slow online web volumen traffic",
    "plan": (
        "contract subscription package rate offer deal abo vertrag abonnement contrat contrato contratto "
        "upgrade downgrade cheaper bigger smaller unlimited membership paket paquete pacote pacchetto"
    ),
    "sim": "card chip karte carte tarjeta cartao scheda stolen lost",
    "instalment": (
        "payment payments monthly month pay paying rate raten rates mensuel mensuelle mensual mensal mensile "
        "monatlich premium bill fee less much high"
    ),
    "reading": "counter kwh number stand",
    "address": (
        "move moving moves moved rue via deliver delivery delivered ship shipping parcel office home house "
        "flat apartment city neighbour neighbor send post liefern lieferung umleiten livraison livrer entrega "
        "envio consegna spedire dostawa"
    ),
    "email": "mail contact inbox mails",
    "phone": "number phone call handy portable movil celular telemovel cellulare numer nummer numero",
    "name": "name called typo typed wrong married spelled nom nombre nome imie",
    "password": "log sign access locked forgot account",
    "limit": "card maximum minimum max spend more higher lower withdraw",
    "warmth": "hot cold ac air climate cosy comfortable kuehl",
    "light": "bright dark hell dunkel scene movie",
    "sound": "play radio hear noise speaker volume",
    "money": (
        "pay paid back cost costs charge charged credit euro euros eur dollar dollars usd pound pounds gbp "
        "amount price bill invoice fee send transfer owe owed deposit card account free discount gift late "
        "claim claims delay delayed broken damaged defective faulty missing lost cancelled canceled cancel wrong "
        "overcharged twice double complain complaint inconvenience sorry return returned bezahlen bezahlt "
        "zahlen zurueck betrag rechnung verspaetet verspaetung kaputt defekt fehlt stornieren payer paye "
        "montant facture retard casse annuler pagar cobrado importe factura retraso roto cancelar valor "
        "fatura atraso quebrado pagare importo fattura ritardo rotto annullare zaplacic rachunek faktura"
    ),
    "medicine": "refill pharmacy doctor symptom pain take",
    "salary": "pay raise payroll",
    "absence": "leave holiday off days sick ill krank malade enfermo doente malato",
    "garage": "space spot parken car",
    "car": "drive driving rent rental ride model",
    "room": "view floor sleep night nights hotel stay upgrade quiet bigger",
    "newsletter": "ads mails emails notifications consent unsubscribe spam offers messages",
    "alarm": "wake arm armed disarm alert safe away",
    "lock": "lock locked unlock open close closed key keys entrance",
    "loan": "borrow repay rate interest",
    "savings": "save put aside account",
    "donation": "charity give help",
    "stock": "buy sell invest share portfolio",
    "warranty": "repair broken",
    "pet": "animal cage",
    "speed": "slow internet connection fast",
    "wrapping": "wrap wrapped present gift",
    "water": "water lawn garden plants giessen",
}
"""Words that may stand for it, and prove nothing of another matter."""
_INCLUDED = {
    "flight": listed("seat luggage meal money"),
    "train": listed("seat"),
    "seat": listed("money"),
    "insurance": listed("reading"),
    "plan": listed("speed limit"),
    "data": listed("speed limit"),
}
"""What belongs to a matter: who speaks of a flight may mean the seat on it, what he carries, or what it has cost."""


def _table(words: dict[str, str]) -> dict[str, frozenset[str]]:
    made: dict[str, frozenset[str]] = {}
    for matter, names in words.items():
        for name in names.replace(_UNCERTAIN, "").split():
            for form in {name, singular(name)}:
                made[form] = made.get(form, frozenset()) | {matter}
    return made


_UNCERTAIN = "?"
MATTERS = frozenset(_NAMES)
_NAMED, _HINTED = _table(_NAMES), _table(_HINTS)
_UNCERTAIN_WORDS = frozenset(
    name.removesuffix(_UNCERTAIN) for names in _NAMES.values() for name in names.split() if name.endswith(_UNCERTAIN)
)


def matters_in(plain: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the matters that a message names, and those that it names or may mean.

    Args:
        plain: the message in lower case and without accents; what is beyond `TEXT_CHARS_MAX` is not read.
    """
    named: set[str] = set()
    meant: set[str] = set()
    for word in set(_WORD.findall(_YES.sub(" ", plain[:TEXT_CHARS_MAX]))):
        for form in {word, *word.split("-")}:
            found, one = _matters_of(form), singular(form)
            if _UNCERTAIN_WORDS.isdisjoint((form, one)):
                named |= found
            meant |= found | _HINTED.get(form, _NOTHING) | _HINTED.get(one, _NOTHING)
            meant |= _NOTHING.union(*(_INCLUDED.get(each, _NOTHING) for each in found))
    return frozenset(named), frozenset(meant)


_NOTHING: frozenset[str] = frozenset()


def _matters_of(word: str) -> frozenset[str]:
    """Return the matters that a word names, also as the head of a German compound ("Stromabschlag")."""
    found = _NAMED.get(word) or _NAMED.get(singular(word))
    if found is None and _COMPOUND_CHARS_MIN <= len(word) <= _COMPOUND_CHARS_MAX:
        heads = (word[place:] for place in range(3, len(word) - _HEAD_CHARS_MIN + 1))
        found = next((_NAMED[head] for head in heads if head in _NAMED), None)
    return found or _NOTHING


@lru_cache(maxsize=NAMES_CACHED_MAX)
def matters_of_name(name: str) -> frozenset[str]:
    """Return the matters that the name of an argument names: `gigabytes`, `new_tariff`."""
    return _matters_of_words(words_of_name(name))


def matters_of_tool(name: str, description: str) -> frozenset[str]:
    """Return the matters that a tool changes, by its name, else by the beginning of its description.

    What follows a word such as `of` or `to` is the record that has them: "change the instalment of a contract".
    """
    return _matters_of_words(_object_in(words_of_name(name))) or _matters_of_words(
        _object_in(_WORD.findall(re.split(r"[.!?;:\n]", description.lower(), maxsplit=1)[0]))
    )


def _object_in(words: Iterable[str]) -> list[str]:
    found: list[str] = []
    for place, word in enumerate(words):
        if place and word in _ENDS_OBJECT:
            break
        if not (place == 0 and FORMS.get(word, word) in _VERBS):
            found.append(word)
    return found


_VERBS = GENERIC_VERBS | CHANGING_VERBS | TOOL_VERBS.keys()


def _matters_of_words(words: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*map(_matters_of, words))
