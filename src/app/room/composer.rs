//! Where a message is written, and where one that was said is said differently.

use leptos::{ev, prelude::*};

use super::{What, Wish, actions::Actions};
use crate::{
    app::{Editing, Intent, Outside, RoomLink},
    wire::Key,
};

/// A form that sends by itself when there is no script; with one, it asks the outside. While a message is edited, the draft waits.
#[component]
pub(super) fn Composer(
    link: RoomLink,
    actions: Actions,
    name: String,
    here: String,
    form_key: Key,
    longest: usize,
    /// What the form sent in vain; the text stands in the area so that it is not lost.
    entered: Option<String>,
) -> impl IntoView {
    let problem = link.problem;
    let use_touch = use_context::<Outside>().map(|outside| outside.touch);
    let is_editing = Memo::new(move |_| link.edits.with(|edits| !edits.is_empty()));
    let is_alive = move || link.ask.with_value(Option::is_some);
    let done = move || match link.edits.with_untracked(|edits| edits.front().cloned()) {
        Some(editing) => save(link, actions, longest, editing),
        None => send(link, longest),
    };
    keep_the_draft(link, use_touch);
    let submit = move |event: ev::SubmitEvent| {
        if is_alive() {
            event.prevent_default();
            done();
        }
    };
    let keydown = move |event: ev::KeyboardEvent| {
        // 229: Safari ends a composition before the key that ended it arrives.
        let composing = event.is_composing() || event.key_code() == 229;
        let modified = event.shift_key() || event.alt_key();
        if composing || modified || !is_alive() {
            return;
        }
        // On a touch keyboard there is no Shift+Enter; there Enter is a new line and the button sends.
        let touch = use_touch.is_some_and(|touch| touch());
        let is_empty = || link.composer.get_untracked().is_some_and(|composer| composer.value().is_empty());
        let heard = match event.key().as_str() {
            // A key that is held down says what is meant once: what it would say next is the draft.
            "Enter" if !touch => {
                if !event.repeat() {
                    done();
                }
                true
            }
            "Escape" if is_editing.get_untracked() => {
                finish(link);
                true
            }
            "ArrowUp" if !is_editing.get_untracked() && is_empty() => actions.edit_last(),
            _ => false,
        };
        if heard {
            event.prevent_default();
        }
    };
    let input = move |_| {
        if let Some(composer) = link.composer.get_untracked() {
            problem.set(None);
            if !is_editing.get_untracked() {
                link.request(Intent::Draft(composer.value()));
            }
        }
    };
    view! {
        <form class="composer" method="post" action=here on:submit=submit>
            <EditingBar link is_editing />
            <input type="hidden" name="key" value=form_key.to_string() />
            <label class="visually-hidden" for="text">
                {format!("Message to {name}")}
            </label>
            <textarea
                id="text"
                name="text"
                rows="1"
                required=move || !is_editing.get()
                dir="auto"
                autocomplete="off"
                placeholder="Message"
                aria-describedby="editing composer-hint"
                inner_html=entered.map(|text| escaped(&text))
                node_ref=link.composer
                on:keydown=keydown
                on:input=input
            ></textarea>
            <button type="submit" class="send">
                {move || if is_editing.get() { "Save" } else { "Send" }}
            </button>
            <Hint is_editing problem />
        </form>
    }
}

/// Says what is written.
fn send(link: RoomLink, longest: usize) {
    let Some(composer) = link.composer.get_untracked() else { return };
    let text = composer.value();
    if text.trim().is_empty() || !fits(link, longest, &text) {
        return;
    }
    composer.set_value("");
    link.request(Intent::Draft(String::new()));
    link.request(Intent::Send(text));
    // A button that was clicked has the focus now; the next message is written here.
    let _ = composer.focus();
}

/// Has a message say what is written; whether it is to say nothing at all is asked first.
fn save(link: RoomLink, actions: Actions, longest: usize, Editing { message, text: before, refused }: Editing) {
    let Some(composer) = link.composer.get_untracked() else { return };
    let text = composer.value();
    if text.trim().is_empty() {
        actions.ask_delete(message, &before);
    } else if refused.is_none() && text == before {
        finish(link);
    } else if fits(link, longest, &text) {
        finish(link);
        link.request(Intent::Change(Wish { message, what: What::Edit(text) }));
    }
}

/// Goes on with what else is being edited, or with the draft.
fn finish(link: RoomLink) {
    link.edits.update(|edits| {
        edits.pop_front();
    });
}

/// Whether the server takes a text of this length; says so where it does not.
fn fits(link: RoomLink, longest: usize, text: &str) -> bool {
    let fits = text.len() <= longest;
    link.problem.set((!fits).then(|| format!("This is {} bytes long; a message is at most {longest}.", text.len())));
    fits
}

/// Says that the composer holds a message that was said. The line is there from the first on, so that it is read out when it says so.
#[component]
fn EditingBar(link: RoomLink, is_editing: Memo<bool>) -> impl IntoView {
    view! {
        <div class="editing" class:on=move || is_editing.get()>
            <span id="editing" role="status">
                {move || is_editing.get().then_some("Editing your message")}
            </span>
            <Show when=move || is_editing.get()>
                <button type="button" class="quiet" on:click=move |_| finish(link)>
                    "Cancel"
                </button>
            </Show>
        </div>
    }
}

/// What went wrong, or else which keys there are.
#[component]
fn Hint(is_editing: Memo<bool>, problem: RwSignal<Option<String>>) -> impl IntoView {
    let keys = move || if is_editing.get() { "Enter saves, Escape cancels" } else { "Enter sends, Shift+Enter is a new line" };
    view! {
        <p id="composer-hint" class="hint">
            {move || match problem.get() {
                Some(problem) => view! { <span class="mistake" role="alert">{problem}</span> }.into_any(),
                None => view! { <span class="keys">{keys}</span> }.into_any(),
            }}
            <span class="scriptless">"Times are in UTC. Reload the page to see what is new."</span>
        </p>
    }
}

/// Puts what is edited into the composer, and afterwards what was there before.
fn keep_the_draft(link: RoomLink, touch: Option<fn() -> bool>) {
    let draft = StoredValue::new(String::new());
    Effect::new(move |before: Option<Option<Editing>>| {
        let before = before.flatten();
        let now = link.edits.with(|edits| edits.front().cloned());
        if let Some(composer) = link.composer.get_untracked().filter(|_| now != before) {
            if before.is_none() {
                draft.set_value(composer.value());
            }
            composer.set_value(&now.as_ref().map_or_else(|| draft.get_value(), |editing| editing.text.clone()));
            let refused = now.as_ref().and_then(|editing| editing.refused.as_ref());
            link.problem.set(refused.map(|reason| format!("Not changed: {reason}")));
            // What was chosen in the list, or pressed, is written here; but a touch keyboard comes only when there is something to write.
            if now.is_some() || !touch.is_some_and(|touch| touch()) {
                let _ = composer.focus();
            }
        }
        now
    });
}

/// Text as the content of an element. Leptos 0.8 writes the children of a `textarea` as they are, which would let a text with
/// `</textarea>` in it break out.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
