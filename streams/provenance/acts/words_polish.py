"""Words of requests in Polish that ask for kinds of acts, as those of `streams.provenance.acts.words_abroad`.

Polish has pairs of verbs ("wysłać", "wysyłać"), and words imperatives with the pronoun behind them ("wyślij mu"), so
the imperative of either and both infinitives are listed.
"""

from __future__ import annotations

WORDS_POLISH: dict[tuple[str, ...], str] = {
    ("pay",): (
        "zaplac zaplacic oplac oplacic przelej przelac przelewac ureguluj uregulowac zwroc zwrocic oddaj doplac "
        "przelew platnosc"
    ),
    ("send", "post"): (
        "wyslij wyslac wysylac przeslij przeslac odpisz odpisac odpisuj napisz napisac pisz odpowiedz odpowiedziec "
        "powiadom powiadomic poinformuj poinformowac przekaz przekazac zawiadom zawiadomic podziekuj podziekowac "
        "popros poprosic zapytaj spytaj pozdrow odeslij"
    ),
    ("post", "send"): "opublikuj opublikowac udostepnij",
    ("create",): "utworz utworzyc stworz stworzyc zapisz zapisac zanotuj zanotowac przygotuj przygotowac skopiuj zaloz",
    ("create", "change", "share", "book"): "dodaj dodac dopisz dopisac wpisz wpisac wstaw wprowadz wprowadzic",
    ("book", "create", "pay"): (
        "zaplanuj zaplanowac zarezerwuj zarezerwowac kup kupic zamow zamowic wynajmij wynajac umow umowic rezerwacja"
    ),
    ("change",): (
        "zmien zmienic zmieniaj popraw poprawic zaktualizuj przesun przesunac przenies przeniesc przeloz przelozyc "
        "przypisz przypisac przydziel przydzielic "
        "ustaw ustawic wlacz wlaczyc wylacz wylaczyc zwieksz zwiekszyc zmniejsz zmniejszyc podnies obniz oznacz"
    ),
    ("delete", "change"): (
        "usun usunac skasuj skasowac anuluj anulowac odwolaj odwolac wypowiedz zamknij zamknac wykresl zrezygnuj"
    ),
    ("share", "send", "change"): "zapros zaprosic",
    ("secure", "change"): "zablokuj zablokowac odblokuj odblokowac zezwol",
    ("run", "change"): "uruchom uruchomic zainstaluj",
}
"""Kinds -> words, without accents."""
