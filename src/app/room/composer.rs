//! Where a message is written, and where one that was said is said differently.
//!
//! An edit that waits, since it was left for another one or refused, does not come into the composer by itself, which may hold
//! something else: a notice above offers it.

use leptos::{either::Either, ev, prelude::*};

use super::{
    Editing, Edits,
    actions::{Actions, come_back},
};
use crate::{
    app::{
        Client, Intent, RoomLink,
        components::clock,
        live::{click, effect, live, memo, text, when},
        words::words,
    },
    locales::room as say,
    wire::{Act, Key, MessageId, Text, beginning},
};

/// A form that sends by itself when there is no script; with one, it asks the browser. While a message is edited, the draft waits.
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
    let use_touch = use_context::<Client>().map(|client| client.touch);
    let is_editing = memo(move || link.edits.with(|edits| edits.open().is_some()));
    let is_alive = move || link.ask.with_value(Option::is_some);
    let done = move || match link.edits.with_untracked(|edits| edits.open().cloned()) {
        Some(editing) => save(link, actions, longest, editing),
        None => send(link, longest),
    };
    keep_the_draft(link, use_touch);
    // What the form sent in vain stays in sight, though it cannot be sent.
    let stays = entered.is_some();
    let is_barred = memo(move || link.may().with(|may| !may.post));
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
            // One key must not lose what was written.
            "Escape" if is_editing.get_untracked() => {
                link.edits.update(Edits::leave);
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
            if is_editing.get_untracked() {
                link.edits.update(|edits| edits.write(composer.value()));
            } else {
                link.request(Intent::Draft(composer.value()));
            }
        }
    };
    view! {
        <form class="composer" method="post" action=here hidden=live(move || is_barred.get() && !stays) on:submit=submit>
            <UnsavedEdit link touch=use_touch />
            <EditingBar link is_editing />
            <input type="hidden" name="key" value=form_key.to_string() />
            <label class="visually-hidden" for="text">
                {say::message_to(name)}
            </label>
            <textarea
                id="text"
                name="text"
                rows="1"
                required=live(move || !is_editing.get())
                dir="auto"
                autocomplete="off"
                placeholder=say::message()
                aria-describedby="editing composer-hint"
                inner_html=entered.map(|text| words(&text))
                node_ref=link.composer
                on:keydown=keydown
                on:input=input
            ></textarea>
            <button type="submit" class="send" inner_html=text(move || if is_editing.get() { say::save() } else { say::send() })></button>
            <Hint is_editing problem />
        </form>
    }
}

/// Says why the reader may not write, and what would help; in place of the composer. The line is there from the first on, so that it is read
/// out when it says so.
#[component]
pub(super) fn Barred(link: RoomLink) -> impl IntoView {
    let (is_guest, group) = link.about.with_value(|about| (about.you.handle.is_none(), about.group.clone()));
    let said = move || {
        let mut html = link.may().with(|may| may.message.as_deref().map(words)).unwrap_or_default();
        if html.is_empty() {
            return html;
        }
        if let Some(until) = link.may().with(|may| may.until) {
            html = format!("{html} {}", say::barred_until(clock(until, |_| 0, true).html()));
        }
        if is_guest {
            html = format!("{html} <a href=\"/login?next=/room/{group}/\">{}</a>", say::sign_in());
        }
        if let Some(problem) = link.problem.get() {
            html = format!("{html} <span class=\"mistake\">{}</span>", words(&problem));
        }
        html
    };
    view! { <p class="barred" role="status" inner_html=text(said)></p> }
}

/// Says what is written.
fn send(link: RoomLink, longest: usize) {
    let Some(composer) = link.composer.get_untracked() else { return };
    let Ok(text) = Text::written(&composer.value()).map(Text::into_string) else { return };
    if !fits(link, longest, &text) {
        return;
    }
    composer.set_value("");
    link.request(Intent::Draft(String::new()));
    link.request(Intent::Send(text));
    // A button that was clicked has the focus now; the next message is written here.
    let _ = composer.focus();
}

/// Has a message say what is written; whether it is to say nothing at all is asked first.
fn save(link: RoomLink, actions: Actions, longest: usize, Editing { message, before, refused, .. }: Editing) {
    let Some(composer) = link.composer.get_untracked() else { return };
    let Ok(text) = Text::written(&composer.value()).map(Text::into_string) else {
        return actions.ask_delete(message, &before);
    };
    if refused.is_none() && text == before {
        cancel(link);
    } else if fits(link, longest, &text) {
        link.edits.update(|edits| edits.finish(&message));
        link.request(Intent::Act(Act::Edit { message, text }));
    }
}

/// Leaves a message as it is and goes on with the draft.
fn cancel(link: RoomLink) {
    link.edits.update(Edits::cancel);
}

/// Whether the server takes a text of this length; says so where it does not.
fn fits(link: RoomLink, longest: usize, text: &str) -> bool {
    let fits = text.len() <= longest;
    link.problem.set((!fits).then(|| say::too_long(text.len(), longest)));
    fits
}

/// Says that the composer holds a message that was said. The line is there from the first on, so that it is read out when it says so.
#[component]
fn EditingBar(link: RoomLink, is_editing: Memo<bool>) -> impl IntoView {
    view! {
        <div class="editing" class:on=live(move || is_editing.get())>
            <span id="editing" role="status" inner_html=text(move || if is_editing.get() { say::editing() } else { "" })></span>
            {when(move || is_editing.get(), move || {
                view! {
                    <button type="button" class="quiet" on:click=click(move |_| cancel(link))>
                        {say::cancel()}
                    </button>
                }
            })}
        </div>
    }
}

