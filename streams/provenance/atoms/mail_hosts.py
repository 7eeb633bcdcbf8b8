"""Hosts at which anybody can have a mailbox."""

from __future__ import annotations

from streams.provenance.words import listed

PUBLIC_MAIL_HOSTS = listed(
    "gmail.com googlemail.com outlook.com outlook.de outlook.fr outlook.es hotmail.com hotmail.co.uk hotmail.de"
    " hotmail.fr hotmail.es hotmail.it live.com live.co.uk live.fr msn.com yahoo.com yahoo.co.uk yahoo.de yahoo.fr"
    " yahoo.es yahoo.it ymail.com icloud.com me.com mac.com aol.com gmx.de gmx.net gmx.com gmx.at gmx.ch web.de"
    " freenet.de t-online.de posteo.de mailbox.org proton.me protonmail.com pm.me tutanota.com tuta.com"
    " fastmail.com zoho.com mail.com mail.ru yandex.ru yandex.com qq.com 163.com 126.com orange.fr wanadoo.fr"
    " free.fr laposte.net sfr.fr libero.it virgilio.it tiscali.it sapo.pt uol.com.br bol.com.br terra.com.br wp.pl"
    " onet.pl o2.pl interia.pl bluewin.ch btinternet.com comcast.net verizon.net att.net"
)
"""The names of such hosts. None of them is right or wrong for somebody because of what other hosts are called."""
