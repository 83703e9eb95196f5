//! How `OpenAPI` describes what several operations have: the group in the address, and what they may be refused with.

use std::collections::BTreeMap;

use utoipa::{
    IntoParams, IntoResponses, PartialSchema as _,
    openapi::{
        Content, Ref, RefOr, Required, Response, ResponseBuilder,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

use crate::{server::services::Named, wire::Group};

/// The group in the address.
impl IntoParams for Named {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let group = ParameterBuilder::new().name("group").parameter_in(ParameterIn::Path).required(Required::True);
        vec![group.description(Some("The group's name")).schema(Some(Group::schema())).build()]
    }
}

/// What an operation may be refused with.
macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $statuses:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                // Whatever is asked for, the server is asked for by one of its names, and not too often.
                $statuses.iter().chain(&[421, 429]).map(|status: &u16| (status.to_string(), refusal(*status).into())).collect()
            }
        }
    )*};
}

refusals! {
    /// What everybody may ask.
    ToEverybody = [];
    /// What is asked of all rooms.
    OfAll = [400, 401, 403, 503];
    /// What is asked of one room.
    OfRoom = [400, 401, 403, 404, 503];
    /// What programs push.
    ToProgram = [400, 401, 403, 404, 413, 415, 422, 503];
}

fn refusal(status: u16) -> Response {
    let what = match status {
        400 => "The request cannot be read",
        401 => "There is no token, or the server does not know it",
        403 => "It is not allowed",
        404 => "There is no such thing",
        413 => "Over a bound, which the message names",
        415 => "The body's Content-Type is none of those that are read here",
        421 => "The server does not go by the name that was asked for; server.hosts would let it in",
        422 => "An item is wrong; nothing was done",
        429 => "Too much; Retry-After says when it may go through",
        _ => "The server cannot now; the same may go through later",
    };
    let body = Content::new(Some(Ref::from_schema_name("Error")));
    ResponseBuilder::new().description(what).content("application/json", body).build()
}
