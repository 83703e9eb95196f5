//! The index of words: the file that it is in ([`index`]), who [keeps it level](indexer) with the log, and who [asks it](searcher).

mod index;
mod indexer;
mod searcher;

pub(super) use self::{index::INDEX, indexer::Indexer, searcher::Searcher};
