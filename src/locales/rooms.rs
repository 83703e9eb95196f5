//! The forms of rooms, and why something was not done with one.

texts! {
    // Who is what.
    owner: "Owner", "群主";
    moderator: "Moderator", "群管理员";
    member: "Member", "成员";
    reads_only: "Reads only", "只读成员";
    open: "open", "公开";
    closed: "closed", "私密";
    direct: "direct", "私聊";

    // What several forms have.
    rooms: "Rooms", "所有群聊";
    back_to_room: "Back to the room", "返回群聊";
    save: "Save", "保存";
    sign_in: "Sign in", "登录";
    sign_up: "Sign up", "注册";

    // For how long, and for how many.
    minutes(minutes): ["{minutes} minute", "{minutes} minutes"], "{minutes} 分钟";
    hours(hours): ["{hours} hour", "{hours} hours"], "{hours} 小时";
    days(days): ["{days} day", "{days} days"], "{days} 天";
    years(years): ["{years} year", "{years} years"], "{years} 年";
    for_ever: "for ever", "永久";
    people(count): ["{count} person", "{count} people"], "{count} 人";
    any_number: "any number of people", "不限人数";

    // A room that is to be.
    make_room: "Make a room", "新建群聊";
    name_in_address: "Name, as it stands in addresses", "名称（显示在网址中）";
    letters: "Letters A to Z, digits, _ and -", "字母 A 到 Z、数字、_ 和 -";
    title_for_people: "Title, as people see it", "标题（显示给大家看）";
    for_whom: "For whom it is", "面向哪些人";
    make_the_room: "Make the room", "新建群聊";
    kind_open: "Open: everybody who may enter such rooms here", "公开：可以进入这类群聊的所有人";
    kind_closed: "Closed: only those who are invited", "私密：仅限受邀的人";
    name_rule: "the name of a room is 1 to 64 of the letters A to Z, digits, _ and -", "群聊的名称由 1 到 64 个字母 A 到 Z、数字、_ 和 - 组成";
    title_rule: "a title is 1 to 80 characters on one line, of which one is seen", "标题为一行 1 到 80 个字符，其中至少一个是可见的";
    topic_rule: "what a room is about is at most 250 characters on one line", "群聊简介为一行，最多 250 个字符";
    kind_rule: "a room is open or closed", "群聊是公开的或私密的";
    posting_rule: "everybody, members or moderators write in a room", "可以发言的是所有人、成员或群管理员";
    role_rule: "a role is member, read_only, moderator or owner", "身份是成员、只读成员、群管理员或群主";
    minutes_rule: "how long is a number of minutes", "时长为分钟数";
    uses_rule: "how many may use it is a number", "可用人数是一个数字";
    write_name_to_delete: "write the name of the room, as it stands in its address, to delete it", "要删除群聊，请填写它在网址中的名称";
    nothing_to_do: "this form does nothing that there is", "这个表单没有可执行的操作";

    // The settings of a room.
    nobodys: "Nobody owns this room. Whoever owns it says who may write in it, and can close it.",
        "这个群聊没有群主。群主可以决定谁能发言，也可以把它设为私密。";
    take_over: "Take it over", "接管";
    an_open_room(members, you): "An open room with {members}. {you}", "公开群聊，{members}。{you}";
    a_closed_room(members, you): "A closed room with {members}. {you}", "私密群聊，{members}。{you}";
    a_direct_room(members, you): "A direct room with {members}. {you}", "私聊，{members}。{you}";
    members(count): ["{count} member", "{count} members"], "{count} 名成员";
    you_are_no_member: "You are no member.", "你不是成员。";
    you_are(role): "You: {role}.", "你的身份：{role}。";
    it_is_archived: " It is archived: what was said can be read.", "群聊已归档：可以阅读已有的消息。";
    leave: "Leave this room", "退出群聊";
    reopen: "Open it again", "取消归档";
    archive: "Archive: nobody writes any more", "归档：不再允许发言";
    invitation_once: "Whoever has this address may come in. It is shown this once:", "拿到这个网址的人都可以加入。它只显示这一次：";
    the_room: "The room", "群聊";
    title: "Title", "标题";
    about: "What it is about", "群聊简介";
    who_may_write: "Who may write in it", "谁可以发言";
    posting_everybody: "Everybody who reads it", "能阅读的所有人";
    posting_members: "Members", "成员";
    posting_moderators: "Moderators and the owner", "群管理员和群主";
    invitations: "Invitations", "邀请";
    comes_as: "Who comes by it is", "受邀者的身份";
    good_for: "It is good for", "可用人数";
    and_for: "and for", "有效期";
    make_invitation: "Make an invitation", "创建邀请";
    until(time): "until {time}", "有效至 {time}";
    uses_left(uses): ["{uses} more", "{uses} more"], "还可用 {uses} 人";
    invitation_by(role, uses, until, name): "{role}, {uses}, {until}, by {name}", "{role}，{uses}，{until}，由 {name} 创建";
    revoke: "Revoke", "撤销";
    members_title: "Members", "成员";
    muted_until(time): ", muted until {time}", "，禁言至 {time}";
    and_more(count): ["and {count} more", "and {count} more"], "另有 {count} 人";
    manage: "Manage", "管理";
    role: "Role", "身份";
    set: "Set", "设置";
    mute: "Mute", "禁言";
    unmute: "Let them speak", "解除禁言";
    for_how_long: "For how long", "时长";
    remove: "Remove", "移出群聊";
    ban: "Ban", "封禁";
    unban: "Let them in again", "解除封禁";
    ban_with_address: "Ban with their address", "连同地址一起封禁";
    where_from(name, until): "Where {name} came from, until {until}", "{name} 的来源地址，至 {until}";
    let_guests_in: "Let guests in again", "恢复访客进入";
    guests_kept_out: "Guests kept out", "禁止访客进入的地址";
    banned_by_account: "who has an account is banned by that, wherever they come from", "注册用户按账号封禁，与来源地址无关";
    address_unknown: "it is not known from where they come: they are not here now, or on the server's own machine", "无法得知对方的来源：对方不在线，或就在服务器所在的机器上";
    ban_bounded: "a room keeps out a bounded number of addresses for 1 minute to 30 days; let one in again", "每个群聊封禁的地址数量有限，时长为 1 分钟到 30 天；请先解除一个";
    here_no_members: "Here, and no members", "在场的非成员";
    banned: "Banned", "已封禁";
    what_was_done: "What was done", "操作记录";
    delete: "Delete", "删除";
    delete_text(name): "What was said goes for good, and nobody gets this name again. To do that write {name}:",
        "所有消息将永久删除，此后没有人能再用这个名称。要这样做，请填写 {name}：";
    delete_the_room: "Delete the room", "删除群聊";

    // What was done in a room, and with what.
    log_made: "made", "新建群聊";
    log_changed: "changed", "修改设置";
    log_archived: "archived", "归档";
    log_reopened: "opened again", "取消归档";
    log_handed_over: "handed over", "转让群聊";
    log_role: "role", "更改身份";
    log_muted: "muted", "禁言";
    log_unmuted: "unmuted", "解除禁言";
    log_removed: "removed", "移出群聊";
    log_banned: "banned", "封禁";
    log_unbanned: "unbanned", "解除封禁";
    log_invited: "invited", "创建邀请";
    log_revoked: "revoked an invitation", "撤销邀请";
    log_joined: "joined", "加入";
    log_left: "left", "退出";
    log_message: "deleted a message", "撤回消息";
    log_line(time, by, act): "{time} · {by}: {act}", "{time} · {by}：{act}";
    in_brackets(text): " ({text})", "（{text}）";
    detail_changed(kind, posting): "{kind}, {posting} may post", "{kind}，{posting}可以发言";
    detail_invited(role, uses, until): "{role}, {uses}, {until}", "{role}，{uses}，{until}";
    role_owner: "owner", "群主";
    role_moderator: "moderator", "群管理员";
    role_member: "member", "成员";
    role_read_only: "read only", "只读成员";
    everybody: "everybody", "所有人";
    members_post: "members", "成员";
    moderators_post: "moderators", "群管理员";

    // An invitation.
    not_now: "Not now", "暂时不行";
    invitation_unavailable: "The invitation cannot be looked up now. Try again in a moment.", "暂时无法查找这个邀请，请稍后再试。";
    invitation_bad: "This invitation is not good", "邀请无效";
    invitation_bad_text: "It was used up, revoked, or is over, or it is not for you. Ask whoever sent it for another one.",
        "它已用完、被撤销或过期，或者不是给你的。请向邀请人再要一个。";
    in_it_already: "You are in it already.", "你已在这个群聊中。";
    go_to_room: "Go to the room", "进入群聊";
    join: "Join", "加入群聊";
    need_account: "To join you need an account.", "加入群聊需要账号。";
    invites_you(name, members): "{name} invites you to this room. It has {members}.", "{name} 邀请你加入这个群聊，现有 {members}。";
    you_would_be(role): "You would be: {role}.", "你的身份将是：{role}。";

    // Somebody.
    that_is_you: "That is you.", "这是你自己。";
    who_else: "Who else shall be in it, by their handles; or nobody", "还有谁参加（填写用户名），可以留空";
    handles_example: "@handle, @handle", "@用户名, @用户名";
    talk_directly: "Talk directly", "发起私聊";
    nobody_of_handles: "there is nobody of one of these handles", "其中有不存在的用户名";

    // Why something was not done.
    not_there: "there is no such room", "没有这个群聊";
    not_for_guests: "this room is not open to guests", "这个群聊不对访客开放";
    is_archived: "this room is archived: what was said can be read", "这个群聊已归档：可以阅读已有的消息";
    server_read_only: "this server is read-only now: what was said can be read, and nothing can be said or changed; try again later",
        "服务器目前只读：可以阅读已有的消息，但不能发言或修改；请稍后再试";
    you_are_muted(until): "you are muted in this room until {until}", "你在这个群聊中被禁言至 {until}";
    may_read: "you may read this room, and not write in it", "你可以阅读这个群聊，但不能发言";
    only_members: "only members of this room write in it", "只有群成员可以发言";
    only_moderators: "only the moderators and the owner of this room may do that", "只有群管理员和群主可以这样做";
    only_owner: "only the owner of this room may do that", "只有群主可以这样做";
    hand_over: "hand the room over before you leave it: it is yours", "你是群主，退出前请先转让群聊";
    told_archived: "This room is archived: what was said can be read. Its owner can open it again.",
        "这个群聊已归档：可以阅读已有的消息。群主可以取消归档。";
    told_muted: "You are muted in this room. Its owner and its moderators can let you speak again.",
        "你在这个群聊中被禁言。群主和群管理员可以解除禁言。";
    told_read_only: "You may read this room, and not write in it. Its owner and its moderators can change that.",
        "你可以阅读这个群聊，但不能发言。群主和群管理员可以更改。";
    told_guest: "Only members of this room write in it. Sign in if you are one; or else ask its owner for an invitation.",
        "只有群成员可以发言。如果你是成员，请登录；否则请向群主要一个邀请。";
    told_no_member: "Only members of this room write in it. Ask its owner or a moderator for an invitation.",
        "只有群成员可以发言。请向群主或群管理员要一个邀请。";
    told_moderators: "Only the owner and the moderators of this room write in it.", "只有群主和群管理员可以发言。";
    told_server: "This server is read-only now: nothing can be said or changed. It says so when that is over.",
        "服务器目前只读：不能发言或修改。恢复后会提示。";
    told_may_not: "You may not write in this room.", "你不能在这个群聊中发言。";
    no_member: "they are no member of this room any more", "对方已不是这个群聊的成员";
    taken: "there is a room of this name already, or it was used before; take another name", "这个名称已有群聊使用或曾被使用，请换一个";
    no_rule: "the rules of this server let nobody make a room of this name; take another one", "按此服务器的规则，不能新建这个名称的群聊，请换一个";
    only_administrators: "only administrators make rooms of this name", "只有服务器管理员可以新建这个名称的群聊";
    no_account: "only people with an account make rooms", "只有注册用户可以新建群聊";
    too_many_rooms(most): "one person owns at most {most} rooms; delete one that is not needed", "每人最多拥有 {most} 个群聊，请删除不需要的";
    too_many_names(most): "the names of rooms that were deleted stay taken, and one person uses at most {most}: there are no more for you",
        "已删除群聊的名称不会释放，每人最多使用 {most} 个名称：你不能再新建了";
    too_many_direct(most): "one person makes at most {most} direct rooms", "每人最多发起 {most} 个私聊";
    made_too_often(most, minutes): "one person makes at most {most} rooms an hour; try again in {minutes} min",
        "每人每小时最多新建 {most} 个群聊，请在 {minutes} 分钟后再试";
    done_too_often(minutes): "rooms were changed too often by you of late; try again in {minutes} min", "你最近修改群聊过于频繁，请在 {minutes} 分钟后再试";
    too_many_invitations(most): "a room has at most {most} invitations that can be used; revoke one", "每个群聊最多有 {most} 个可用的邀请，请撤销一个";
    crowd(least, most): "a direct room is of {least} to {most} people", "私聊为 {least} 到 {most} 人";
    not_good: "this invitation is not good any more, or not for you", "这个邀请已失效，或者不是给你的";
    not_direct: "a direct room cannot be made of another one, nor the other way", "私聊与群聊不能互相转换";
    try_again: "not now; try again", "暂时不行，请再试一次";
    somebody_owns: "somebody owns this room, who can hand it over in its settings", "这个群聊已有群主，群主可以在设置中转让";
    nobody_of_handle: "there is nobody of this handle", "没有这个用户名的用户";
    write_handle: "write the handle of who shall own it", "请填写新群主的用户名";

    // The rooms of who is signed in.
    yours: "Yours", "我的群聊";
    member_of_none: "You are a member of no room yet.", "你还没有加入任何群聊。";
    more_of_yours: "More of yours", "更多我的群聊";
    for_people_with_account: "For people with an account", "面向注册用户的群聊";
    unread: " unread", " 条未读";
    names_here(names): " · {names} here", " · {names} 在线";
    count_here(count): [" · {count} here", " · {count} here"], " · {count} 人在线";
    message_deleted: "message deleted", "消息已撤回";
    says(author, text): "{author}: {text}", "{author}：{text}";
    only_accounts_have_rooms: "only people with an account have rooms of their own", "只有注册用户有自己的群聊";
}
