//! Several servers on one Redis, as their clients and programs in Python see them: what is said on one node is heard on the
//! other, and what becomes of all that when Redis fails.
//!
//! `cluster` starts nodes, each with a store of its own or all with one. `crossing` is about two of them, `django` about a node
//! beside a project of Django Channels, `faults` about what Redis does to nodes with a store each while people talk, whom
//! `traffic` stands for, and `forgetting` about what it loses or refuses while the connection to it is well.
//!
//! Nodes with one store promise more: every message that was acknowledged is heard exactly once and in one order by everybody,
//! on whatever node. `crowd` are the people who hold them to it while, in `one_store`, Redis or the database fails, and in
//! `dead_node` a node is killed, and in `kills` Redis or the database dies fifty times. They also see in `restart` what becomes of a
//! server that has nobody beside it. `presence` is about who is there, `profiles` about how they are seen, `revocation` about what is
//! taken back from somebody, `counters` about a kind of topic in a folder of its own, the `counter`, `owned` about rooms that somebody owns, `rights` about who gets what of them,
//! `endings` about each way in which they lose it, `bans` about addresses from which guests are kept out, `reads` about what
//! they have read,
//! `manage` about what administrators change, `changes` about what becomes of what was said. `model` takes pages, each a `tab`, on two nodes
//! through whatever comes, at random, and `statements` counts what a question costs the database. In `transfer` a server gets another store,
//! in `import` the messages of a file.
//!
//! Clients and servers are those of `tests/server`, Redis and the programs in Python those of `tests/support`.

#![cfg(feature = "ssr")]

#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/app.rs"]
mod app;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/clients.rs"]
mod clients;
#[path = "support/mod.rs"]
mod support;

#[path = "nodes/cluster.rs"]
#[macro_use]
mod cluster;
#[path = "nodes/bans.rs"]
mod bans;
#[path = "nodes/changes.rs"]
mod changes;
#[path = "nodes/counter/mod.rs"]
mod counter;
#[path = "nodes/counters.rs"]
mod counters;
#[path = "nodes/crossing.rs"]
mod crossing;
#[path = "nodes/crowd.rs"]
mod crowd;
#[path = "nodes/dead_node.rs"]
mod dead_node;
#[path = "nodes/django.rs"]
mod django;
#[path = "nodes/endings.rs"]
mod endings;
#[path = "nodes/faults.rs"]
mod faults;
#[path = "nodes/forgetting.rs"]
mod forgetting;
#[path = "nodes/import.rs"]
mod import;
#[path = "nodes/kills.rs"]
mod kills;
#[path = "nodes/manage.rs"]
mod manage;
#[path = "nodes/model.rs"]
mod model;
#[path = "nodes/one_store.rs"]
mod one_store;
#[path = "nodes/owned.rs"]
mod owned;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
#[path = "server/people.rs"]
mod people;
#[path = "nodes/presence.rs"]
mod presence;
#[path = "nodes/profiles.rs"]
mod profiles;
#[path = "nodes/reads.rs"]
mod reads;
#[path = "nodes/restart.rs"]
mod restart;
#[path = "nodes/revocation.rs"]
mod revocation;
#[path = "nodes/rights.rs"]
mod rights;
#[path = "nodes/statements.rs"]
mod statements;
#[path = "nodes/tab.rs"]
mod tab;
#[path = "nodes/traffic.rs"]
mod traffic;
#[path = "nodes/transfer.rs"]
mod transfer;

use support::within;
