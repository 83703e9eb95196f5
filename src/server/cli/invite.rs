//! `confab invite`: an invitation to the server, in the store of the settings. A server may be running on it.

use std::process::ExitCode;

use clap::Args;

use super::{Outcome, user::with_records};
use crate::server::{
    audit::By,
    manage::{Invitations, NewInvitation},
};

#[derive(Args)]
#[group(skip)]
pub(super) struct Flags {
    /// How many people may sign up by it
    #[arg(long, default_value_t = 1)]
    uses: u32,
    /// For how many days it is good
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// What it is for, to know it by
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    common: super::Flags,
}

/// Makes an invitation, and prints its link.
pub(super) fn run(Flags { uses, days, note, common }: Flags) -> Outcome<ExitCode> {
    with_records(common, async move |records, address| {
        let new = NewInvitation { note: &note, uses, days };
        let token = Invitations::new(records).make(By::CommandLine, new).await?;
        let people = if uses == 1 { "one person makes an account".to_owned() } else { format!("{uses} people make accounts") };
        Ok(format!("Here {people}, within {days} days:\n{address}/signup?invite={}\n", token.reveal()))
    })
}
