//! What pages with a program have in common, and those of lists and searches.

texts! {
    // Who somebody is.
    guest: "guest", "访客";
    program: "program", "程序";
    called_guest(name): "{name} (guest)", "{name}（访客）";
    called_handle(name, handle): "{name} (@{handle})", "{name}（@{handle}）";

    // The bar.
    rooms: "Rooms", "群聊";
    your_account: "Your account", "你的账号";
    sign_out: "Sign out", "退出登录";
    sign_in: "Sign in", "登录";
    others_call_you: "What others call you", "别人怎样称呼你";
    save: "Save", "保存";
    you_are: "You are ", "你是 ";
    search_in_this_room: "Search in this room", "在这个群聊中搜索";

    // The list of rooms.
    go_to_room: "Go to a room, or make one", "进入或新建群聊";
    letters: "Letters A to Z, digits, _ and -", "字母 A 到 Z、数字、_ 和 -";
    enter: "Enter", "进入";
    find: "Find", "查找";
    your_rooms: "Your rooms", "我的群聊";
    list_lost: "Not connected: what is new does not show here. Trying again…", "连接已断开，暂时看不到新消息。正在重新连接……";
    newest_rooms: "Newest rooms", "最新的群聊";
    no_room_has(name): "No room has “{name}” in its name.", "没有名称包含“{name}”的群聊。";
    no_rooms_here: "There are no rooms here.", "这里没有群聊。";
    no_rooms_yet: "No room has been used yet. Name one above and say the first thing.", "还没有群聊。在上面填写名称，发出第一条消息吧。";
    which_room: "Which room", "哪个群聊";
    there_is_room(there, entered): "There is a room {there} already. The room {entered} would be another one: capital letters count.",
        "已有群聊 {there}。{entered} 会是另一个群聊：名称区分大小写。";
    go_to(room): "Go to {room}", "进入 {room}";
    make(room): "Make {room}", "新建 {room}";
    more_rooms: "More rooms", "更多群聊";
    loading_rooms: "Loading more rooms…", "正在加载更多群聊……";
    rooms_not_loaded: "More rooms could not be loaded. Try again", "无法加载更多群聊，点击重试";
    message_deleted: "message deleted", "消息已撤回";
    says(author, text): "{author}: {text}", "{author}：{text}";

    // Searching.
    search: "Search", "搜索";
    search_in(room): "Search in {room}", "在 {room} 中搜索";
    search_all: "Search all rooms", "搜索所有群聊";
}
