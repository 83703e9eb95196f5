-- What nobody sees inside a word is no part of its term any more: the index is made anew.
TRUNCATE search_streams, search_documents;
