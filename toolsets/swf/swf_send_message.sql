/*+++
title = "Send a message to the monitoring stream"
order = 29
description = """Publishes a message to everybody who listens to the testbed's monitoring stream (/topic/epictopic). The sender is the user of the caller's
token, else username. message_type test keeps it out of any namespace. swf_list_messages shows it once the monitor has stored it."""
annotations = { read_only = false, destructive = false, idempotent = false, open_world = true }
shape = "document"
error = { success = false, error = "{message}" }
error_key = "error"

[params.message]
type = "text"
min_length = 1
description = "What to say"
[params.message_type]
type = "text"
default = "announcement"
description = "Kind of the message, e.g. announcement, status or test"
[params.metadata]
type = "json"
optional = true
description = "Anything more, as an object"
[params.username]
type = "text"
optional = true
description = "Who sends; only for callers whose token belongs to no user"
[params.token_user]
from = "token.user"
optional = true
[params.testbed]
from = "file.testbed"
[params.zone]
type = "text"
from = "setting.message_time_zone"

[effects.send]
kind = "stomp"
broker = "activemq"
destination = "/topic/epictopic"
encoding = "json-ascii"
body = ":body"

[[example]]
args = { message = "Grüße", message_type = "test", username = "amara" }
expect = { columns = ["success", "message", "sender", "message_type", "namespace", "content"] }
[[example]]
args = { message = "hello", username = "amara", metadata = [1] }
expect = { error = "metadata: must be an object" }
[[example]]
args = { message = "hello" }
expect = { error = "username: is required" }
+++*/
SELECT CASE
    WHEN json_typeof(:metadata::json) <> 'object' THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'metadata: must be an object'))
    WHEN coalesce(:token_user, :username) IS NULL THEN json_build_object('result', json_build_object(
        'success', false,
        'error', 'username: is required, because the caller''s token belongs to no user'))
    ELSE json_build_object('effects', json_build_array(json_build_object('effect', 'send', 'values', json_build_object('body',
        CASE WHEN :metadata::json IS NULL THEN json_build_object(
            'msg_type', :message_type,
            'sender', coalesce(:token_user, :username) || '-personal-agent',
            'namespace', CASE WHEN :message_type <> 'test' THEN :testbed -> 'testbed' ->> 'namespace' END,
            'message', :message,
            'timestamp', replace(to_char(now() AT TIME ZONE :zone, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''),
            'source', 'mcp_send_message')
        ELSE json_build_object(
            'msg_type', :message_type,
            'sender', coalesce(:token_user, :username) || '-personal-agent',
            'namespace', CASE WHEN :message_type <> 'test' THEN :testbed -> 'testbed' ->> 'namespace' END,
            'message', :message,
            'timestamp', replace(to_char(now() AT TIME ZONE :zone, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', ''),
            'source', 'mcp_send_message',
            'metadata', :metadata) END))))
    END;

SELECT CASE WHEN (:outcome -> 0 ->> 'ok')::boolean THEN json_build_object(
        'success', true,
        'message', 'The message was sent to the monitoring stream.',
        'sender', body ->> 'sender',
        'message_type', body ->> 'msg_type',
        'namespace', body ->> 'namespace',
        'content', body ->> 'message')
    ELSE json_build_object(
        'success', false,
        'error', 'The message could not be sent: ' || (:outcome -> 0 ->> 'error'))
    END
FROM  (SELECT :plan -> 'effects' -> 0 -> 'values' -> 'body' AS body) sent
