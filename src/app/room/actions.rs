//! What can be done to a message: one menu and one question for the whole page, which rows open for themselves.
//!
//! The menu is a popover of the browser's own. It belongs to the button that opened it: it stands beside it, closes on Escape and on
//! a click elsewhere, and gives the keyboard back to it.

use leptos::{ev, html, prelude::*, wasm_bindgen::JsCast, web_sys};

use super::{RoomState, RowKey, reactions::EMOJI};
use crate::{
    app::{
        Client, Intent, RoomLink, first_word,
        live::{click, effect, live, memo, text, when},
        words::words,
    },
    locales::{Text, room as say},
    wire::{Act, Emoji, MessageId, Offset, beginning},
};

/// The id of the menu's element.
pub const MENU: &str = "actions";

/// The usual reactions, and what they are called.
const USUAL: [(&str, Text); 8] = [
    ("👍", say::thumbs_up),
    ("❤️", say::heart),
    ("😂", say::tears_of_joy),
    ("🎉", say::celebration),
    ("😮", say::surprise),
    ("😢", say::sadness),
    ("🙏", say::thanks),
    ("👀", say::looking),
];

/// The way from rows and composer to the menu and the question.
#[derive(Clone, Copy)]
pub(super) struct Actions {
    room: StoredValue<RoomLink>,
    me: StoredValue<String>,
    /// The row that the menu is for.
    row: RwSignal<Option<RowKey>>,
    menu: NodeRef<html::Div>,
    /// What is to be deleted if the reader says so, and how it begins.
    deleting: RwSignal<Option<(MessageId, String)>>,
}

impl Actions {
    pub(super) fn new(link: RoomLink) -> Self {
        Self {
            room: StoredValue::new(link),
            me: StoredValue::new(link.about.with_value(|about| about.you.id.clone())),
            row: RwSignal::new(None),
            menu: NodeRef::new(),
            deleting: RwSignal::new(None),
        }
    }

    fn link(self) -> RoomLink {
        self.room.get_value()
    }

    /// Something in the list of messages was pressed.
    pub(super) fn pressed(self, event: &ev::MouseEvent, touch: Option<fn() -> bool>) {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        let Some(button) = target.and_then(|target| closest(&target, ".message button")) else { return };
        let Some(row) = closest(&button, ".message") else { return };
        let Some(key) = self.link().state.with_untracked(|state| key_of(&row, state)) else { return };
        match first_word(&button.class_name()) {
            "act" => self.is_opened_for(&key),
            "fold" => self.link().request(Intent::Fold(key)),
            "retry" => self.link().request(Intent::Retry(key)),
            "discard" => self.link().request(Intent::Discard(key)),
            "reaction" => {
                let Some(emoji) = button.get_attribute(EMOJI).and_then(|emoji| emoji.parse().ok()) else { return };
                self.react(&key, emoji, button.get_attribute("aria-pressed").as_deref() != Some("true"));
                if is_by_pointer(event) {
                    // A reaction is put in passing.
                    come_back(self.link(), touch);
                } else if !button.is_connected() {
                    focus(row.query_selector(".act").ok().flatten());
                }
            }
            _ => {}
        }
    }

    /// A row's button was pressed, which opens the menu, or closes it where it is open for this row.
    fn is_opened_for(self, key: &RowKey) {
        if self.row.with_untracked(|row| row.as_ref().is_some_and(|row| row != key)) {
            // For another one: it is closed, and the press opens it anew.
            self.close();
        }
        self.row.set(Some(key.clone()));
    }

    /// Puts a reaction to the message of a row, or takes it away.
    pub(super) fn react(self, key: &RowKey, emoji: Emoji, on: bool) {
        if let Some((message, _)) = self.said(key) {
            self.act(Act::React { message, emoji, on });
        }
    }

    /// Has something done to a message.
    fn act(self, act: Act) {
        self.link().problem.set(None);
        self.link().request(Intent::Act(act));
    }

    /// Puts the message of a row into the composer.
    pub(super) fn edit(self, key: &RowKey) {
        if let Some((message, text)) = self.said(key) {
            self.link().edits.update(|edits| edits.begin(message, text));
            // Where it is there already nothing changes, and it is written there all the same.
            focus(self.link().composer.get_untracked().map(Into::into));
        }
    }

    /// Puts the last message of the reader's own into the composer; false where there is none.
    pub(super) fn edit_last(self) -> bool {
        let last = |me: &String| {
            self.link().state.with_untracked(|state| {
                // One that is on its way is the last, and cannot be edited yet.
                let is_under_way = state.rows().iter().any(|row| row.from.id == *me && row.offset.is_none());
                state.last_said_by(me).filter(|_| !is_under_way).map(|row| row.key.clone())
            })
        };
        let last = self.me.with_value(last);
        if let Some(key) = &last {
            self.edit(key);
        }
        last.is_some()
    }

