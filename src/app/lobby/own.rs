//! The rooms of who is signed in: those of which they are a member. They stand above the list that is the same for all.

use leptos::prelude::*;

use crate::app::page::{OwnRoom, OwnRooms};

/// As they were when the page was made.
#[component]
pub(super) fn Own(own: OwnRooms) -> impl IntoView {
    let OwnRooms { rooms, more } = own;
    let rows: Vec<_> = rooms.into_iter().map(|room| view! { <OwnItem room /> }).collect();
    let is_empty = rows.is_empty();
    view! {
        <section class="own">
            <h2>"Yours"</h2>
            {is_empty.then(|| view! { <p>"You are a member of no room yet."</p> })}
            <ul class="rooms">{rows}</ul>
            {more.map(|more| view! { <p><a href=format!("/?own={more}")>"More of yours"</a></p> })}
            <p>
                <a class="button" href="/rooms/new">
                    "Make a room"
                </a>
            </p>
        </section>
    }
}

#[component]
fn OwnItem(room: OwnRoom) -> impl IntoView {
    let OwnRoom { group, title, kind, here } = room;
    let there = if here == 0 { kind } else { format!("{kind} · {here} here") };
    view! {
        <li>
            <a href=format!("/room/{group}/")>
                <span class="name">{title}</span>
                <span class="latest">{there}</span>
            </a>
        </li>
    }
}
