//! Confab: a real-time group server and its web application.
//!
//! - [`wire`]: what crosses the network; knows nobody.
//! - `locales`: what is said to people, in each language; knows `wire`.
//! - [`app`]: what people see; knows `locales` and `wire`. Rendered by the server, hydrated in the browser.
//! - `browser`: the connection, the reader's place, drafts; WebAssembly only; knows `app` and `wire`.
//! - `server`: sockets, rooms, the store, the channel layer; knows `app` and `wire`.

// Leptos nests the types of its views; the compiler asks for more room.
#![recursion_limit = "512"]

// What tests of other crates have stands in tests of this one as well.
#[cfg(test)]
extern crate self as confab;

pub mod app;
mod locales;
pub mod wire;

#[cfg(all(feature = "hydrate", target_arch = "wasm32"))]
mod browser;
#[cfg(feature = "ssr")]
pub mod server;

/// Reads what the page was rendered from; `app/start.js` calls it first, and then those below.
#[cfg(all(feature = "hydrate", target_arch = "wasm32"))]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn prepare() {
    browser::prepare();
}

/// Makes the page alive, a part of it each time; false when all of it is.
#[cfg(all(feature = "hydrate", target_arch = "wasm32"))]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() -> bool {
    browser::hydrate()
}

/// Makes all of the page alive at once where it is not as the server has rendered it: renders it anew.
#[cfg(all(feature = "hydrate", target_arch = "wasm32"))]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn render() {
    browser::render();
}
