//! The server. Who may know whom: `gateway` knows bytes, not rooms; `layers` knows neither store nor gateway; `rooms`
//! knows `store` and `layers`; `consumers` joins them; `routing` names them all. No arrow runs back.

pub mod layers;
