//! The topic `me`: what concerns the reader, on whichever of their pages it came about.
//!
//! Another page, which was shown anew for it, has taken a new name. A connection goes on as whom it was made for, so it is made once more. The
//! others hear of the name before the browser has the cookie with it, so that may have to be done again.
//!
//! What is announced to all comes here, too.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use gloo_net::http::Request;
use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::{
    spawn, text,
    topic::{Subscriber, Topics},
};
use crate::{
    app::{Feed, Gap, Reducer},
    wire::{self, CommandError, Event, Joined, Offset, Person, Position, Push, State, Topic},
};

/// How soon the connection is made once more, in milliseconds; each time twice as late as before.
const AGAIN: u32 = 250;
/// How often, where the name does not come: the browser may take no cookies.
const TRIES: u32 = 4;

/// Has the page know what its reader is called, which `called` is; `list` is done when the list of their rooms may be another one, and `read`
/// when they have read a room on another page.
pub(super) fn subscribe(
    topics: &Rc<Topics>,
    called: RwSignal<String>,
    list: Option<Rc<dyn Fn()>>,
    read: Option<Rc<dyn Fn(ReadElsewhere)>>,
) {
    let me = Me { topics: Rc::clone(topics), called, list, read, tries: Rc::default(), news: RefCell::default() };
    topics.subscribe(Topic::Me, Rc::new(me));
}

struct Me {
    topics: Rc<Topics>,
    called: RwSignal<String>,
    list: Option<Rc<dyn Fn()>>,
    read: Option<Rc<dyn Fn(ReadElsewhere)>>,
    /// How often the connection is still made for a name that another page has taken.
    tries: Rc<Cell<u32>>,
    news: RefCell<News>,
}

/// What there is to know.
#[derive(Default)]
struct News {
    feed: Feed,
    name: Option<String>,
    read: Vec<ReadElsewhere>,
}

/// Up to where a room was read on another page.
#[derive(Deserialize)]
pub(super) struct ReadElsewhere {
    pub(super) topic: Topic,
    pub(super) up_to: Position,
    /// What comes after that is unread again.
    pub(super) back: bool,
}

impl Reducer for News {
    fn feed(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// The welcome says what the reader is called.
    fn snapshot(&mut self, _: bool, _: State) {}

    fn event(&mut self, _: Option<Offset>, event: Event) {
        match event {
            Event::Renamed(renamed) => self.name = Some(renamed.name),
            Event::Other(map) => match map.get("type").and_then(Value::as_str) {
                Some("announced") => show_what_is_announced(),
                Some("read") => self.read.extend(wire::read::<ReadElsewhere>(&Value::Object(map))),
                _ => {}
            },
            _ => {}
        }
    }
}

/// Shows at the head of the page what is announced to all, or that the server is read-only, as the server says it.
fn show_what_is_announced() {
    spawn(async {
        let html = text(Request::get("/banner")).await;
        if let (Some(html), Some(banner)) = (html, document().get_element_by_id("banner"))
            && banner.inner_html() != html
        {
            banner.set_inner_html(&html);
        }
    });
}

impl Me {
    fn look(&self) {
        let read = std::mem::take(&mut self.news.borrow_mut().read);
        if !read.is_empty() {
            // Their numbers are others.
            self.list_changed();
        }
        if let Some(hear) = &self.read {
            for read in read {
                hear(read);
            }
        }
        let name = self.news.borrow_mut().name.take();
        if let Some(name) = name.filter(|name| self.called.with_untracked(|called| called != name)) {
            self.called.set(name);
            self.tries.set(TRIES);
            self.renew();
        }
    }

    fn list_changed(&self) {
        if let Some(list) = &self.list {
            list();
        }
    }

    fn renew(&self) {
        let (topics, tries) = (Rc::clone(&self.topics), Rc::clone(&self.tries));
        let wait = AGAIN << (TRIES - tries.get());
        tries.set(tries.get() - 1);
        spawn(async move {
            TimeoutFuture::new(wait).await;
            topics.line().renew();
        });
    }
}

impl Subscriber for Me {
    fn welcomed(&self, you: &Person) -> bool {
        if self.called.with_untracked(|called| *called == you.name) {
            self.tries.set(0);
        } else if self.tries.get() > 0 {
            self.renew();
        } else {
            self.called.set(you.name.clone());
        }
        true
    }

    fn since(&self) -> Option<Position> {
        self.news.borrow().feed.position().cloned()
    }

    fn joined(&self, at: Joined, state: State) {
        self.news.borrow_mut().joined(at, state);
        self.look();
        self.list_changed();
    }

    /// The name is not told then; the next connection is made with it.
    fn not_joined(&self, _: CommandError) {}

    fn pushed(&self, push: Push) -> Result<(), Gap> {
        if matches!(push.event, Event::Changed(_)) {
            self.list_changed();
        }
        let taken = self.news.borrow_mut().pushed(push);
        self.look();
        taken
    }
}
