"""The words of English orders: their verbs, which of these are as often nouns, and what follows them."""

from __future__ import annotations

from streams.provenance.words import listed

IMPERATIVES = listed(
    "accept access acknowledge act activate add adjust advise alert allow alter announce answer append apply approve "
    "archive arrange ask assemble assign assume attach authorise authorize avoid backup ban bid bill block book bring "
    "broadcast build buy call cancel carry cease change charge check choose cite clean clear click clone close "
    "collapse collect combine commit compensate complete compose configure confirm connect consider contact continue "
    "convert copy correct count create credit deactivate debit decline deduct delete deliver demote deny deploy "
    "deposit deregister describe destroy detach dial disable disarm disband discard disclose disenroll disenrol "
    "dismiss dispatch display disregard do dock donate double downgrade download draft drain drop edit elevate email "
    "embed emit empty enable encode encrypt end enrol enroll ensure enter erase escalate establish evacuate evict "
    "exchange exclude execute exmatriculate expand expel export expose extend extract feature fetch file fill find "
    "finish fire fix flag follow forget format forward freeze generate get gift give go grant halt handle help hide "
    "hire hold identify ignore implement import include increase inform initiate insert inspect install instruct "
    "invest invite invoice invoke issue join keep kick kill launch lease leave lend let lift link list load loan "
    "locate lock log look lower mail make mark mention merge message migrate mint modify monitor mount move mute "
    "navigate nominate notify obey obtain offboard offer omit onboard open order organize override overwrite pass "
    "paste pause pay perform permit phone pick pin place play point post postpone prepare prepay print proceed "
    "process produce prolong promote prompt protect provide provision publish pull purchase purge push put query quit "
    "quote raise ratify reach reactivate read reassign rebook reboot rebuild recommend record rectify redeem redeploy "
    "redirect redo reduce refer refuel refund register reimburse reinstall reissue reject relay release reload "
    "relocate remember remind remit remove rename render renew rent reopen repay repeat replace reply report repost "
    "request require reroute rerun reschedule reserve reset resolve respond restart restore restrict resume retrieve "
    "return retweet reveal reverse revert review revise revoke reword rewrite ring roll rollback rotate run save say "
    "scale schedule search select sell send set settle share ship shorten show shut sign silence skip slash sms "
    "snooze split sponsor stake star start state stop store submit subscribe substitute subtract summarise "
    "summarize supply surrender suspend swap switch sync tag take talk tell terminate test text tip toggle top trade "
    "transfer transform translate transmit trigger triple trust try turn tweak tweet unassign unblock undo unenroll "
    "unenrol unfollow unfreeze unfriend unhide uninstall unlock unmute unpin unprotect unregister unshare unsubscribe "
    "unsuspend update upgrade upload use utilise utilize verify view visit void vote wait waive warn watch whitelist "
    "wipe wire withdraw write zero comment fund tick"
)
ALSO_LABELS = listed(
    "act address bill book call charge check contact count credit deposit display dock double email end exchange "
    "extract feature file fire flag gift help hire hold invoice lease lift link list mail note offer order phone pin "
    "play point post record register rent report request review ring roll scale set show silence star start tag "
    "test text tip top trade triple view void zero comment fund tick"
)
"""Imperatives that are as often the name of a field, or begin one."""
CLEAR_VERBS = IMPERATIVES - ALSO_LABELS
"""Imperatives that are hardly ever anything else."""
AFTER_VERBS = listed(
    "a all an and any at back both by down each every everyone everything for from her him his in it its me my no now "
    "off on only our out over that the their them these this those to up us what whether with your "
    "http https www one two three four five six seven eight nine ten eleven twelve twenty fifty hundred thousand"
)
"""Words that follow the verb of an order, and hardly ever a noun."""
ID = r"[A-Za-z]{1,8}[-_]?\d[\w-]{0,24}"
"""The pattern of an id, with which an order names something: `H-12`."""
