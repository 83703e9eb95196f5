//! Why something was not done, as the pages of a room hear it over their connections. What programs alone meet is told in English.

texts! {
    deactivated: "this account was deactivated", "这个账号已被停用";
    kept_out(until): "guests from your network are kept out of this server until {until}; sign in if you have an account",
        "来自你所在网络的访客在 {until} 之前不能进入此服务器；如有账号请登录";
    kept_out_for_a_while: "guests from your network are kept out of this server for a while", "来自你所在网络的访客暂时不能进入此服务器";
    needs_second_factor: "this server requires a second factor of its administrators; set one up at /account/second-factor",
        "此服务器要求管理员使用两步验证，请在 /account/second-factor 设置";
    foreign_form: "a form of another site cannot be sent here", "不能从其他网站提交表单";
    no_address: "there is no such address", "没有这个网址";
    no_room: "there is no such room", "没有这个群聊";
    closed_room: "this room is not open to guests", "这个群聊不对访客开放";
    no_topic(group): "there is no room {group}", "没有群聊 {group}";
    closed_topic(group): "the room {group} is not open to guests", "群聊 {group} 不对访客开放";
    not_joined(topic): "join {topic} first", "请先加入 {topic}";
    topics(most): "a connection joins at most {most} topics", "一个连接最多加入 {most} 个主题";
    topics_of_address(most): "the connections of one address join at most {most} topics together", "同一网络地址的连接合计最多加入 {most} 个主题";
    far_too_many: "there are too many connections", "连接过多";
    requests(most): "at most {most} requests a second from one address", "同一网络地址每秒最多 {most} 个请求";
    bytes(most): "at most {most} bytes a second to and from one address", "同一网络地址每秒最多 {most} 字节";
    commands(most): "at most {most} commands a second on one connection", "一个连接每秒最多 {most} 个操作";
    bytes_of_connection(most): "at most {most} bytes a second on one connection", "一个连接每秒最多 {most} 字节";
    commands_of_account(most): "at most {most} commands a second on all of your connections", "你的所有连接合计每秒最多 {most} 个操作";
    bytes_of_account(most): "at most {most} bytes a second on all of your connections", "你的所有连接合计每秒最多 {most} 字节";
    exports(most): "at most {most} exports at a time from one address", "同一网络地址最多同时导出 {most} 份";
    bodies(most): "at most {most} requests with a body at a time from one address; try again in a second",
        "同一网络地址最多同时提交 {most} 个请求，请过一秒再试";
    searches(most): "at most {most} searches at a time from one address", "同一网络地址最多同时搜索 {most} 次";
    read_only: "this server is read-only now: what was said can be read, and nothing can be said or changed; try again later",
        "服务器目前只读：可以阅读已有的消息，但不能发言或修改；请稍后再试";
    unavailable: "not now; try again", "暂时不行，请再试一次";
    not_taken: "the message cannot be taken now; send it again with the same key", "暂时无法发送消息，请重试";
    not_changed: "the change cannot be made now; send it again", "暂时无法更改，请重试";
    long_text(most): "a text is at most {most} bytes of UTF-8", "消息最多 {most} 字节";
    lets_in(name): "in the settings, server.hosts = [\"{name}\"] lets it in", "请在设置中加入 server.hosts = [\"{name}\"]";

    // Of a change.
    no_message: "there is no such message here; it may have been deleted", "没有这条消息，可能已被撤回";
    not_yours: "only its author may edit or delete a message", "只有作者可以编辑或撤回消息";
    too_many_kinds(most): "a message takes at most {most} different emoji; put one of those that it has", "一条消息最多有 {most} 种表情，请使用已有的表情";
    too_many_of_one(most): "one person puts at most {most} emoji to a message; take one of yours away first",
        "每人最多给一条消息添加 {most} 个表情，请先取消一个";

    // Of a room that is open to somebody no more.
    not_open_any_more(topic): "{topic} is not open to you any more", "你不能再进入 {topic}";
    removed: "you were removed from this room; its owner and its moderators can invite you again", "你已被移出这个群聊；群主和群管理员可以重新邀请你";
    banned: "you were banned from this room; its owner and its moderators can let you in again", "你已被这个群聊封禁；群主和群管理员可以解除封禁";
    left: "you have left this room; you can come back by an invitation", "你已退出这个群聊；可以通过邀请重新加入";
    closed: "this room is for its members alone now; its owner and its moderators can invite you", "这个群聊现在仅限成员；群主和群管理员可以邀请你";
    deleted: "this room was deleted, with all that was said in it", "这个群聊已被删除，包括其中的所有消息";

    // Of a connection that is closed for good.
    closed_by_administrator: "an administrator of this server has closed the connection", "此服务器的管理员断开了连接";
    signed_out: "you were signed out", "你已退出登录";
    taken_back: "this is not open to you any more", "你不能再进入这里";
    address_has(most): "an address has at most {most} connections", "同一网络地址最多有 {most} 个连接";
    account_has(most): "an account has at most {most} connections", "每个账号最多有 {most} 个连接";
}
