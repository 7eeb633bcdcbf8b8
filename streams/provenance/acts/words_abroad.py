"""Words of requests in German, French, Spanish, Portuguese, Italian and Polish that ask for kinds of acts.

Words are listed as they stand in requests (the imperative, the infinitive, the subjunctive of polite forms), in lower
case and without accents: `streams.provenance.accents` makes them so, with `ae`, `oe` and `ue` for umlauts. Words that
English has, too, are left out: a request in English must not imply more because of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from streams.provenance.accents import WORDS_CACHED_MAX
from streams.provenance.acts.words_polish import WORDS_POLISH
from streams.provenance.words import listed

_WORDS = {
    ("pay",): (
        "zahl zahle zahlen bezahl bezahle bezahlen ueberweis ueberweise ueberweisen ueberweist erstatte erstatten "
        "begleiche begleichen spende spenden zahlung ueberweisung rueckerstattung payez payons paie paies regle "
        "reglez regler vire virer virez versez verser rembourse remboursez rembourser paiement virement "
        "remboursement paga pagar pague pagues pagame pagale transfiere transferir transfiera transfiereme abona "
        "abonar abone reembolsa reembolsar reembolse devuelveme transferencia reembolso transfira transfere "
        "pagamento pagare paghi pagate pagami trasferisci trasferire bonifica bonifico rimborsa rimborsare rimborso "
        "versare"
    ),
    ("send", "post"): (
        "schick schicke schicken schickt sende senden sendet schreib schreibe schreiben schreibt antworte antworten "
        "antwortet beantworte beantworten mailen maile benachrichtige benachrichtigen informiere informieren "
        "weiterleiten teile sag envoie envoies envoyer envoyez ecris ecrivez ecrire reponds repondez repondre "
        "transmets transmettez transmettre previens prevenez prevenir informe informez envia enviar envie "
        "enviame enviale mandar mande mandale mandame escribe escribir escriba escribele responde "
        "responda respondele contesta contestar conteste contestale avisa avisar avisale reenvia reenviar reenvie "
        "notifica notificar escreve escrever escreva encaminha encaminhar encaminhe avise invia inviare invii "
        "inviate inviagli mandare mandagli scrivi scrivere scrivete scriva rispondi rispondere risponda inoltra "
        "inoltrare inoltri avvisa avvisare informa"
    ),
    ("post", "send"): (
        "veroeffentliche veroeffentlichen poste publie publiez publier publica publicar publique pubblica "
        "pubblicare pubblichi kommentiere kommentieren comenta comentar comente commentez commenter commentare "
        "erwaehne erwaehnen menciona mencionar mencione mentionne mentionnez mentionner menziona menzionare"
    ),
    ("create",): (
        "erstelle erstellen erstellt erzeuge erzeugen speichere speichern schreibe notiere notieren verfasse "
        "verfassen kopiere kopieren anlegen cree creez creer redige redigez rediger enregistre "
        "enregistrez enregistrer sauvegarde sauvegardez notez noter preparez crea crear guarda guardar guarde "
        "redacta redactar redacte anota anotar anote prepara preparar copiar cria criar crie salvar redija grava "
        "gravar creare salvi salvare scrivi annota annotare preparare copiare aufschreiben vermerke vermerken inscris "
        "inscrivez inscrire apunta apuntar apunte apontar aponte segna segnare segnati appunta appuntare"
    ),
    ("create", "change", "share", "book"): (
        "fuege hinzufuegen ergaenze ergaenzen ajoute ajoutez ajouter anade anadir anada agrega agregar agregue "
        "adiciona adicionar adicione acrescenta acrescente aggiungi aggiungere aggiunga"
    ),
    ("book", "create", "pay"): (
        "buche buchen bucht reserviere reservieren bestell bestelle bestellen bestellt kauf kaufe kaufen miete "
        "mieten vereinbare vereinbaren buchung reservez reserver commande commandez achete achetez "
        "acheter loue louez reserva reservar reservame pide pedir pida compra comprar compre alquila alquilar "
        "agendar agende encomenda encomendar encomende marca marcar aluga alugar prenota prenotare prenoti "
        "prenotami ordina ordinare comprare compri compera noleggia fissa fissare planifie planifiez planifier "
        "planifica planificar planifique pianifica pianificare pianifichi"
    ),
    ("change",): (
        "aendere aendern aendert aktualisiere aktualisieren verschieb verschiebe verschieben ersetze ersetzen setze "
        "setzen umbenenne korrigiere korrigieren verlaengere verlaengern aenderung modifie modifiez modifier "
        "changez changer deplace deplacez deplacer remplace remplacez remplacer mets mettez mettre actualise "
        "actualisez corrige corrigez corriger prolongez reporte reportez modification cambia cambiar cambie "
        "cambiame modifica modificar modifique actualiza actualizar actualice mueve mover mueva reemplaza "
        "reemplazar pon poner ponga corregir corrija aplaza aplazar pospon prolonga muda mudar mude altera alterar "
        "altere atualiza atualizar atualize substitui substituir substitua adia adiar adie mova coloca colocar "
        "coloque cambiare cambi modificare modifichi aggiorna aggiornare aggiorni sposta spostare sposti "
        "sostituisci sostituire correggi correggere imposta impostare rinvia rinviare metti mettere "
        # Higher and lower, on and off. Not "activa", which is also said of what is active.
        "erhoehe erhoehen senke senken verringere verringern reduziere reduzieren augmente augmentez augmenter baisse "
        "baissez baisser diminue diminuez diminuer reduis reduisez reduire allume allumez allumer eteins eteignez "
        "eteindre aumenta aumentar aumente sube subir suba baja bajar baje reduzca enciende encender encienda reduz "
        "reduzir reduza abaixa abaixar abaixe acende acender acenda desliga desligar desligue aumentare alza alzare "
        "abbassa abbassare riduci ridurre accendi accendere spegni spegnere "
        "loese loesen resuelve resuelva resolver risolvi risolvere "
        "fija fije fijar llena llenar llene rellena rellenar tanke tanken betanke betanken auffuellen remplis "
        "remplissez remplir preencha encha encher riempi riempire "
        # Another time, another name, another person.
        "schieb schiebe schieben verleg verlege verlegen decale decalez decaler repousse repoussez repousser "
        "reprogramme reprogrammez reprogrammer renomme renommez renommer attribue attribuez attribuer confie confiez "
        "confier reprograma reprogramar reprograme retrasa retrasar retrase renombra renombrar asigna asignar asigne "
        "reasigna reasignar reasigne traslada trasladar traslade remarca remarcar remarque reagenda reagendar reagende "
        "renomeia renomear renomeie atribui atribuir atribua posticipa posticipare posticipi anticipa anticipare "
        "riprogramma riprogrammare rinomina rinominare rinomini assegna assegnare assegni riassegna riassegnare affida "
        "affidare affidi "
    ),
    ("delete", "change"): (
        "loesch loesche loeschen loescht storniere stornieren kuendige kuendigen entferne entfernen streiche "
        "streichen beende beenden schliesse schliessen stornierung kuendigung loeschung supprime supprimez "
        "supprimer annule annulez annuler efface effacez effacer retirez retirer resilie resiliez resilier ferme "
        "fermez fermer annulation resiliation suppression borra borrar borre elimina eliminar cancela cancelar "
        "cancele anula anular anule quita quitar cierra cerrar cierre cancelacion anulacion eliminacion apaga "
        "apagar apague exclui excluir exclua remova remover cancelamento fecha fechar feche cancella cancellare "
        "cancelli eliminare elimini annulla annullare annulli rimuovi rimuovere togli togliere disdici disdire "
        "chiudi chiudere cancellazione annullamento disdetta "
        "abmelden exmatrikuliere exmatrikulieren exmatrikulation desinscris desinscrivez desinscrire desinscription "
        "radiez radier desmatricula desmatricular desmatricule desinscreva desinscrever disiscrivi disiscrivere "
        "disiscrizione descarta descartar scarta scartare scarti buttare"
    ),
    ("share", "send", "change"): (
        "teile teilen freigeben freigib einladen partage partagez partager invitez inviter comparte compartir "
        "comparta invita invitar compartilha compartilhar compartilhe convida convidar convide condividi "
        "condividere condivida invitare inviti"
    ),
    ("secure", "change"): (
        "sperre sperren entsperre entsperren gewaehre gewaehren erlaube erlauben verriegele entriegele bloque "
        "bloquez bloquer debloque debloquez debloquer autorise autorisez autoriser verrouille verrouillez "
        "deverrouille bloquea bloquear bloquee desbloquea desbloquear autoriza autorizar autorice bloqueia bloqueie "
        "desbloqueia desbloqueie autorize blocca bloccare blocchi sblocca sbloccare autorizza autorizzare "
        "entriegle entriegeln verriegle verriegeln"
    ),
    ("run", "change"): (
        "starte starten startet fuehre ausfuehren installiere installieren lancez lancer executez executer demarre "
        "demarrez redemarre redemarrez redemarrer installe installez ejecuta ejecutar ejecute reinicia reiniciar "
        "reinicie inicia iniciar instala instalar instale despliega executa executar implanta esegui eseguire avvia "
        "avviare riavvia riavviare installa installare arranca arrancar arranque"
    ),
}
_WORDS["pay", "delete", "change"] = (
    # Out of an account, or out of the way.
    "retira retirar prelevare abheben abhebe"
)
_WORDS["create", "change"] = (
    # Who has a number or a wish entered has a record made or changed.
    "eintragen eintrage saisis saisissez saisir introduce introduzca introducir ingresa ingrese insere insira inserir "
    "inserisci inserire registriere registrieren registra registrar registre registrare registri"
)
_WORDS["book", "create", "send"] = (
    "beantrage beantragen anfordern fordere solicita solicitar solicite solicitem requiere requisite requisitar "
    "richiedi richiedere richieda"
)
_WORDS["pay", "send", "change"] = (
    # To give back: money, goods, or a debit.
    "zurueckgeben zurueckschicken zuruecksenden zurueckbuchen zurueckholen zurueckzahlen zurueckueberweisen renvoie "
    "renvoyez renvoyer rends rendez rendre devuelve devuelva devolver devuelvelo devuelvela devolve devolva "
    "restituisci restituire rimanda rimandare storna stornare"
)
REQUEST_KINDS_ABROAD: dict[str, frozenset[str]] = {}
"""The kinds of act that a word of a request implies, by the word without accents."""
for _kinds, _words in (*_WORDS.items(), *WORDS_POLISH.items()):
    for _word in _words.split():
        REQUEST_KINDS_ABROAD[_word] = REQUEST_KINDS_ABROAD.get(_word, frozenset()).union(_kinds)

ACCENTED = {"r\u00e9serve": frozenset(("book", "create", "pay")), "pr\u00e9pare": frozenset(("create",))}
"""Words that English has without their accents, and what they imply with them."""
_CLITICS = re.compile(
    r"(?:(?:se|me|te|nos)(?:lo|la|los|las)|gli?e(?:lo|la|li|le)|(?:me|te|ce)(?:lo|la|li|le)|"
    r"lo|la|los|las|le|les|me|nos|mi|gli|li|lhe|lhes)\Z"
)
_STEM_CHARS_MIN = 4


@lru_cache(maxsize=WORDS_CACHED_MAX)
def kinds_abroad(word: str) -> frozenset[str]:
    """Return the kinds of act that a word of a request implies, without accents; also with pronouns at its end.

    "Mándaselo a Ana" is the imperative of `mandar` with two of them, "scriverle" the infinitive of `scrivere` with one.
    """
    kinds = REQUEST_KINDS_ABROAD.get(word)
    if kinds is not None:
        return kinds
    ending = _CLITICS.search(word)
    if ending is None or ending.start() < _STEM_CHARS_MIN:
        return frozenset()
    stem = word[: ending.start()]
    forms = (stem, f"{stem}e", f"{stem}r", f"{stem}re")
    return next((REQUEST_KINDS_ABROAD[form] for form in forms if form in REQUEST_KINDS_ABROAD), frozenset())


_SEPARABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "sag sagen blas blase": {"ab": ("delete", "change"), "bescheid": ("send",)},
    "schreib schreibe schreiben": {"auf": ("create",)},
    "hak hake haken": {"ab": ("change",)},
    "dreh drehe drehen": {"auf": ("change",), "ab": ("change",), "runter": ("change",), "hoch": ("change",)},
    "streich streiche": {"an": ("change",)},
    "lade laden": {"ein": ("share", "send", "change")},
    "leg lege legen": {"an": ("create",), "ab": ("create",)},
    "benenn benenne benennen": {"um": ("change",)},
    "weis weise ordne teil": {"zu": ("change",)},
    "trag trage tragen": {"ein": ("create", "change"), "aus": ("delete", "change")},
    "fueg fuege fuegen": {"hinzu": ("create", "change", "share", "book")},
    "leit leite leiten": {"weiter": ("send", "post")},
    "gib gebe geben": {
        "frei": ("share", "send", "change"),
        "weiter": ("send",),
        "zurueck": ("pay", "send", "change"),
    },
    "schick schicke sende buch buche bring bringe ueberweis ueberweise": {"zurueck": ("pay", "send", "change")},
    "pass passe passen": {"an": ("change",)},
    "stell stelle stellen": {"auf": ("change",), "ein": ("change",), "um": ("change",), "ab": ("delete", "change")},
    "mach mache machen": {"aus": ("change",), "an": ("change",), "ab": ("delete", "change")},
    "schalt schalte schalten": {"ein": ("change",), "aus": ("change",), "an": ("change",), "ab": ("change",)},
    "fuehr fuehre": {"aus": ("run", "change")},
    "ruf rufe": {"an": ("send",)},
    "richte": {"ein": ("create", "change")},
    "melde": {"an": ("create", "book"), "ab": ("delete", "change")},
    "heb hebe heben": {"ab": ("pay",), "auf": ("create", "delete", "change")},
    "hol hole": {"ab": ("book",), "zurueck": ("pay", "change")},
}
SEPARABLE: dict[str, dict[str, frozenset[str]]] = {
    verb: {particle: frozenset(kinds) for particle, kinds in particles.items()}
    for verbs, particles in _SEPARABLE.items()
    for verb in verbs.split()
}
"""German verbs whose particle stands at the end: the verb -> the particle -> the kinds."""

NEGATIONS_ABROAD = listed(
    "nicht nichts kein keine keinen keiner niemals ohne ne pas jamais sans rien no nunca sin nada nao sem non senza "
    "mai niente nessun nessuno nie"
)
_BEHIND_NE = listed("le la les l lui leur me m te t se s y en nous vous pas plus jamais rien")


def is_french_ne(words: Sequence[str], place: int, verb: int) -> bool:
    """Return whether a "ne" denies a verb as in French, and is not a German article ("schreib ne Notiz").

    The French one stands before the verb, with nothing but pronouns and negations between them.

    Args:
        words: of a text, in lower case and without accents.
        place: of the "ne".
        verb: the place of the verb.
    """
    return place < verb and all(word in _BEHIND_NE for word in words[place + 1 : verb])


NOUNS_ABROAD = listed(
    "reserva compra commande modifica copia marca paga bloque buchung zahlung ueberweisung bestell informe reporte"
    " poste"
)
"""Words that are nouns as well: behind one of `DETERMINERS_ABROAD` they ask for nothing."""
DETERMINERS_ABROAD = listed(
    "a o la le el il lo die der das una un uma um une eine mi mis su tu meu minha meine deine seine unsere ma mon sa "
    "son notre votre mia tua sua"
)
