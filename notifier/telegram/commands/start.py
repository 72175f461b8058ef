"""What anybody may ask."""

from domain.alerts.recipients import Role
from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts.chats import greet_again
from resolvers.alerts.invites import accept_telegram_invite


async def start(context: ChatContext, code: str) -> None:
    """`code`: of an invite, as a deep link brings it."""
    if code:
        joined = await accept_telegram_invite(
            context.services, code, context.thread.address, context.name, context.language
        )
        if joined is None:
            await context.say(context.word("code_unknown"))
            return
        context.recipient = joined
    elif context.recipient:
        context.recipient = await greet_again(
            context.services, context.address, context.thread.topic, context.name, context.language
        )
    await context.say(f"{context.word('greeting')}\n\n{_standing(context)}")


async def chatid(context: ChatContext, _: str) -> None:
    await context.say(context.word("chatid", chat=context.thread.address))


async def help(context: ChatContext, _: str) -> None:
    """Only of what is possible here."""
    about = context.words["commands"]
    names = ["start", "help", "chatid"]
    if context.recipient:
        names += [name for name in about if name not in (*names, "config")]
    if context.decides:
        names.append("config")
    lines = [context.word("help"), *(f"/{name}: {about[name]}" for name in names)]
    await context.say("\n".join(lines if context.recipient else [*lines, "", _standing(context)]))


def _standing(context: ChatContext) -> str:
    recipient = context.recipient
    if recipient is None:
        return context.word("uninvited", chat=context.thread.address)
    name = "may_change" if recipient.role == Role.ADMIN else "may_look"
    owner = recipient.owner.name if recipient.owner else context.word("all_owners")
    return context.word(name, owner=owner)
