//! Which of several servers a name belongs to.
