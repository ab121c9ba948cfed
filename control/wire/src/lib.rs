//! Frame formats of Hitless: parse and emit, no I/O.
