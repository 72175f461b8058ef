"""The facts of requests for approval in events."""

from tests.support.client import Api

EVENTS = "{ events(first: 1, filter: {kinds: [ENROLMENT_REQUESTED]}) { nodes { after } } }"


async def test_viewers_see_neither_key_nor_address_of_a_request(api: Api) -> None:
    first = await api.register(await api.key())
    await api.register(first["token"])
    await api.register(await api.key())
    hidden = {"keyId", "address"}
    admin = (await api.ask(EVENTS))["events"]["nodes"][0]["after"]
    assert hidden < admin.keys()
    for owner in (None, "Acme"):
        viewer = await api.key(kind="VIEWER", owner=owner)
        seen = (await api.ask(EVENTS, viewer))["events"]["nodes"][0]["after"]
        assert seen == {name: value for name, value in admin.items() if name not in hidden}
