"""The commands that every chat may use."""

from domain.alerts.recipients import Role
from notifier.telegram.updates.chat import ChatContext
from resolvers.alerts.chats import reactivate_chat
from resolvers.alerts.invites import accept_telegram_invite


async def start(context: ChatContext, code: str) -> None:
    """`code`: of an invitation; a deep link contains it."""
    if code:
        joined = await accept_telegram_invite(
            context.services, code, context.thread.address, context.name, context.language
        )
        if joined is None:
            await context.send(context.text("code_unknown"))
            return
        context.recipient = joined
    elif context.recipient:
        context.recipient = await reactivate_chat(
            context.services, context.address, context.thread.topic, context.name, context.language
        )
    await context.send(f"{context.text('greeting')}\n\n{_access(context)}")


async def chatid(context: ChatContext, _: str) -> None:
    await context.send(context.text("chatid", chat=context.thread.address))


async def help(context: ChatContext, _: str) -> None:
    """List the commands that this chat may use."""
    descriptions = context.texts["commands"]
    names = ["start", "help", "chatid"]
    if context.recipient:
        names += [name for name in descriptions if name not in (*names, "config")]
    if context.may_change:
        names.append("config")
    lines = [context.text("help"), *(f"/{name}: {descriptions[name]}" for name in names)]
    await context.send("\n".join(lines if context.recipient else [*lines, "", _access(context)]))


def _access(context: ChatContext) -> str:
    recipient = context.recipient
    if recipient is None:
        return context.text("uninvited", chat=context.thread.address)
    name = "may_change" if recipient.role == Role.ADMIN else "may_look"
    owner = recipient.owner.name if recipient.owner else context.text("all_owners")
    return context.text(name, owner=owner)
