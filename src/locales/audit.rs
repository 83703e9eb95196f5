//! What the log of who did what says, between who did it and to whom.

texts! {
    account_made: "made the account of", "创建了账号";
    account_deactivated: "deactivated", "停用了";
    account_reactivated: "let in again", "恢复了";
    account_deleted: "deleted the account of", "注销了账号";
    administrator_made: "made an administrator of", "任命为管理员";
    administrator_unmade: "took the rights of an administrator from", "取消了管理员身份";
    handle_changed: "took another handle,", "更换了用户名";
    password_changed: "changed the password of", "更改了密码";
    password_reset: "took another password by a link for", "通过链接重设了密码";
    reset_link_made: "made a link for another password of", "生成了重设密码的链接";
    signed_out_everywhere: "signed out everywhere", "在所有设备上退出登录";
    session_ended: "signed out a device of", "让一台设备退出登录";
    second_factor_added: "added a second factor for", "开启了两步验证";
    second_factor_removed: "removed the second factor of", "移除了两步验证";
    recovery_codes_made: "made recovery codes for", "生成了备用码";
    recovery_code_used: "used a recovery code of", "使用了一个备用码";
    data_exported: "exported the data of", "导出了数据";
    room_made: "made the room", "新建了群聊";
    room_archived: "archived the room", "归档了群聊";
    room_reopened: "opened the room again", "取消归档群聊";
    room_deleted: "deleted the room", "删除了群聊";
    room_owner_given: "gave an owner to the room", "指定了群主";
    room_invitation_revoked: "revoked an invitation to the room", "撤销了群聊的邀请";
    address_banned: "banned the address", "封禁了地址";
    address_unbanned: "lets in again the address", "解除封禁地址";
    invitation_made: "made an invitation to the server", "创建了加入服务器的邀请";
    invitation_revoked: "revoked an invitation to the server", "撤销了加入服务器的邀请";
    token_made: "made the token", "创建了令牌";
    token_revoked: "revoked the token", "撤销了令牌";
    announcement_made: "announced to all", "发布了公告";
    announcement_ended: "took back an announcement", "撤下了公告";
    switched: "switched", "切换了";
    connection_closed: "closed a connection of", "断开了连接";
    list_exported: "exported", "导出了";

    // Who did it, where it was nobody in particular.
    the_server: "the server", "服务器";
    the_command_line: "the command line", "命令行";
}
