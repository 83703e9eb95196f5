//! What of a page is made alive at once.
//!
//! A browser compiles each function of a program when it is called first, and lets nothing else happen meanwhile. So a page is made alive part by
//! part, each in a turn of its own. A part is one element of the page, or a few, with all that is in it; what is in none of them the server
//! alone renders, and it does not change.

use leptos::{prelude::RenderHtml, tachys::view::Position, wasm_bindgen::UnwrapThrowExt as _, web_sys::Element};

/// One of the parts of a page, as the server has rendered it.
pub struct Part(Box<dyn FnOnce(&Element)>);

impl Part {
    pub(super) fn new(take_over: impl FnOnce(&Element) + 'static) -> Self {
        Self(Box::new(take_over))
    }

    /// Makes it alive, in this page.
    pub fn take_over(self, page: &Element) {
        self.0(page);
    }
}

/// Makes the one element of a page alive that the server has rendered by this view.
pub(super) fn take_over(page: &Element, selector: &str, view: impl RenderHtml) {
    let element = page.query_selector(selector).ok().flatten().expect_throw("the page has the part");
    // It is alive as long as the page is.
    std::mem::forget(view.hydrate_from_position::<true>(&element, Position::Current));
}
