import strawberry

from schema.access import changes as token_changes
from schema.alerts import changes as alert_changes
from schema.devices import acknowledge_config, approval, config_changes, link_changes, register
from schema.devices import changes as device_changes


@strawberry.type(description="Write operations. Every change is recorded in the audit log.")
class Mutation:
    register_device = register.register_device
    update_device = device_changes.update_device
    delete_device = device_changes.delete_device
    replace_device = device_changes.replace_device
    update_config = config_changes.update_config
    link_device = link_changes.link_device
    unlink_device = link_changes.unlink_device
    acknowledge_config = acknowledge_config.acknowledge_config
    approve_device = approval.approve_device
    reject_device = approval.reject_device
    rotate_device_token = approval.rotate_device_token
    create_token = token_changes.create_token
    revoke_token = token_changes.revoke_token
    create_telegram_invite = alert_changes.create_telegram_invite
    revoke_telegram_invite = alert_changes.revoke_telegram_invite
    remove_recipient = alert_changes.remove_recipient
