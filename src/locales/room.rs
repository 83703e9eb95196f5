//! The page of a room.

texts! {
    // Its head.
    about: "About", "关于";
    nobody: "Nobody", "无人";
    here: " here", " 在线";
    people_in_room: "People in this room", "群聊中的人";
    people: "People", "在线的人";
    and_more(count): "and {count} more", "另有 {count} 人";
    nobody_here: "Nobody is here now.", "现在没有人在线。";
    you_mark: "(you)", "（你）";
    typing_one(name): "{name} is typing…", "{name} 正在输入……";
    typing_two(one, other): "{one} and {other} are typing…", "{one} 和 {other} 正在输入……";
    typing_several: "Several people are typing…", "多人正在输入……";

    // The connection.
    connecting: "Connecting…", "正在连接……";
    connected: "Connected", "已连接";
    connection_closed: "Connection closed", "连接已断开";
    connect: "Connect", "连接";
    close: "Close", "断开";
    of_connection: " connection", "连接";
    closed_because(reason): "The server has closed the connection: {reason}.", "服务器已断开连接：{reason}。";

    // The messages.
    messages_in(room): "Messages in {room}", "{room} 中的消息";
    earlier: "Earlier messages", "更早的消息";
    earlier_loading: "Loading earlier messages…", "正在加载更早的消息……";
    earlier_failed: "Earlier messages could not be loaded. Try again", "无法加载更早的消息，点击重试";
    later: "Later messages", "更新的消息";
    later_loading: "Loading later messages…", "正在加载更新的消息……";
    later_failed: "Later messages could not be loaded. Try again", "无法加载更新的消息，点击重试";
    these_are_earlier: "These are earlier messages.", "这些是较早的消息。";
    go_to_latest: "Go to the latest", "转到最新消息";
    jump: "Jump to latest", "跳到最新";
    jump_new(count): "Jump to latest ({count} new)", "跳到最新（{count} 条新消息）";
    new_line: "New", "新消息";
    mark_unread: "Mark unread from here", "从这里标为未读";
    today: "Today", "今天";
    yesterday: "Yesterday", "昨天";
    nothing_said: "Nothing has been said here yet. Say the first thing.", "还没有消息。发出第一条吧。";
    #[cfg(not(feature = "ssr"))]
    new_messages(count): ["{count} new message", "{count} new messages"], "{count} 条新消息";
    #[cfg(not(feature = "ssr"))]
    heard(author, text): "{author}: {text}", "{author}：{text}";
    message_deleted: "Message deleted", "消息已撤回";
    edited: "(edited)", "（已编辑）";
    edited_at(time): "Edited {time}", "编辑于 {time}";
    show_more: "Show more", "展开";
    show_less: "Show less", "收起";
    sending: "Sending…", "正在发送……";
    waiting: "Waiting for the connection…", "等待连接……";
    waits_for_connect: "Not sent: the connection is closed. It waits for “Connect”.", "未发送：连接已断开。点击“连接”后发送。";
    not_sent(reason): "Not sent: {reason}", "未发送：{reason}";
    retry: "Retry", "重试";
    discard: "Discard", "放弃";

    // What can be done to one.
    actions: "Message actions", "消息操作";
    react: "React", "回应";
    edit: "Edit", "编辑";
    delete: "Delete", "撤回";
    delete_question: "Delete this message?", "撤回这条消息？";
    cancel: "Cancel", "取消";
    #[cfg(not(feature = "ssr"))]
    not_deleted(reason): "Not deleted: {reason}", "未撤回：{reason}";
    #[cfg(not(feature = "ssr"))]
    not_changed(reason): "Not changed: {reason}", "未更改：{reason}";
    #[cfg(not(feature = "ssr"))]
    not_joined(reason): "Not joined: {reason}", "未能加入：{reason}";
    thumbs_up: "thumbs up", "赞";
    heart: "heart", "爱心";
    tears_of_joy: "tears of joy", "笑哭";
    celebration: "celebration", "庆祝";
    surprise: "surprise", "惊讶";
    sadness: "sadness", "难过";
    thanks: "thanks", "感谢";
    looking: "looking", "在看";

    // Reactions.
    reactions: "Reactions", "回应";
    you: "you", "你";
    comma: ", ", "、";
    names_and_more(names, count): "{names} and {count} more", "{names}等另外 {count} 人";
    people_alone(count): ["{count} person", "{count} people"], "{count} 人";
    reaction(count, emoji, names): ["{emoji}, {count} reaction: {names}", "{emoji}, {count} reactions: {names}"], "{emoji}，{count} 个回应：{names}";

    // Where something is written.
    message_to(room): "Message to {room}", "发送到 {room} 的消息";
    message: "Message", "输入消息";
    send: "Send", "发送";
    save: "Save", "保存";
    editing: "Editing your message", "正在编辑消息";
    keys_send: "Enter sends, Shift+Enter is a new line", "Enter 发送，Shift+Enter 换行";
    keys_save: "Enter saves, Escape leaves it for later", "Enter 保存，Escape 留待以后";
    scriptless: "Times are in UTC. Reload the page to see what is new.", "时间为 UTC。重新加载页面可查看新消息。";
    too_long(length, most): "This is {length} bytes long; a message is at most {most}.", "消息有 {length} 字节，最多 {most} 字节。";
    not_saved_yet: "Not saved yet:", "尚未保存：";
    not_saved(reason): "Your edit was not saved: {reason}", "编辑未保存：{reason}";
    one_of(count): "(1 of {count}) ", "（{count} 条中的第 1 条）";
    edit_not_saved: "Edit not saved", "未保存的编辑";
    edit_again: "Edit again", "重新编辑";
    go_on: "Continue", "继续编辑";
    barred_until(time): "Until {time} UTC.", "到 {time} UTC 为止。";
    sign_in: "Sign in", "登录";
}
