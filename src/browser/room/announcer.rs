//! What a screen reader is told of what comes.

use std::{cell::Cell, rc::Rc};

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;

use crate::{browser::spawn, locales::room as say};

/// How long an announcement stands, in milliseconds.
const SPEAKING: u32 = 2_000;

/// Tells a screen reader what came: the message, or only how many when they come faster than they can be read out. What was
/// told is taken away again, so that it is not found twice by somebody who reads through the page.
#[derive(Clone)]
pub(super) struct Announcer {
    text: RwSignal<String>,
    speaking: Rc<Cell<bool>>,
    untold: Rc<Cell<usize>>,
}

impl Announcer {
    pub(super) fn new(text: RwSignal<String>) -> Self {
        Self { text, speaking: Rc::default(), untold: Rc::default() }
    }

    /// So many messages came; the text is for one alone.
    pub(super) fn came(&self, count: usize, text: Option<String>) {
        self.untold.set(self.untold.get() + count);
        if self.speaking.replace(true) {
            return;
        }
        let (this, mut text) = (self.clone(), text);
        spawn(async move {
            loop {
                let untold = this.untold.replace(0);
                if untold == 0 {
                    break;
                }
                this.text.set(text.take().unwrap_or_else(|| say::new_messages(untold as u64)));
                TimeoutFuture::new(SPEAKING).await;
            }
            this.text.set(String::new());
            this.speaking.set(false);
        });
    }
}