    /// Asks whether a message that says this is to be deleted.
    pub(super) fn ask_delete(self, message: MessageId, text: &str) {
        self.deleting.set(Some((message, beginning(text))));
    }

    fn said(self, key: &RowKey) -> Option<(MessageId, String)> {
        self.link().state.with_untracked(|state| {
            let row = state.row(key)?;
            Some((state.id(row)?, state.content(row).text.clone()))
        })
    }

    fn close(self) {
        if let Some(menu) = self.menu.get_untracked() {
            // Where it is closed already there is nothing to do.
            let _ = menu.hide_popover();
        }
    }

    /// Closes the menu and gives the row that it was for.
    fn take(self) -> Option<RowKey> {
        let row = self.row.get_untracked();
        self.close();
        row
    }
}

/// Which row an element is.
fn key_of(row: &web_sys::Element, state: &RoomState) -> Option<RowKey> {
    match row.id().strip_prefix("message-") {
        Some(offset) => state.key_at(offset.parse().ok().map(Offset)?).cloned(),
        None => Some(RowKey::new(&row.get_attribute("data-author")?, &row.get_attribute("data-key")?)),
    }
}

fn closest(element: &web_sys::Element, selector: &str) -> Option<web_sys::Element> {
    element.closest(selector).ok().flatten()
}

/// Gives the keyboard to an element.
pub(super) fn focus(element: Option<web_sys::Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_into::<web_sys::HtmlElement>().ok()) {
        // An element that cannot take it leaves it where it is.
        let _ = element.focus();
    }
}

/// Whether it was done with a pointer: then the keyboard is not where the reader looks, and writing is what it is for. A click that a key
/// makes counts none.
fn is_by_pointer(event: &ev::MouseEvent) -> bool {
    event.detail() > 0
}

/// Gives the keyboard to the composer, when the button that had it is gone; to the log where a keyboard on a touch screen would come up.
pub(super) fn come_back(link: RoomLink, touch: Option<fn() -> bool>) {
    if touch.is_none_or(|touch| !touch()) {
        focus(link.composer.get_untracked().map(Into::into));
    } else {
        focus(link.log.get_untracked().map(Into::into));
    }
}

/// Up and down lead from the button of one row to that of the next: for Tab, all of them are one stop.
pub(super) fn step(event: &ev::KeyboardEvent) {
    let up = match event.key().as_str() {
        "ArrowUp" => true,
        "ArrowDown" => false,
        _ => return,
    };
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let button = target.filter(|target| target.matches(".act").unwrap_or(false));
    let mut row = button.and_then(|button| closest(&button, ".message"));
    while let Some(here) = row {
        row = if up { here.previous_element_sibling() } else { here.next_element_sibling() };
        let next = row.as_ref().and_then(|row| row.query_selector(".act").ok().flatten());
        if next.is_some() {
            event.prevent_default();
            focus(next);
            return;
        }
    }
}

/// The menu, with what is usual for everybody and what is for the message's author.
#[component]
pub(super) fn ActionMenu(actions: Actions) -> impl IntoView {
    let Actions { me, row, menu, .. } = actions;
    let state = actions.link().state;
    let is_mine = memo(move || {
        row.with(|row| {
            row.as_ref()
                .is_some_and(|row| state.with(|state| state.row(row).is_some_and(|row| me.with_value(|me| row.from.id == *me))))
        })
    });
    let may = actions.link().may();
    let deletes = memo(move || is_mine.get() || may.with(|may| may.moderate));
    let edits = memo(move || is_mine.get() && may.with(|may| may.react));
    let reacts = memo(move || may.with(|may| may.react));
    // Which of the usual reactions the reader has put.
    let put = memo(move || {
        let has = |emoji: &str| {
            let row = row.get()?;
            let emoji: Emoji = emoji.parse().ok()?;
            state.with(|state| {
                let (_, mine) = state.shown(state.row(&row)?);
                Some(mine.contains(&emoji))
            })
        };
        USUAL.map(|(emoji, _)| has(emoji).unwrap_or(false))
    });
    let touch = use_context::<Client>().map(|client| client.touch);
    let react = move |at: usize, event: &ev::MouseEvent| {
        if let (Some(row), Ok(emoji)) = (actions.take(), USUAL[at].0.parse()) {
            let on = !put.get_untracked()[at];
            actions.react(&row, emoji, on);
            if is_by_pointer(event) {
                come_back(actions.link(), touch);
            }
        }
    };
    let edit = move |_| {
        if let Some(row) = actions.take() {
            actions.edit(&row);
        }
    };
    let delete = move |_| {
        if let Some((message, text)) = actions.take().and_then(|row| actions.said(&row)) {
            actions.ask_delete(message, &text);
        }
    };
    let toggled = move |_| {
        let Some(menu) = menu.get_untracked() else { return };
        if menu.matches(":popover-open").unwrap_or(false) {
            focus(menu.query_selector("button").ok().flatten());
        } else {
            row.set(None);
        }
    };
    view! {
        <div
            id=MENU
            class="actions"
            popover="auto"
            role="group"
            aria-label=say::actions()
            node_ref=menu
            on:toggle=toggled
            on:keydown=move |event| walk(menu, &event)
        >
            <div class="usual" role="group" aria-label=say::react() hidden=live(move || !reacts.get())>
                {USUAL
                    .iter()
                    .enumerate()
                    .map(|(at, (emoji, name))| {
                        view! {
                            <button
                                type="button"
                                aria-label=name()
                                title=name()
                                aria-pressed=live(move || if put.get()[at] { "true" } else { "false" })
                                on:click=click(move |event| react(at, &event))
                            >
                                {*emoji}
                            </button>
                        }
                    })
                    .collect_view()}
            </div>
            <Unread actions />
            {when(move || edits.get(), move || {
                view! {
                    <button type="button" class="quiet" on:click=click(edit)>
                        {say::edit()}
                    </button>
                }
            })}
            {when(move || deletes.get(), move || {
                view! {
                    <button type="button" class="quiet danger" on:click=click(delete)>
                        {say::delete()}
                    </button>
                }
            })}
        </div>
    }
}

