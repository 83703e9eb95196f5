
-- Those who were named in the messages. What is no JSON was broken before and stays so.
INSERT INTO reactions (room_id, "offset", person_id, emoji, name)
SELECT room_id, messages."offset", person.value ->> 'id', reaction.value ->> 'emoji', person.value ->> 'name'
FROM messages
    JOIN json_each(iif(json_valid(messages.reactions), messages.reactions, '[]')) AS reaction
    JOIN json_each(reaction.value, '$.from') AS person
WHERE messages.reactions IS NOT NULL AND person.value ->> 'id' IS NOT NULL AND person.value ->> 'name' IS NOT NULL
    AND reaction.value ->> 'emoji' IS NOT NULL
ON CONFLICT DO NOTHING;
