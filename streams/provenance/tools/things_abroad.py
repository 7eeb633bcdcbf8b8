"""What usual things are called in other languages, or by where they are, by the words that names of tools have for
them.

Names of tools are English, and what a user says need not be: "sag das Treffen am Freitag ab" speaks of what
`delete_event` deletes. Who has the newsletters in his inbox deleted speaks of mails. Only nouns that leave no doubt
stand here.
"""

from __future__ import annotations

from streams.provenance.accents import word_without_accents

_NOUNS = {
    "event meeting appointment": "termin termine termins treffen besprechung besprechungen sitzung sitzungen réunion "
    "réunions rendez-vous reunión reuniones cita citas evento eventos reunião reuniões compromisso compromissos "
    "riunione riunioni appuntamento appuntamenti eventi spotkanie spotkania spotkań wydarzenie wydarzenia "
    "calendar diary kalender calendrier calendario calendário kalendarz",
    "email mail message": "nachricht nachrichten courriel courriels correo correos mensaje mensajes mensagem mensagens "
    "messaggio messaggi wiadomość wiadomości inbox mailbox newsletter newsletters posteingang postfach",
    "file document": "datei dateien dokument dokumente fichier fichiers archivo archivos fichero ficheros arquivo "
    "arquivos ficheiro ficheiros plik pliki plików dokumenty",
    "booking reservation": "buchung buchungen reservierung reservierungen réservation réservations reserva reservas "
    "prenotazione prenotazioni rezerwacja rezerwację rezerwacje",
    "order": "bestellung bestellungen commande commandes pedido pedidos encomenda encomendas ordine ordini zamówienie "
    "zamówienia",
    "task": "aufgabe aufgaben tâche tâches tarea tareas tarefa tarefas compito compiti zadanie zadania zadań",
    "customer client": "kunde kunden kundin clients cliente clientes clienti klient klienta klientów",
    "contact": "kontakt kontakte contacts contacto contactos contato contatos contatto contatti kontakty kontaktów",
    "note": "notiz notizen notes nota notas note notatka notatkę notatki",
    "invoice": "rechnung rechnungen facture factures factura facturas fatura faturas fattura fatture faktura fakturę "
    "faktury",
    "subscription": "abos abonnement abonnements suscripción suscripciones assinatura assinaturas abbonamento "
    "abbonamenti subskrypcja subskrypcję",
}
THINGS_ABROAD: dict[str, tuple[str, ...]] = {
    thing: tuple(dict.fromkeys(form for word in words.split() for form in (word, word_without_accents(word))))
    for things, words in _NOUNS.items()
    for thing in things.split()
}
"""In German, French, Spanish, Portuguese, Italian and Polish, also without their accents, and by their places."""
