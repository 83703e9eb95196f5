//! What the components must know of the browser.

use leptos::prelude::use_context;

/// The browser in which a page is alive; in the context of the page, or not there at all.
#[derive(Clone, Copy)]
pub struct Client {
    /// The page is rendered anew, and has nothing of what the server had rendered.
    pub anew: bool,
    /// The reader has a touch screen and nothing more precise.
    pub touch: fn() -> bool,
}

/// Whether what is inert is rendered here: on the server, and where the page is rendered anew. Else it is on the page already.
pub(super) fn renders() -> bool {
    use_context::<Client>().is_none_or(|client| client.anew)
}
