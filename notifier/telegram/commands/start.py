"""What anybody may ask."""

from domain.alerts.recipients import Role
from notifier.telegram.updates.chat import Talk
from resolvers.alerts.chats import greet_again
from resolvers.alerts.invites import accept_telegram_invite


async def start(talk: Talk, code: str) -> None:
    """`code`: of an invite, as a deep link brings it."""
    if code:
        joined = await accept_telegram_invite(
            talk.desk, code, talk.thread.address, talk.name, talk.language
        )
        if joined is None:
            await talk.say(talk.word("code_unknown"))
            return
        talk.recipient = joined
    elif talk.recipient:
        talk.recipient = await greet_again(
            talk.desk, talk.address, talk.thread.topic, talk.name, talk.language
        )
    await talk.say(f"{talk.word('greeting')}\n\n{_standing(talk)}")


async def chatid(talk: Talk, _: str) -> None:
    await talk.say(talk.word("chatid", chat=talk.thread.address))


async def help(talk: Talk, _: str) -> None:
    """Only of what is possible here."""
    about = talk.words["commands"]
    names = ["start", "help", "chatid"]
    if talk.recipient:
        names += [name for name in about if name not in (*names, "config")]
    if talk.decides:
        names.append("config")
    lines = [talk.word("help"), *(f"/{name}: {about[name]}" for name in names)]
    await talk.say("\n".join(lines if talk.recipient else [*lines, "", _standing(talk)]))


def _standing(talk: Talk) -> str:
    recipient = talk.recipient
    if recipient is None:
        return talk.word("uninvited", chat=talk.thread.address)
    name = "may_change" if recipient.role == Role.ADMIN else "may_look"
    owner = recipient.owner.name if recipient.owner else talk.word("all_owners")
    return talk.word(name, owner=owner)