/// Says that an edit is not saved, the first of those that the reader has not decided on, and offers what was written. Nothing that is
/// being written is touched. As above, the line is there from the first on. What would be the second half of a double click, or a key that is
/// held down, is no decision on the next: the keyboard goes on to where something is written.
#[component]
fn UnsavedEdit(link: RoomLink, touch: Option<fn() -> bool>) -> impl IntoView {
    // With how many there are.
    let first = memo(move || {
        link.edits.with(|edits| {
            // Of a message that is about to go, nothing is asked.
            let stays = |editing: &&Editing| link.state.with(|state| !state.feed().deletes(&editing.message));
            let mut waiting = edits.waiting().filter(stays);
            Some((waiting.next()?.clone(), 1 + waiting.count()))
        })
    });
    let there_is = memo(move || first.with(Option::is_some));
    let was_refused = move || first.with(|first| first.as_ref().is_some_and(|(editing, _)| editing.refused.is_some()));
    let said = move || {
        first.get().map(|(Editing { text, refused, .. }, count)| {
            let is_mistake = refused.is_some();
            let problem = refused.map_or_else(|| say::not_saved_yet().to_owned(), |reason| not_saved(&reason));
            let which = if count > 1 { say::one_of(count) } else { String::new() };
            view! {
                <span class:mistake=is_mistake inner_html=words(&problem)></span>
                " "
                <span inner_html=which></span>
                <q dir="auto" inner_html=words(&beginning(&text))></q>
            }
        })
    };
    let decide = move |event: &ev::MouseEvent, act: fn(&mut Edits, &MessageId)| {
        let message = first.with_untracked(|first| first.as_ref().map(|(editing, _)| editing.message.clone()));
        if let Some(message) = message.filter(|_| is_first_click(event)) {
            link.edits.update(|edits| act(edits, &message));
        }
    };
    let discard = move |event: ev::MouseEvent| {
        decide(&event, Edits::finish);
        if is_first_click(&event) {
            // The button may go, whatever comes next, and what is pressed again is not meant for the next.
            come_back(link, touch);
        }
    };
    view! {
        <div
            class="unsaved"
            class:on=live(move || there_is.get())
            role=live(move || there_is.get().then_some("group"))
            aria-label=live(move || there_is.get().then_some(say::edit_not_saved()))
        >
            <p id="unsaved" role="status">
                {said}
            </p>
            {when(move || there_is.get(), move || {
                view! {
                    <span class="choice">
                        <button
                            type="button"
                            class="quiet"
                            aria-describedby="unsaved"
                            on:click=click(move |event| decide(&event, Edits::again))
                            inner_html=text(move || if was_refused() { say::edit_again() } else { say::go_on() })
                        ></button>
                        <button type="button" class="quiet" aria-describedby="unsaved" on:click=click(discard)>
                            {say::discard()}
                        </button>
                    </span>
                }
            })}
        </div>
    }
}

/// Not the second half of a double click. One that a key makes counts as none.
fn is_first_click(event: &ev::MouseEvent) -> bool {
    event.detail() <= 1
}

/// What is said of an edit that the server did not make.
fn not_saved(reason: &str) -> String {
    say::not_saved(reason)
}

/// What went wrong, or else which keys there are.
#[component]
fn Hint(is_editing: Memo<bool>, problem: RwSignal<Option<String>>) -> impl IntoView {
    let keys = move || {
        if is_editing.get() { say::keys_save() } else { say::keys_send() }
    };
    view! {
        <p id="composer-hint" class="hint">
            {live(move || match problem.get() {
                Some(problem) => Either::Left(view! { <span class="mistake" role="alert" inner_html=words(&problem)></span> }),
                None => Either::Right(view! { <span class="keys" inner_html=text(keys)></span> }),
            })}
            <span class="scriptless">{say::scriptless()}</span>
        </p>
    }
}

/// Puts what is edited into the composer, and afterwards what was there before; says there too why it was refused.
fn keep_the_draft(link: RoomLink, touch: Option<fn() -> bool>) {
    let draft = StoredValue::new(String::new());
    let open = memo(move || {
        link.edits.with(|edits| edits.open().map(|Editing { message, refused, .. }| (message.clone(), refused.clone())))
    });
    let mut before: Option<MessageId> = None;
    effect(move || {
        let (now, refused) = open.get().unzip();
        let refused = refused.flatten();
        let is_other = now != before;
        if is_other || refused.is_some() {
            link.problem.set(refused.map(|reason| not_saved(&reason)));
        }
        if let Some(composer) = link.composer.get_untracked().filter(|_| is_other) {
            if before.is_none() {
                draft.set_value(composer.value());
            }
            let text = link.edits.with_untracked(|edits| edits.open().map(|editing| editing.text.clone()));
            composer.set_value(&text.unwrap_or_else(|| draft.get_value()));
            // What was chosen in the list, or pressed, is written here; but a touch keyboard comes only when there is something to write.
            if now.is_some() || !touch.is_some_and(|touch| touch()) {
                let _ = composer.focus();
            }
        }
        before = now;
    });
}
