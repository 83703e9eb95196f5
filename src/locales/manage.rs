//! The pages of administration.

texts! {
    administration: "Administration", "管理";
    overview: "Overview", "概览";
    people: "People", "用户";
    rooms: "Rooms", "群聊";
    invitations: "Invitations", "邀请";
    tokens: "Tokens", "令牌";
    connections: "Connections", "连接";
    server: "Server", "服务器";
    log: "Log", "日志";

    // What several of them have.
    never: "never", "从未";
    save_as_csv: "Save as CSV", "另存为 CSV";
    find: "Find", "查找";
    next: "Next", "下一页";
    revoke: "Revoke", "撤销";
    save: "Save", "保存";
    yes: "yes", "是";
    no: "no", "否";
    nobody: "nobody", "无";
    nothing_to_do: "this form does nothing that there is", "这个表单没有可执行的操作";
    utc(time): "{time} UTC", "{time} UTC";
    name: "Name", "名字";
    handle: "Handle", "用户名";
    is: "Is", "状态";
    role: "Role", "身份";
    room: "Room", "群聊";
    made: "Made", "创建时间";
    made_by: "Made by", "创建者";
    until: "Until", "有效至";
    last_used: "Last used", "上次使用";
    created: "Created", "创建时间";
    delete: "Delete", "删除";

    // People.
    signs_in_by: "Signs in by", "登录方式";
    there_is_nobody: "There is nobody.", "还没有用户。";
    nobody_called_so: "Nobody is called so.", "没有找到这样的用户。";
    invite_to_server: "Invite somebody to the server", "邀请他人加入服务器";
    handle_name_id: "Handle, name or id", "用户名、名字或 ID";
    is_deactivated: "deactivated", "已停用";
    is_administrator: "administrator", "管理员";
    is_member: "member", "成员";
    by_password: "password", "密码";
    by_nothing: "nothing yet", "尚无";
    reset_once: "With this link they choose another password, once and within a day. It is shown this once:",
        "对方可用此链接重设密码，一次有效，期限一天。它只显示这一次：";
    last_administrator: "nobody else administers this server: make somebody else an administrator first", "此服务器没有其他管理员：请先任命另一位管理员";
    so_already: "it is so already", "已经是这样了";
    id: "Id", "ID";
    second_factor: "Second factor", "两步验证";
    sign_out_everywhere: "Sign out everywhere", "在所有设备上退出登录";
    make_reset_link: "Make a link for another password", "生成重设密码的链接";
    remove_second_factor: "Remove their second factor", "移除两步验证";
    take_rights: "Take the rights of an administrator", "取消管理员";
    make_administrator: "Make an administrator", "设为管理员";
    deactivate: "Deactivate", "停用";
    let_in_again: "Let in again", "恢复";
    devices: "Devices", "设备";
    device: "Device", "设备";
    signed_in: "Signed in", "登录时间";
    signed_in_nowhere: "Signed in nowhere.", "没有登录任何设备。";
    member_of_none: "A member of no room that is not direct.", "没有加入任何群聊。";
    as_others_see: "As others see them", "查看个人页面";

    // Rooms.
    title: "Title", "标题";
    owner: "Owner", "群主";
    members: "Members", "成员数";
    no_rooms: "There are no rooms yet.", "还没有群聊。";
    no_room_called_so: "No room is called so.", "没有找到这样的群聊。";
    counted(owned, direct): "{owned} rooms that somebody made or owns, and {direct} direct ones, which only their people read.",
        "{owned} 个由用户创建或拥有的群聊，{direct} 个仅参与者可读的私聊。";
    part_of_name: "Part of the name", "名称的一部分";
    is_open: "open", "公开";
    is_open_archived: "open, archived", "公开，已归档";
    is_closed: "closed", "私密";
    is_closed_archived: "closed, archived", "私密，已归档";
    messages(count, bytes): ["{count} message, {bytes}", "{count} messages, {bytes}"], "{count} 条消息，{bytes}";
    messages_at_least(count, bytes): ["{count} message, {bytes} at least", "{count} messages, {bytes} at least"],
        "至少 {count} 条消息，{bytes}";
    in_the_store: "In the store", "存储";
    handle_of_owner: "Handle of who shall own it", "新群主的用户名";
    give_owner: "Give it an owner", "指定群主";
    give_it: "Give it to them", "指定";
    reopen: "Open it again", "取消归档";
    archive: "Archive: nobody writes any more", "归档：不再允许发言";
    delete_text: "What was said goes for good, and nobody gets this name again. To do that write the name of the room",
        "所有消息将永久删除，此后没有人能再用这个名称。要这样做，请填写群聊的名称";
    delete_the_room: "Delete the room", "删除群聊";
    the_room: "The room", "进入群聊";
    its_settings: "Its settings", "群聊设置";
    no_such_room: "there is no such room", "没有这个群聊";

    // Invitations.
    invite_once: "Whoever has this address may make an account. It is shown this once:", "拿到这个网址的人都可以注册。它只显示这一次：";
    invitation_note: "What it is for, to know it by", "用途（便于识别）";
    range(most): "1 to {most}", "1 到 {most}";
    for_how_many: "For how many people", "可用人数";
    for_how_many_days: "For how many days", "有效天数";
    everybody_may: "Everybody may make an account now, also without an invitation.", "现在所有人都可以注册，无需邀请。";
    invited_may: "Whoever has an invitation may make an account: one of these, or one to a room.", "有邀请的人可以注册：可以是这里的邀请，也可以是群聊的邀请。";
    nobody_may: "Nobody may make an account now, also not by an invitation: who may is a switch of the server.",
        "现在任何人都不能注册，有邀请也不行：谁可以注册由服务器的开关决定。";
    for_what: "For", "用途";
    how_many: "People", "人数";
    none_usable: "There are none that can be used.", "没有可用的邀请。";
    invitations_to_server: "Invitations to the server", "加入服务器的邀请";
    invitations_to_rooms: "Invitations to rooms", "加入群聊的邀请";
    any_number: "any number", "不限";
    for_ever: "for ever", "永久";
    make_invitation: "Make an invitation", "创建邀请";
    invitation_uses(most): "an invitation is for 1 to {most} people", "邀请可用人数为 1 到 {most}";
    invitation_days(most): "an invitation is good for 1 to {most} days", "邀请有效期为 1 到 {most} 天";
    note_rule(most): "a note is at most {most} characters on one line", "用途为一行，最多 {most} 个字符";
    too_many_invitations(most): "there are {most} invitations that can be used; revoke one", "已有 {most} 个可用的邀请，请撤销一个";

    // Tokens.
    token_once: "The token, for Authorization: Bearer TOKEN. It is shown this once:", "令牌，用于 Authorization: Bearer TOKEN。它只显示这一次：";
    token_name: "Name, as people see it", "名称（显示给大家看）";
    token_rooms: "Rooms that it is for", "适用的群聊";
    token_rooms_hint: "Names with spaces between them, * for any letters and ? for any one; empty for all rooms.",
        "以空格分隔的名称，* 代表任意字母，? 代表任意一个；留空表示所有群聊。";
    read: "Read", "读取";
    read_hint: "messages, files and searches of these rooms over the API", "通过 API 读取这些群聊的消息、文件和搜索结果";
    post: "Post", "发言";
    post_hint: "messages into these rooms", "在这些群聊中发消息";
    push: "Push", "推送";
    push_hint: "events to who is in them; for all rooms also to single connections", "向群聊中的人推送事件；适用于所有群聊时也可推送到单个连接";
    may_read: "read", "读取";
    may_post: "post", "发言";
    may_push: "push", "推送";
    and: ", ", "、";
    revoked_at(time): "revoked {time}", "{time} 撤销";
    made_at_by(time, name): "{time} by {name}", "{time}，{name}";
    may: "May", "权限";
    no_token: "No token was made here yet.", "这里还没有创建令牌。";
    tokens_of_settings: "Tokens of the settings", "设置文件中的令牌";
    make_token_for_program: "Make a token for a program", "为程序创建令牌";
    make_token: "Make the token", "创建令牌";
    token_of_settings: "the settings have a token of this name; take another one", "设置文件中已有这个名称的令牌，请换一个";
    token_may_nothing: "say what it may do: read, post or push", "请选择权限：读取、发言或推送";
    too_many_tokens(most): "there are {most} tokens, which is the most; revoke one that is not needed", "已有 {most} 个令牌，达到上限；请撤销不需要的";
    token_taken: "there is a token of this name; take another one, or revoke that one first", "已有这个名称的令牌；请换一个，或先撤销那个令牌";
    too_many_patterns: "a token is for at most 100 patterns of rooms", "每个令牌最多适用于 100 个群聊模式";

    // Nodes and connections.
    accounts: "Accounts", "账号";
    administrators: "Administrators", "管理员";
    signed_in_devices: "Signed-in devices", "已登录设备";
    rooms_owned: "Rooms that somebody owns", "有群主的群聊";
    direct_rooms: "Direct rooms", "私聊";
    people_in_rooms: "People in rooms now", "当前在线人数";
    usable_tokens: "Tokens that can be used", "可用令牌";
    machine: "Machine", "主机";
    node: "Node", "节点";
    version: "Version", "版本";
    up: "Up", "运行时间";
    messages_in: "Messages/s in", "每秒收到消息";
    deliveries: "Deliveries/s", "每秒投递";
    memory: "Memory", "内存";
    waiting: "Waiting", "待发送";
    topics: "Topics", "主题";
    nodes: "Nodes", "节点";
    well: "well", "正常";
    trouble_of_layer(trouble): "layer: {trouble}", "消息层：{trouble}";
    trouble_of_store(trouble): "store: {trouble}", "存储：{trouble}";
    again_and_again: "This page is loaded anew every five seconds.", "此页面每五秒刷新一次。";
    stop_that: "Stop that", "停止刷新";
    as_of_now: "As of now.", "当前数据。";
    load_anew: "Load anew", "刷新";
    load_again_and_again: "again and again", "持续刷新";
    lasted_days(days): "{days} days", "{days} 天";
    lasted_hours(hours): "{hours} h", "{hours} 小时";
    lasted_minutes(minutes): "{minutes} min", "{minutes} 分钟";
    lasted_seconds(seconds): "{seconds} s", "{seconds} 秒";
    silent(nodes): "these nodes did not answer within a second: {nodes}", "以下节点一秒内没有应答：{nodes}";
    this_machine: "this machine", "本机";
    close: "Close", "断开";
    who: "Who", "用户";
    by: "By", "方式";
    since: "Since", "开始时间";
    from: "From", "来源";
    connections_of(node): "Connections of {node}", "{node} 的连接";
    nothing_open: "Nothing is open there.", "没有打开的连接。";
    and_more(count): "and {count} more; those of one person are shown by their name", "另有 {count} 个；点击用户的名字可查看其全部连接";
    of_one_person: "Of one person.", "某个用户的连接。";
    their_page: "Their page", "用户页面";
    if_account: ", if they have an account", "（如有账号）";
    of_all: "Of all", "所有连接";

    // The server.
    minutes_15: "15 minutes", "15 分钟";
    an_hour: "an hour", "1 小时";
    hours_4: "4 hours", "4 小时";
    a_day: "a day", "1 天";
    a_week: "a week", "1 周";
    days_30: "30 days", "30 天";
    sign_up_invite: "whoever has an invitation, to the server or to a room", "有服务器或群聊邀请的人";
    sign_up_open: "everybody", "所有人";
    sign_up_closed: "nobody: administrators make accounts by confab user add", "任何人都不行：由管理员用 confab user add 创建账号";
    announcement_hint(most): "At most {most} characters. It is shown at the head of every page, and takes the place of the one before.",
        "最多 {most} 个字符。公告显示在每个页面顶部，并替换之前的公告。";
    announced: "What is announced", "公告内容";
    for_how_long: "For how long", "显示时长";
    announce: "Announce it", "发布公告";
    now_until(time, text): "Now, until {time}: {text}", "当前公告（至 {time}）：{text}";
    take_back: "Take it back", "撤下公告";
    is_read_only: "The server is read-only: what was said can be read, and nothing can be said or changed but on these pages.",
        "服务器处于只读状态：可以阅读已有的消息，除这些管理页面外不能发言或修改。";
    let_write: "Let everybody write again", "恢复发言";
    is_writable: "Everybody writes as they may. Read-only, nothing can be said or changed until it is switched back, here; that holds on all nodes \
            and after a restart.",
        "大家可以按各自的权限发言。设为只读后，在此处恢复之前不能发言或修改；对所有节点有效，重启后仍有效。";
    make_read_only: "Make the server read-only", "将服务器设为只读";
    who_may_sign_up: "Who may make an account", "谁可以注册";
    announcement: "Announcement", "公告";
    read_only_mode: "Read-only mode", "只读模式";
    signing_up: "Signing up", "注册";
    announce_what: "write what is to be announced", "请填写公告内容";
    announcement_long(most, length): "an announcement is at most {most} characters, and this is {length}", "公告最多 {most} 个字符，目前为 {length} 个";
    announcement_minutes(most): "an announcement is shown for 1 to {most} minutes", "公告显示 1 到 {most} 分钟";

    // Addresses that are kept out.
    bans: "Bans", "封禁";
    ban: "Ban", "封禁";
    address: "Address", "地址";
    address_hint: "192.0.2.7 or 2001:db8::7; of IPv6 the whole network of 64 bits is kept out. The list of connections has those of who is there.",
        "如 192.0.2.7 或 2001:db8::7；IPv6 会封禁整个 64 位网络。在线者的地址见连接列表。";
    ban_lasts: "For how long", "时长";
    ban_note: "Why, or against whom", "原因或对象";
    ban_note_hint: "It stands in the log, which does not have the address.", "会写入日志；日志不记录地址。";
    ban_accounts: "People with accounts, too", "也包括注册用户";
    ban_accounts_hint: "Otherwise they come in as ever. Administrators do in any case.", "否则他们照常进入。管理员始终可以进入。";
    about_bans: "Guests at such an address see nothing of this server but the form to sign in, and no account is made from there. Many may share one: a \
            household, a school, all customers of a phone company. So keep it short.",
        "来自这些地址的访客只能看到登录表单，也不能从那里注册。一个地址可能由许多人共用：一户人家、一所学校、一家电信公司的所有客户。所以请尽量缩短时间。";
    guests: "guests", "访客";
    guests_and_accounts: "guests and people with accounts", "访客和注册用户";
    whole_server: "the whole server", "整个服务器";
    keeps_out: "Keeps out", "封禁对象";
    ban_of: "Of", "范围";
    ban_why: "Why", "原因";
    ban_by: "By", "操作者";
    addresses_kept_out: "Addresses that are kept out", "被封禁的地址";
    no_address: "No address is kept out.", "没有被封禁的地址。";
    keep_out_address: "Keep out an address", "封禁地址";
    keep_it_out: "Keep it out", "封禁";
    kept_out: "Kept out", "已封禁";
    ban_minutes(most): "an address is kept out for 1 to {most} minutes", "地址封禁时长为 1 到 {most} 分钟";
    too_many_of_room(most): "a room keeps out at most {most} addresses; let one in again", "每个群聊最多封禁 {most} 个地址，请先解除一个";
    too_many_bans(most): "there are {most} addresses that are kept out, which is the most; let one in again", "已封禁 {most} 个地址，达到上限；请先解除一个";

    // The log.
    when: "When", "时间";
    did: "Did", "操作";
    to: "To", "对象";
    detail: "Detail", "详情";
    nothing_known: "Nothing of that is known.", "没有相关记录。";
    nothing_done: "Nothing was done yet.", "还没有操作记录。";
    a_part: "A part of it.", "部分日志。";
    all_of_it: "All of it", "全部日志";
    who_did_what: "Who did what", "操作日志";
}
