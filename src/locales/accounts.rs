//! The forms of accounts.

texts! {
    // What several of them have.
    name: "Name", "用户名";
    password: "Password", "密码";
    your_password: "Your password", "你的密码";
    new_password: "New password", "新密码";
    save: "Save", "保存";
    your_account: "Your account", "你的账号";
    back_to_account: "Back to your account", "返回你的账号";
    code: "Code", "验证码";
    password_hint: "8 to 1,024 bytes. Four words that have nothing to do with each other are better than one with signs in it.",
        "8 到 1,024 字节。四个互不相干的词，比一个夹着符号的词更好。";
    password_short(least): "A password has at least {least} bytes; a few words are good", "密码至少 {least} 字节，可以用几个词";
    password_long(most): "A password has at most {most} bytes", "密码最多 {most} 字节";
    password_common(advice): "This password is among the first that others would try; {advice}", "这个密码很容易被人猜到；{advice}";
    guessed_soon(advice): "Others would guess this password soon: {advice}", "这个密码不久就会被人猜到：{advice}";
    few_words: "a few words that have nothing to do with each other are better", "用几个互不相干的词更好";
    warned(warning): "{warning}; a few words that have nothing to do with each other are better", "{warning}；用几个互不相干的词更好";
    rows_of_keys: "straight rows of keys are easy to guess", "键盘上成排的按键很容易猜到";
    keyboard_patterns: "short keyboard patterns are easy to guess", "键盘上的简短图案很容易猜到";
    repeated_signs: "repeats like “aaa” are easy to guess", "“aaa”这样的重复很容易猜到";
    repeated_words: "repeats like “abcabcabc” are only slightly harder to guess than “abc”", "“abcabcabc”这样的重复只比“abc”难猜一点";
    top_10: "this is a top-10 common password", "这是最常用的 10 个密码之一";
    top_100: "this is a top-100 common password", "这是最常用的 100 个密码之一";
    common: "this is a very common password", "这是非常常用的密码";
    like_a_common_one: "this is similar to a commonly used password", "它与一个常用密码相似";
    sequences: "sequences like abc or 6543 are easy to guess", "abc、6543 这样的顺序很容易猜到";
    recent_years: "recent years are easy to guess", "近年的年份很容易猜到";
    one_word: "a word by itself is easy to guess", "单独一个词很容易猜到";
    dates: "dates are often easy to guess", "日期往往很容易猜到";
    one_name: "names and surnames by themselves are easy to guess", "单独的姓名很容易猜到";
    common_names: "common names and surnames are easy to guess", "常见的姓名很容易猜到";
    handle_rule(most): "A name is 1 to {most} letters and digits, with spaces or any of _ - . between them",
        "用户名为 1 到 {most} 个字母（含汉字）或数字，中间可以有空格、_、- 或 .";
    busy: "Too many people sign in at this moment. Try again in a few seconds", "此刻登录的人太多，请过几秒再试";
    unknown_browser: "An unknown browser", "未知浏览器";
    on_system(browser, system): "{browser} on {system}", "{system} 上的 {browser}";

    // Signing in and out.
    sign_in: "Sign in", "登录";
    wrong: "The name or the password is wrong", "用户名或密码不正确";
    over: "You were signed out on this device: here, from another one, or since the password is another one now.",
        "你已在这台设备上退出登录：可能是在这里或其他设备上退出的，也可能是密码已更改。";
    over_on_the_site: "You were signed out on this device: on the site that this server belongs to, here, from another device, or since the password is \
            another one now.",
        "你已在这台设备上退出登录：可能是在此服务器所属的网站、在这里或在其他设备上退出的，也可能是密码已更改。";
    sign_in_on_the_site: "Sign in on the site that this server belongs to", "在此服务器所属的网站登录";
    too_many_sign_ins(minutes): "There were too many attempts to sign in. Try again in {minutes} min",
        "登录尝试次数过多，请在 {minutes} 分钟后再试";
    not_signed_in: "You are not signed in", "未能登录";
    token_refused(reason): "The other site's token is not taken: {reason}", "不接受另一网站的令牌：{reason}";
    deactivated: "This account was deactivated", "这个账号已被停用";
    token_too_long(most): "The token of the other site is too long: a browser keeps at most {most} bytes of it",
        "另一网站的令牌太长：浏览器最多保存 {most} 字节";
    new_here: "New here?", "还没有账号？";
    new_here_by_invitation: "New here? An invitation lets you sign up: a link that somebody gives you.",
        "还没有账号？注册需要邀请，也就是别人给你的链接。";
    forgotten: "Forgotten? An administrator can give you a link with which you choose another password.",
        "忘记密码？管理员可以给你一个重设密码的链接。";
    signed_in_by_project: "You are signed in by the site that this server belongs to. Your name and your password are changed there; and \
            when you sign out there, you are signed out here.",
        "你是通过此服务器所属的网站登录的。用户名和密码请在那里修改；在那里退出登录后，这里也会退出。";
    signed_in_by_token: "You are signed in by another site, until it says otherwise. Your name and your password are changed there.",
        "你是通过另一网站登录的，直到该网站另行通知。用户名和密码请在那里修改。";
    mentioned_as(handle): "You are mentioned as {handle}.", "别人用 {handle} 提及你。";
    sign_out: "Sign out", "退出登录";
    sign_out_here: "Sign out here", "在此退出登录";
    sign_out_everywhere: "Sign out everywhere", "在所有设备上退出登录";

    // Signing up.
    sign_up: "Sign up", "注册";
    name_hint: "Others see it and mention you by it: letters and digits of any script, with spaces or any of _ - . between them.",
        "别人会看到它，并用它提及你：可用任何文字的字母（含汉字）和数字，中间可以有空格、_、- 或 .";
    taken: "Somebody has this name, or one that looks like it; take another one", "这个用户名或与它相似的用户名已有人使用，请换一个";
    invitation_used_up: "The invitation has just been used up or revoked. Ask whoever gave it to you for another one.",
        "这个邀请刚刚用完或已被撤销。请向邀请人再要一个。";
    too_many_accounts: "Many accounts were made from your address of late. Try again in a few minutes",
        "你的网络地址最近注册了许多账号，请过几分钟再试";
    have_account: "You have an account, and are signed in with it.", "你已有账号，并且已登录。";
    have_account_question: "You have an account?", "已有账号？";
    made_by_administrators: "Accounts are made by the administrators of this server.", "账号由此服务器的管理员创建。";
    takes_invitation: "To make an account here takes an invitation: a link that somebody gives you.",
        "在这里注册需要邀请，也就是别人给你的链接。";
    invitation_over: "This invitation is not good any more. Ask whoever gave it to you for another one.",
        "这个邀请已失效。请向邀请人再要一个。";
    guest_keeps: "What you have written as a guest stays yours.", "你作为访客写下的内容仍归你所有。";

    // Links that say once who somebody is.
    set_up: "Set up this server", "设置此服务器";
    set_up_text: "This server has no administrator yet. Whoever fills this in becomes it.", "此服务器还没有管理员。填写此表的人将成为管理员。";
    choose_password: "Choose a password", "设置密码";
    password_of(handle): "Choose the password of {handle}. All of their devices are signed out.",
        "为 {handle} 设置密码。其所有设备都将退出登录。";
    sign_in_as(handle): "Sign in on this device as {handle}?", "在这台设备上以 {handle} 的身份登录？";
    sign_in_here: "Sign in here", "在此登录";
    sign_in_this_device: "Sign in on this device", "登录这台设备";
    sign_in_other_device: "Sign in on another device", "登录另一台设备";
    open_link: "Open this link on the other device, or read it with its camera. It is good for four hours and for one device.",
        "在另一台设备上打开此链接，或用它的相机扫描。链接四小时内有效，只能用于一台设备。";
    link: "Link", "链接";
    link_is_secret: "Whoever has it can sign in as you: give it to nobody.", "拿到链接的人都能以你的身份登录：不要给任何人。";
    link_as_qr: "The link as a QR code", "链接的二维码";

    // One's own page.
    weak_now: "Your password was changed, and others would guess it soon. A few words that have nothing to do with each other are better",
        "密码已更改，但不久就会被人猜到。用几个互不相干的词更好";
    changed_now: "Your password was changed", "密码已更改";
    others_call_you: "What others call you", "别人怎样称呼你";
    name_card: "Name", "名字";
    second_factor: "Second factor", "两步验证";
    devices: "Devices", "设备";
    your_data: "Your data", "你的数据";
    deactivate: "Deactivate", "停用";
    your_handle: "Your handle", "你的用户名";
    handle_hint: "When you take another one, the one before is nobody else's for 30 days, and yours again when you take it back. You can take another \
            one three times in that time.",
        "更换后，原来的用户名 30 天内不会给别人，你也可以换回来。30 天内最多更换三次。";
    handle_taken: "somebody has this handle or one that looks like it, or had it in the last 30 days; take another one",
        "这个用户名或与它相似的用户名已有人使用，或 30 天内有人用过，请换一个";
    handle_too_often(times, days): "you have taken another handle {times} times in 30 days; the next can be taken in {days} days",
        "你在 30 天内已更换用户名 {times} 次，{days} 天后才能再换";
    changed_too_often(minutes): "You have changed too often how others see you; you can do it again in {minutes} minutes",
        "你更改名字或用户名过于频繁，请在 {minutes} 分钟后再试";
    you_sign_in_as(handle): "You sign in and are mentioned as {handle}.", "你以 {handle} 登录，别人也用它提及你。";
    password_now: "Password now", "当前密码";
    others_signed_out: "All other devices are signed out.", "其他所有设备都将退出登录。";
    change_password: "Change the password", "更改密码";
    factor_on(left): ["It is on. {left} code on paper is left.", "It is on. {left} codes on paper are left."],
        "已开启。还剩 {left} 个纸面备用码。";
    factor_off: "It is off: your password alone signs you in.", "未开启：只凭密码就能登录。";
    change_that: "Change that", "更改";
    fetch_all: "Fetch all that is kept of you", "下载服务器保存的关于你的全部数据";
    as_json_lines: ", as a file of JSON lines.", "（一个 JSON 行文件）。";
    delete_account: "Delete your account", "注销账号";
    deactivation_text: "You are signed out everywhere, and nobody signs in by this account until an administrator lets you. What you wrote \
            stays, and your name with it.",
        "你将在所有设备上退出登录；在管理员恢复之前，没有人能用这个账号登录。你写过的内容和名字都会保留。";
    deactivate_account: "Deactivate the account", "停用账号";
    this_device: "This device", "这台设备";
    sign_it_out: "Sign it out", "让它退出登录";
    device_used(used, signed_in): "used {used}, signed in {signed_in}", "{used}使用，{signed_in}登录";
    sign_out_others: "Sign out all others", "让其他设备全部退出登录";
    days_ago(days): ["{days} day ago", "{days} days ago"], "{days} 天前";
    hours_ago(hours): ["{hours} hour ago", "{hours} hours ago"], "{hours} 小时前";
    minutes_ago(minutes): ["{minutes} minute ago", "{minutes} minutes ago"], "{minutes} 分钟前";
    just_now: "just now", "刚刚";

    // Who may do something to an account.
    last_administrator: "You are the last administrator of this server; make somebody else one first",
        "你是此服务器的最后一位管理员，请先任命另一位管理员";
    other_password_now: "The password that you have now is another one", "当前密码不正确";
    too_many_passwords: "There were too many attempts with a password. Try again in a few minutes", "密码尝试次数过多，请过几分钟再试";

    // Going for good.
    say_what_becomes: "say what becomes of what you wrote", "请选择如何处理你写过的内容";
    heir_nobody: "nobody; an administrator can take it over", "无人；管理员可以接管";
    goes_to(room, heir): "{room} goes to {heir}", "{room} 归 {heir}";
    rooms_get_owner: "The rooms that you own get another owner:", "你是群主的群聊会换群主：";
    what_becomes: "What becomes of what you wrote", "如何处理你写过的内容";
    choose: "Choose", "请选择";
    it_stays: "It stays, as by a former member", "保留，署名为前成员";
    it_goes: "It is deleted, in all rooms", "在所有群聊中删除";
    goes_for_good: "Your account goes for good: its name, password and devices, your reactions, and your place in all rooms. It cannot be \
            undone.",
        "你的账号将永久删除：用户名、密码、设备、你的表情回应，以及你在所有群聊中的成员身份。此操作无法撤销。";
    fetch_before(fetch): "You can {fetch} before.", "在此之前可以{fetch}。";
    fetch_your_data: "fetch your data", "下载你的数据";

    // The second factor.
    wrong_code: "This code is wrong, or was used already. The app shows another one every half minute",
        "验证码不正确或已被使用。应用每半分钟显示一个新的验证码";
    too_many_codes: "There were too many wrong codes. Try again later", "错误的验证码太多，请稍后再试";
    code_hint: "Of your authenticator app; or one of the codes that you have on paper.", "身份验证器应用中的验证码，或一个纸面备用码。";
    of_app: "Of the app.", "应用中的验证码。";
    of_app_or_paper: "Of the app, or on paper.", "应用中的验证码，或一个纸面备用码。";
    took_too_long: "It took too long to sign in, or somebody did so at the same time", "登录用时太久，或同时有人登录";
    sign_in_again: "Sign in again", "重新登录";
    factor_required: "This server requires a second factor of its administrators", "此服务器要求管理员使用两步验证";
    password_alone_now: "Your password alone signs you in from now on.", "从现在起只凭密码就能登录。";
    factor_is_on: "The second factor is on. When your app is lost, each of these codes signs you in once. Print them or write them down now: \
            nobody can show them again.",
        "两步验证已开启。如果丢失了应用，下面每个备用码可以登录一次。请现在打印或抄写下来：以后不会再显示。";
    have_them: "I have them", "已保存";
    factor_text: "With a second factor your password alone signs nobody in: it takes a code that an app on your phone shows, too.",
        "开启两步验证后，只凭密码无法登录：还需要手机应用显示的验证码。";
    set_it_up: "Set it up", "开始设置";
    read_key: "Have your authenticator app read this code, or type the key into it. Then type the six digits that it shows.",
        "用身份验证器应用扫描此二维码，或把密钥输入应用，然后填写应用显示的六位数字。";
    key: "Key", "密钥";
    key_as_qr: "The key as a QR code", "密钥的二维码";
    switch_on: "Switch it on", "开启";
    switch_off: "Switch it off", "关闭";
    other_codes: "Other codes on paper", "换一组纸面备用码";
    codes_left(left): ["{left} code on paper is left.", "{left} codes on paper are left."], "还剩 {left} 个纸面备用码。";
    factor_on_card: "The second factor is on", "两步验证已开启";
}
