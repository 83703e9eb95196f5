//! What stands around forms, and why there is no other page.

texts! {
    // Around every page.
    manage: "Manage", "管理";
    sign_in: "Sign in", "登录";
    sign_up: "Sign up", "注册";
    language: "Language", "语言";

    // Of forms.
    not_understood: "That was not understood", "无法理解的请求";
    nothing_to_do: "There is no such thing to do on this page", "这个页面没有这项操作";
    form_unreadable(reason): "What the form sent cannot be read: {reason}", "无法读取表单提交的内容：{reason}";
    unknown_language: "There is no such language", "没有这种语言";

    // Why something is not there.
    all_rooms: "See all rooms", "查看所有群聊";
    not_for_guests: "Not for guests", "不对访客开放";
    not_let_in: "Not let in", "不能进入";
    kept_out(until): "Guests from your network are kept out of this server until {until} UTC, and no accounts are made from there. It may have been \
            somebody else who shares your address. Whoever has an account can sign in.",
        "来自你所在网络的访客在 {until} UTC 之前不能进入此服务器，也不能从那里注册。原因可能出在与你共用地址的其他人。有账号的人可以登录。";
    room_not_for_guests: "This room is not open to guests.", "这个群聊不对访客开放。";
    come_back: "This room is not open to guests. Sign in, or make an account, and you come back here.",
        "这个群聊不对访客开放。登录或注册后会回到这里。";
    read_only: "Read-only now", "目前只读";
    read_only_text: "What was said can be read, and nothing can be said or changed. Try again later.",
        "可以阅读已有的消息，但不能发言或修改。请稍后再试。";
    read_only_banner: "This server is read-only now: what was said can be read, and nothing can be said or changed.",
        "服务器目前只读：可以阅读已有的消息，但不能发言或修改。";
    something_wrong: "Something is wrong here", "出了点问题";
    unavailable: "What is kept here cannot be read now. Try again in a moment.", "暂时无法读取数据，请稍后再试。";
    nothing_here: "Nothing is here", "页面不存在";
    no_page: "There is no such page. The name of a room is 1 to 64 of the letters A to Z, digits, _ and -.",
        "没有这个页面。群聊的名称由 1 到 64 个字母 A 到 Z、数字、_ 和 - 组成。";
    dismiss: "Dismiss", "不再显示";

    // Where no other page is made.
    not_our_name: "This is not the server of that name", "此服务器不使用该名称";
    not_our_name_text(remedy): "It does not go by the name that was asked for. If it should: {remedy}.",
        "此服务器不使用所请求的名称。如果应当使用：{remedy}。";
    too_many_requests: "Too many requests", "请求过多";
    too_many_requests_text(most): "This server answers {most}. Try again in a moment.", "服务器只应答{most}。请稍后再试。";

    // One's name.
    name_or_forget: "A name is needed, or forget.", "需要填写名字。";
    name_not_taken: "This name cannot be taken", "不能使用这个名字";
    name_of_person(most): "A name is 1 to {most} characters, and one of them at least is seen.",
        "名字为 1 到 {most} 个字符，其中至少一个是可见的。";
}
