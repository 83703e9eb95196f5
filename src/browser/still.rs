//! A page that the server alone renders. It does not change; only its times are shown by the reader's clock.

use leptos::prelude::document;
use wasm_bindgen::JsCast as _;
use web_sys::Element;

use super::{markup::merge, zone};
use crate::{app::clock, wire::Timestamp};

/// Those that the selector finds.
pub(super) fn show_times(which: &str) {
    let Ok(times) = document().query_selector_all(which) else { return };
    for time in (0..times.length()).filter_map(|at| times.item(at)?.dyn_into::<Element>().ok()) {
        let at = time.get_attribute("datetime").and_then(|at| at.parse::<Timestamp>().ok());
        if let Some(at) = at {
            merge(&time, &clock(at, |_| 0, true), &clock(at, zone, true));
        }
    }
}
