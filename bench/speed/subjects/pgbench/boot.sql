-- The statement of one boot: a device token by its hash, with topics and config of the device.
\set n random(1, :devices)
SELECT t.hash, d.topic, d.listen, d.config_version, d.interval_seconds, d.qos
FROM tokens t LEFT JOIN devices d ON d.id = t.device_id
WHERE t.hash = sha256(convert_to('rcd_' || lpad(:n::text, 24, '0'), 'UTF8'))
    AND t.revoked_at IS NULL;
