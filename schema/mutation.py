import strawberry

from schema.devices import register as register_device
from schema.mutations import (
    acknowledge_config,
    approve_device,
    create_telegram_invite,
    create_token,
    delete_device,
    link_device,
    reject_device,
    remove_recipient,
    replace_device,
    revoke_telegram_invite,
    revoke_token,
    rotate_device_token,
    unlink_device,
    update_config,
    update_device,
)


@strawberry.type(description="What can be changed. Every change is in the audit log.")
class Mutation:
    register_device = register_device.register
    update_device = update_device.update
    delete_device = delete_device.delete
    replace_device = replace_device.replace
    update_config = update_config.update
    link_device = link_device.link
    unlink_device = unlink_device.unlink
    acknowledge_config = acknowledge_config.acknowledge
    approve_device = approve_device.approve
    reject_device = reject_device.reject
    rotate_device_token = rotate_device_token.rotate
    create_token = create_token.create
    revoke_token = revoke_token.revoke
    create_telegram_invite = create_telegram_invite.create
    revoke_telegram_invite = revoke_telegram_invite.revoke
    remove_recipient = remove_recipient.remove
