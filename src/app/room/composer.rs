//! Where a message is written.

use leptos::{ev, prelude::*};

use crate::{
    app::{Intent, Outside, RoomLink},
    wire::Key,
};

/// A form that sends by itself when there is no script; with one, it asks the outside.
#[component]
pub(super) fn Composer(
    link: RoomLink,
    name: String,
    here: String,
    form_key: Key,
    longest: usize,
    mistake: Option<(String, String)>,
) -> impl IntoView {
    // What the form sent in vain; the text stands in the area so that it is not lost.
    let (refused, entered) = mistake.unzip();
    let problem = RwSignal::new(refused);
    let use_touch = use_context::<Outside>().map(|outside| outside.touch);
    let send = move || {
        let Some(composer) = link.composer.get_untracked() else { return };
        let text = composer.value();
        if text.trim().is_empty() {
            return;
        }
        if text.len() > longest {
            problem.set(Some(format!("This is {} bytes long; a message is at most {longest}.", text.len())));
            return;
        }
        problem.set(None);
        composer.set_value("");
        link.request(Intent::Draft(String::new()));
        link.request(Intent::Send(text));
        // A button that was clicked has the focus now; the next message is written here.
        let _ = composer.focus();
    };
    let submit = move |event: ev::SubmitEvent| {
        if link.ask.with_value(Option::is_some) {
            event.prevent_default();
            send();
        }
    };
    let keydown = move |event: ev::KeyboardEvent| {
        // 229: Safari ends a composition before the key that ended it arrives.
        let composing = event.is_composing() || event.key_code() == 229;
        let modified = event.shift_key() || event.alt_key();
        // On a touch keyboard there is no Shift+Enter; there Enter is a new line and the button sends.
        let touch = use_touch.is_some_and(|touch| touch());
        if event.key() == "Enter" && !composing && !modified && !touch && link.ask.with_value(Option::is_some) {
            event.prevent_default();
            send();
        }
    };
    let input = move |_| {
        if let Some(composer) = link.composer.get_untracked() {
            problem.set(None);
            link.request(Intent::Draft(composer.value()));
        }
    };
    view! {
        <form class="composer" method="post" action=here on:submit=submit>
            <input type="hidden" name="key" value=form_key.to_string() />
            <label class="visually-hidden" for="text">
                {format!("Message to {name}")}
            </label>
            <textarea
                id="text"
                name="text"
                rows="1"
                required
                dir="auto"
                autocomplete="off"
                placeholder="Message"
                aria-describedby="composer-hint"
                inner_html=entered.map(|text| escaped(&text))
                node_ref=link.composer
                on:keydown=keydown
                on:input=input
            ></textarea>
            <button type="submit" class="send">
                "Send"
            </button>
            <p id="composer-hint" class="hint">
                {move || match problem.get() {
                    Some(problem) => view! { <span class="mistake" role="alert">{problem}</span> }.into_any(),
                    None => view! { <span class="keys">"Enter sends, Shift+Enter is a new line"</span> }.into_any(),
                }}
                <span class="scriptless">"Times are in UTC. Reload the page to see what is new."</span>
            </p>
        </form>
    }
}

/// Text as the content of an element. Leptos 0.8 writes the children of a `textarea` as they are, which would let a text with
/// `</textarea>` in it break out.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