/// Has a message, and what comes after it, be unread again.
#[component]
fn Unread(actions: Actions) -> impl IntoView {
    let touch = use_context::<Client>().map(|client| client.touch);
    let unread = move |event: ev::MouseEvent| {
        if let Some(row) = actions.take() {
            actions.link().request(Intent::Unread(row));
            if is_by_pointer(&event) {
                come_back(actions.link(), touch);
            }
        }
    };
    view! {
        <button type="button" class="quiet" on:click=click(unread)>
            {say::mark_unread()}
        </button>
    }
}

/// In the menu, arrow keys lead from one button to the next, and from the last to the first.
fn walk(menu: NodeRef<html::Div>, event: &ev::KeyboardEvent) {
    let forwards = match event.key().as_str() {
        "ArrowRight" | "ArrowDown" => true,
        "ArrowLeft" | "ArrowUp" => false,
        _ => return,
    };
    let Some(buttons) = menu.get_untracked().map(|menu| menu.get_elements_by_tag_name("button")) else { return };
    let target = event.target();
    let here = (0..buttons.length()).find(|at| buttons.item(*at).map(web_sys::EventTarget::from) == target);
    if let Some(here) = here {
        event.prevent_default();
        let by = if forwards { 1 } else { buttons.length() - 1 };
        focus(buttons.item((here + by) % buttons.length()));
    }
}

/// The question before a message is deleted.
#[component]
pub(super) fn DeleteQuestion(actions: Actions) -> impl IntoView {
    let (link, deleting) = (actions.link(), actions.deleting);
    let question = NodeRef::<html::Dialog>::new();
    let cancel = NodeRef::<html::Button>::new();
    let touch = use_context::<Client>().map(|client| client.touch);
    effect(move || {
        if let (true, Some(question)) = (deleting.with(Option::is_some), question.get_untracked()) {
            // It cannot be open: it is asked once at a time.
            let _ = question.show_modal();
            focus(cancel.get_untracked().map(Into::into));
        }
    });
    let close = move || {
        if let Some(question) = question.get_untracked() {
            question.close();
        }
    };
    let confirm = move |_| {
        let Some((message, _)) = deleting.get_untracked() else { return };
        close();
        // What was written in its place is of use should the server refuse.
        link.edits.update(|edits| edits.close(&message));
        actions.act(Act::Delete { message });
        // The button that opened the menu is gone.
        come_back(link, touch);
    };
    view! {
        <dialog class="question" aria-labelledby="question" node_ref=question on:close=move |_| deleting.set(None)>
            <h2 id="question">{say::delete_question()}</h2>
            <p
                class="beginning"
                dir="auto"
                inner_html=text(move || deleting.with(|deleting| deleting.as_ref().map(|(_, text)| words(text)).unwrap_or_default()))
            ></p>
            <div class="choice">
                <button type="button" class="plain" node_ref=cancel on:click=click(move |_| close())>
                    {say::cancel()}
                </button>
                <button type="button" class="danger" on:click=click(confirm)>
                    {say::delete()}
                </button>
            </div>
        </dialog>
    }
}
