
-- Those who were named in the messages, message by message: what is no JSON was broken before and stays so. JSON writes U+0000 and U+0001
-- as escapes; as texts of ours both are U+0001 and a letter.
DO $$
DECLARE message record;
BEGIN
    FOR message IN SELECT room_id, "offset", reactions FROM messages WHERE reactions IS NOT NULL LOOP
        BEGIN
            INSERT INTO reactions (room_id, "offset", person_id, emoji, name)
            SELECT message.room_id, message."offset", person ->> 'id', reaction ->> 'emoji', person ->> 'name'
            FROM json_array_elements(regexp_replace(
                    regexp_replace(message.reactions, '(?<!\\)((?:\\\\)*)\\u0001', '\1\\u0001b', 'g'),
                    '(?<!\\)((?:\\\\)*)\\u0000', '\1\\u0001a', 'g')::json) AS reaction,
                json_array_elements(reaction -> 'from') AS person
            WHERE person ->> 'id' IS NOT NULL AND person ->> 'name' IS NOT NULL AND reaction ->> 'emoji' IS NOT NULL
            ON CONFLICT DO NOTHING;
        EXCEPTION WHEN data_exception THEN
            NULL;
        END;
    END LOOP;
END $$;
