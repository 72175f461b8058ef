"""The rights of every kind of caller, for everything that Rollcall offers.

Callers "of Acme" are restricted to this owner; the enrolment key and the device are Acme's, too.
For each row, a caller tries the objects of Acme, then those of Globex:

- `yes`: it may, with the objects of both owners, or there are no objects
- `own`: it may with those of Acme; those of Globex do not exist for it. A key may ask for a token
  of any device: an administrator has to approve it
- `none`: it may ask, and sees nothing
- `no`: it is refused, or the broker denies it the topics
- `.`: there is no such caller here: only people have chats
"""

CALLERS = (
    "anonymous",
    "enrolment key",
    "pending device",
    "device",
    "viewer of Acme",
    "viewer",
    "admin of Acme",
    "admin",
)

TABLE = """
                                  anon   key    pend   device v.acme viewer a.acme admin
query me                          no     no     no     yes    none   none   none   none
query device                      no     no     no     own    own    yes    own    yes
query devices                     no     no     no     no     own    yes    own    yes
query fleet                       no     no     no     no     own    yes    own    yes
query topics                      no     no     no     own    own    yes    own    yes
query config                      no     no     no     own    own    yes    own    yes
query events                      no     no     no     no     own    yes    own    yes
query events of administration    no     no     no     no     none   none   own    yes
query latestCursor                no     no     no     yes    yes    yes    yes    yes
query tokens                      no     no     no     no     no     no     own    yes
query enrolmentRequests           no     no     no     no     no     no     own    yes
query recipients                  no     no     no     no     no     no     own    yes
query telegramInvites             no     no     no     no     no     no     own    yes
query deliveries                  no     no     no     no     no     no     own    yes

mutation registerDevice           no     yes    own    own    no     no     own    yes
mutation acknowledgeConfig        no     no     no     yes    no     no     no     no
mutation rotateDeviceToken        no     no     no     own    no     no     own    yes
mutation updateDevice             no     no     no     no     no     no     own    yes
mutation updateConfig             no     no     no     no     no     no     own    yes
mutation linkDevice               no     no     no     no     no     no     own    yes
mutation unlinkDevice             no     no     no     no     no     no     own    yes
mutation approveDevice            no     no     no     no     no     no     own    yes
mutation rejectDevice             no     no     no     no     no     no     own    yes
mutation replaceDevice            no     no     no     no     no     no     own    yes
mutation deleteDevice             no     no     no     no     no     no     own    yes
mutation createToken              no     no     no     no     no     no     own    yes
mutation revokeToken              no     no     no     no     no     no     own    yes
mutation createTelegramInvite     no     no     no     no     no     no     own    yes
mutation revokeTelegramInvite     no     no     no     no     no     no     own    yes
mutation removeRecipient          no     no     no     no     no     no     own    yes

subscription configChanged        no     no     no     own    own    yes    own    yes
subscription eventAdded           no     no     no     no     own    yes    own    yes

route POST /register              no     yes    own    own    no     no     own    yes
route GET /topics/{id}            no     no     no     own    own    yes    own    yes
route GET /config/{id}            no     no     no     own    own    yes    own    yes
route POST /config/{id}           no     no     no     no     no     no     own    yes
route GET /devices                no     no     no     no     own    yes    own    yes
route GET /devices/{id}           no     no     no     own    own    yes    own    yes
route PUT /devices/{id}           no     no     no     no     no     no     own    yes
route DELETE /devices/{id}        no     no     no     no     no     no     own    yes

document acknowledge              no     no     no     yes    no     no     no     no
document boot                     no     no     no     yes    none   none   none   none
document changes                  no     no     no     own    own    yes    own    yes
document config                   no     no     no     own    own    yes    own    yes
document configure                no     no     no     no     no     no     own    yes
document delete                   no     no     no     no     no     no     own    yes
document device                   no     no     no     own    own    yes    own    yes
document devices                  no     no     no     no     own    yes    own    yes
document find                     no     no     no     no     own    yes    own    yes
document register                 no     yes    own    own    no     no     own    yes
document settings                 no     no     no     no     no     no     own    yes
document topics                   no     no     no     own    own    yes    own    yes
document update                   no     no     no     no     no     no     own    yes

publish data                      no     no     no     own    no     no     no     no
publish config                    no     no     no     no     no     no     no     no
publish state                     no     no     no     own    no     no     no     no
publish status                    no     no     no     own    no     no     no     no
publish listen                    no     no     no     no     no     no     no     no
publish server                    no     no     no     no     no     no     no     no
subscribe data                    no     no     no     own    no     no     own    yes
subscribe config                  no     no     no     own    no     no     own    yes
subscribe state                   no     no     no     no     no     no     own    yes
subscribe status                  no     no     no     no     no     no     own    yes
subscribe listen                  no     no     no     own    no     no     own    yes
subscribe server                  no     no     no     no     no     no     no     yes

command start                     yes    .      .      .      yes    yes    yes    yes
command help                      yes    .      .      .      yes    yes    yes    yes
command chatid                    yes    .      .      .      yes    yes    yes    yes
command devices                   no     .      .      .      own    yes    own    yes
command device                    no     .      .      .      own    yes    own    yes
command config                    no     .      .      .      no     no     own    yes
command mute                      no     .      .      .      yes    yes    yes    yes
command quiet                     no     .      .      .      yes    yes    yes    yes
command alerts                    no     .      .      .      yes    yes    yes    yes
command stop                      no     .      .      .      yes    yes    yes    yes

button list                       no     .      .      .      own    yes    own    yes
button device                     no     .      .      .      own    yes    own    yes
button approve                    no     .      .      .      no     no     own    yes
button reject                     no     .      .      .      no     no     own    yes
button config                     no     .      .      .      no     no     own    yes
button cancel                     no     .      .      .      yes    yes    yes    yes
button mute                       no     .      .      .      yes    yes    yes    yes
button alerts                     no     .      .      .      yes    yes    yes    yes
button kind                       no     .      .      .      yes    yes    yes    yes
button kinds                      no     .      .      .      yes    yes    yes    yes
button owners                     no     .      .      .      none   yes    none   yes
button owner                      no     .      .      .      none   yes    none   yes
"""

FIRST = 34
NO_CALLER = "."

# What one attempt shows, with the objects of Acme and of Globex, and the cell for it.
REFUSED, NOTHING, DONE = "refused", "nothing", "done"
CELLS = {
    (REFUSED, REFUSED): "no",
    (NOTHING, NOTHING): "none",
    (DONE, NOTHING): "own",
    (DONE, DONE): "yes",
}


def rows(*kinds: str) -> dict[str, dict[str, str]]:
    """Return the cells of the rows of these kinds, by row and caller. Without kinds: of all."""
    found = {}
    for line in TABLE.strip("\n").splitlines()[1:]:
        name = line[:FIRST].strip()
        if name and (not kinds or name.partition(" ")[0] in kinds):
            cells = line[FIRST:].split()
            assert len(cells) == len(CALLERS), line
            found[name] = dict(zip(CALLERS, cells, strict=True))
    return found


def column(caller: str, *kinds: str) -> dict[str, str]:
    """Return the cells of a caller, by row, without those that do not exist."""
    cells = {name: row[caller] for name, row in rows(*kinds).items()}
    return {name: cell for name, cell in cells.items() if cell != NO_CALLER}
