//! The index of words: who [keeps it level](indexer) with the log, and who [asks it](searcher).

mod indexer;
mod searcher;

pub(super) use self::{indexer::Indexer, searcher::Searcher};
