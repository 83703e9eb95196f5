//! What the server alone says on pages that have a program: at their head, and where they do not change.

texts! {
    // The document.
    program_dead: "This page shows nothing new: its program does not run.", "此页面不会更新：页面程序未能运行。";
    reload: "Reload", "重新加载";
    about_rooms: "Rooms to talk in, as it happens.", "实时聊天的群聊。";
    about_room(room): "What is said in the room {room}, as it happens.", "群聊 {room} 中的实时消息。";
    about_search: "Find what was said in the rooms.", "搜索群聊中的消息。";
    title_rooms: "Rooms · Confab", "群聊 · Confab";
    title_search: "Search · Confab", "搜索 · Confab";
    room_name_rule: "The name of a room is 1 to 64 of the letters A to Z, digits, _ and -", "群聊的名称由 1 到 64 个字母 A 到 Z、数字、_ 和 - 组成";

    // What was searched for.
    back_to_rooms: "‹ Rooms", "‹ 群聊";
    search_too_long(length, most): "This is {length} characters long; a search has at most {most}.", "搜索内容有 {length} 个字符，最多 {most} 个。";
    back_to(room): "Back to {room}", "返回 {room}";
    how_to_search: "A message is found that has all words, in any case and with or without accents; of the last one three letters are enough. \
            What stands in \"quotation marks\" is found word for word.",
        "可以找到包含所有词语的消息，不区分大小写和重音符号。放在\"引号\"中的内容按原样查找。";
    nothing_found: "Nothing was found.", "没有找到消息。";
    nothing_found_in_newer: "Nothing was found among the newer messages. Add a word, or search in one room.",
        "在较新的消息中没有找到。请增加一个词，或在某个群聊中搜索。";
    one_found: "One message was found:", "找到 1 条消息：";
    found(count): "The {count} messages that fit best:", "最相关的 {count} 条消息：";
    found_in_newer(count): "Of the newer messages, the {count} that fit best:", "较新的消息中最相关的 {count} 条：";
    not_kept: "What is said in this room is not kept in the store, so it cannot be searched.", "这个群聊的消息不会保存，因此无法搜索。";
    search_unavailable: "The messages cannot be searched now. Try again in a moment.", "暂时无法搜索消息，请稍后再试。";

    // What was said by the form in vain.
    said_already: "It cannot be told now whether this was said already. Look, and try again in a moment.",
        "暂时无法确定这条消息是否已发送。请查看一下，稍后再试。";
    said_something_else: "This form has said something already, and now something else. Send it once more to say this too.",
        "这个表单已发送过一条消息，现在的内容不同。再发送一次即可发出这条。";
    not_taken: "The message cannot be taken now. Try again in a moment.", "暂时无法发送消息，请稍后再试。";
    too_fast_from_you(most, seconds): "At most {most} messages a second are taken from you. Send it again in {seconds} s.",
        "你每秒最多发送 {most} 条消息。请在 {seconds} 秒后重新发送。";
    too_fast_from_address(most, seconds): "At most {most} messages a second are taken from all who come from your address without a cookie. Send it \
            again in {seconds} s.",
        "来自你的网络地址且没有 Cookie 的所有人每秒最多发送 {most} 条消息。请在 {seconds} 秒后重新发送。";
}
